"""Entries of a queue that are of no record: passed over in a running store, and never handed out as messages."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.store import GetStatus
from rocket_wire import record

END = 1 << 62


def write_entry(root: Path, offset: int, *entry: int) -> None:
    path = root / "consumequeue" / "T" / "0" / f"{offset * 20 - offset * 20 % 200:020d}"
    with open(path, "r+b") as file:
        file.seek(offset * 20 % 200)
        file.write(struct.pack(">qiq", *entry))


@pytest.mark.parametrize(
    "entry",
    [
        (0, 0, 0), (-1, -1, -1), (END, 100, 0), (0, 0x7FFFFFFE, 0), (-5, 100, 0), (100, -100, 0), (7, 100, 0),
        (8100, 200, 0), (8180, 12, 0), (0, 5000, 0), (0, 109, 0), (0, 111, 0), (0, 8191, 0), (16_000, 4000, 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("offset", [0, 12, 99])
@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("tags", [None, frozenset((0,))])
def test_what_is_no_record_is_passed_over(
    stores: Any, message: Any, offset: int, entry: tuple[int, int, int], batch: int, tags: Any
) -> None:
    store = stores.open()
    for number in range(100):
        store.put(message(number))
    store.flush()
    write_entry(stores.root, offset, *entry)
    read: list[record.Message] = []
    at = 0
    while at < 100:
        got = store.get("T", 0, at, max_messages=batch, max_bytes=1 << 20, tags=tags, may_block=True)
        assert got.status in (GetStatus.FOUND, GetStatus.NO_MATCHED_MESSAGE, GetStatus.MESSAGE_WAS_REMOVING)
        assert got.next_offset > at
        messages = record.decode_all(got.body)
        assert len(messages) == got.count
        read += messages
        at = got.next_offset
    assert [message.queue_offset for message in read] == [number for number in range(100) if number != offset]
    assert store.store_time("T", 0, offset) in (None, 1_700_000_000_000)
    assert store.look_up(*entry[:2]) is None or entry[0] == 0


def test_a_reader_that_may_not_wait_is_sent_to_a_thread(
    stores: Any, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores.open()
    for number in range(20):
        store.put(message(number))
    store.flush()
    write_entry(stores.root, 3, 7, 100, 0)
    assert store.get("T", 0, 0, max_messages=32, max_bytes=1 << 20, tags=None) is None
    got = store.get("T", 0, 0, max_messages=32, max_bytes=1 << 20, tags=None, may_block=True)
    assert (got.count, got.next_offset) == (9, 10)
    assert "queue T/0: the entry at offset 3 is of no record: passed over" in caplog.text
