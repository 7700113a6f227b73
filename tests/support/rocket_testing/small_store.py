"""A store of small files with some messages, killed, and what must hold whatever was then done to its files."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import MessageStore, Outgoing, Put
from rocket_wire import record

SEGMENT = 8192
NOW = 1_700_000_000_000
#: Numbers of the messages that are put once a store has been opened again.
LATER = range(1000, 1004)


def open_store(root: Path) -> MessageStore:
    settings = StoreSettings(
        root=root, commitlog_path=root / "commitlog", segment_size=SEGMENT, queue_file_size=200,
        max_hash_slots=64, max_index_entries=50, checkpoint_interval=0,
    )  # fmt: skip
    return MessageStore.open(settings, now_ms=lambda: NOW, log=logging.getLogger("store"))


def outgoing(number: int) -> Outgoing:
    properties = b"UNIQ_KEY\x01U%d\x02" % number
    return Outgoing(topic="T", queue_id=number % 2, body=b"body %d" % number, properties=properties)


def queue(store: MessageStore, queue_id: int) -> list[bytes]:
    bodies: list[bytes] = []
    while len(bodies) < store.max_offset("T", queue_id):
        got = store.get("T", queue_id, len(bodies), max_messages=32, max_bytes=1 << 20, tags=None, may_block=True)
        assert got is not None
        assert got.count
        bodies += [message.body for message in record.decode_all(got.body)]
    return bodies


def filled(root: Path, count: int) -> list[Put]:
    """A store that was killed, with `count` messages, of which the checkpoint knows about half."""
    store = open_store(root / "running")
    puts = []
    for number in range(count):
        puts.append(store.put(outgoing(number)))
        if number == count // 2:
            store.flush()
    shutil.copytree(root / "running", root / "killed")
    store.close()
    return puts


def holds(store: MessageStore, numbers: Sequence[int]) -> bool:
    """Whether its queues have these messages, in this order, and no others."""
    return all(
        queue(store, queue_id) == [b"body %d" % number for number in numbers if number % 2 == queue_id]
        for queue_id in range(2)
    )


def check(root: Path, whole: list[int]) -> None:
    """The store at `root` has exactly these messages, now and after another start, and takes LATER."""
    for _ in range(2):
        store = open_store(root)
        assert holds(store, whole)
        store.close()
    store = open_store(root)
    for number in LATER:
        store.put(outgoing(number))
    assert holds(store, [*whole, *LATER])
    for number in [*whole, *LATER]:
        assert len(store.query("T", f"U{number}", 9, 0, 1 << 60)) == 1
    store.close()


def check_remade(root: Path, whole: list[int]) -> None:
    """What `check` left is all there, too, when the queues are made again from the log."""
    shutil.rmtree(root / "consumequeue")
    store = open_store(root)
    assert holds(store, [*whole, *LATER])
    store.close()
