"""Batches for a store, and every way in which their messages must be found again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from struct import unpack
from typing import Any, Final

from rocket_broker.store.store import GetStatus, MessageStore, Outgoing, Put
from rocket_wire import record
from rocket_wire.inner_batch import unwrapped
from rocket_wire.record import BatchItem, join_batch

#: How many messages each record holds: 0 is a message that is sent alone.
SIZES: Final = (3, 0, 0, 5, 1, 20, 0, 2, 2, 7, 0, 1, 4)
COUNT: Final = sum(max(size, 1) for size in SIZES)


class Batches:
    """Puts batches into queue 0 of topic T, and knows the body at each offset."""

    def __init__(self, message: Callable[..., Outgoing]) -> None:
        self._message = message
        self.bodies: list[bytes] = []

    def put(self, store: MessageStore, size: int, **changes: Any) -> Put:
        """One record of `size` messages; 0: a message that is sent alone."""
        if not size:
            self.bodies.append(b"alone %d" % len(self.bodies))
            return store.put(self._message(body=self.bodies[-1], **changes))
        bodies = [b"message %d" % number for number in range(len(self.bodies), len(self.bodies) + size)]
        self.bodies += bodies
        body = join_batch([BatchItem(each, b"TAGS\x01A\x02") for each in bodies])
        return store.put_batch(self._message(body=body, **changes), size)

    def put_all(self, store: MessageStore, sizes: Iterable[int] = SIZES, **changes: Any) -> list[Put]:
        return [self.put(store, size, **changes) for size in sizes]


def read(store: MessageStore, offset: int, max_messages: int = 1, max_bytes: int = 1 << 20) -> list[record.Message]:
    """The messages of one read."""
    got = store.get("T", 0, offset, max_messages=max_messages, max_bytes=max_bytes, tags=None, may_block=True)
    assert got is not None
    assert got.status is GetStatus.FOUND, got
    messages = [part for stored in record.decode_all(got.body) for part in unwrapped(stored)]
    assert got.count == len(messages)
    assert got.next_offset == messages[-1].queue_offset + 1
    return messages


def check_all(store: MessageStore, bodies: list[bytes], least: int = 0) -> None:
    """Every offset leads to its message."""
    assert (store.min_offset("T", 0), store.max_offset("T", 0)) == (least, len(bodies))
    for offset in range(least, len(bodies)):
        messages = read(store, offset)
        assert messages[0].queue_offset <= offset <= messages[-1].queue_offset
        for each in messages:
            assert each.body == bodies[each.queue_offset]


def check_goes_on(store: MessageStore, batches: Batches, least: int = 0) -> None:
    """Everything is there, and the next batch stands behind it."""
    check_all(store, batches.bodies, least)
    assert batches.put(store, 4).queue_offset == len(batches.bodies) - 4
    check_all(store, batches.bodies, least)


def files(root: Path, queue_id: int = 0) -> list[Path]:
    """The files of a queue of topic T."""
    return sorted((root / f"batchconsumequeue/T/{queue_id}").iterdir())


def entries(root: Path, queue_id: int = 0) -> list[tuple[int, ...]]:
    """What lies in them."""
    content = b"".join(path.read_bytes() for path in files(root, queue_id))
    found = [unpack(">qiqqqhii", content[at : at + 46]) for at in range(0, len(content), 46)]
    return [entry for entry in found if any(entry)]
