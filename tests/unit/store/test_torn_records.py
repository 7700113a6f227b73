"""After a loss of power some sectors of the last record were never written: they hold zeros, and the record is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rocket_wire import record

SECTOR = 512
LONG = "T" * 100


def zeros(root: Path, begin: int, end: int) -> None:
    with open(root / "commitlog" / f"{0:020d}", "r+b") as file:
        file.seek(begin)
        file.write(bytes(end - begin))


def up_to_a_sector(store: Any, message: Any, before: int) -> int:
    """Puts one message such that the next record begins `before` bytes before a sector's end; returns that end."""
    empty = store.put(message(0, body=b"")).size
    room = (3 * SECTOR - before) - store.max_position - empty
    put = store.put(message(1, body=b"x" * room))
    assert put.position + put.size == 3 * SECTOR - before
    return 3 * SECTOR


@pytest.mark.parametrize("before", range(1, 320, 7))
def test_a_record_whose_last_sector_holds_zeros_is_cut_off(stores: Any, message: Any, before: int) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    sector = up_to_a_sector(store, message, before)
    torn = store.put(message(2, topic=LONG, body=b"", properties=b"KEYS\x01" + b"k" * 150 + b"\x02"))
    assert torn.position < sector < torn.position + torn.size
    copy = stores.killed()
    zeros(copy, sector, torn.position + torn.size)
    for _ in range(2):
        again = stores.open(copy)
        assert again.max_position == torn.position
        assert again.queues() == [("T", 0)]
        again.close()
    assert stores.open(copy).put(message(3, topic=LONG)).position == torn.position


def test_a_record_that_lacks_a_sector_in_its_middle_is_cut_off(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    sector = up_to_a_sector(store, message, 250)
    torn = store.put(message(2, body=b"", properties=b"KEYS\x01" + b"k" * 1500 + b"\x02"))
    store.put(message(3))
    copy = stores.killed()
    zeros(copy, sector + SECTOR, sector + 2 * SECTOR)
    assert stores.open(copy).max_position == torn.position


@pytest.mark.parametrize("content", [b"\0", b"K\x01\0\0\0\x02", b"K\x01" + bytes(600), b"K\x01v\x02" + bytes(100)])
def test_properties_that_are_meant_to_hold_zeros_are_kept(stores: Any, message: Any, content: bytes) -> None:
    """Nobody forbids it; what else is in their sectors tells them from what was never written."""
    store = stores.open(checkpoint_interval=1 << 40)
    up_to_a_sector(store, message, 500)
    store.put(message(2, properties=content))
    store.put(message(3))
    assert len(stores.reader(stores.open(stores.killed()))()) == 4


@pytest.mark.parametrize("topic", ["", "a\0b", "a/b", ".."])
def test_a_whole_record_of_a_topic_that_cannot_be_is_left_out(stores: Any, message: Any, topic: str) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    put = store.put(message(0))
    strange = record.encode(record.Message(topic=topic, queue_id=0, body=b"strange", position=put.size))
    store._log.append(strange)
    store._dispatcher.reached(store.max_position)
    store.put(message(1))
    store.flush()
    copy = stores.killed()
    for path in (copy / "consumequeue" / "T" / "0").iterdir():
        path.unlink()  # so that everything is read again
    again = stores.open(copy)
    assert [stored.body for stored in stores.reader(again)()] == [b"body 0", b"body 1"]
    assert again.queues() == [("T", 0)]
