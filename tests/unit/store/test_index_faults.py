"""The index on a disk that refuses, or after a loss of power: every key once, and none out of reach."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.errors import StoreError
from rocket_broker.store.index_file import IndexFile
from rocket_testing.disk_calls import GROWS, READS, WRITES, DiskCalls

END = 1 << 60


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DiskCalls]:
    disk = DiskCalls(monkeypatch, tmp_path)
    yield disk
    disk.heal()


@pytest.mark.parametrize("names", [GROWS, ["open"], WRITES])
def test_keys_that_have_a_place_are_not_put_again_when_the_next_file_cannot_be_made(
    stores: Any, message: Any, disk: DiskCalls, names: Any
) -> None:
    store = stores.open()
    for number in range(40):
        store.put(message(number))
    store.flush()
    disk.fail(errno.ENOSPC, names=names, part="/index/")
    for number in range(40, 120):
        store.put(message(number))
    for _ in range(3):
        store.flush()
    disk.heal()
    store.flush()
    assert sum(file.count - 1 for file in store._index.files) == 120
    assert all(len(store.query("T", f"U{number}", 9, 0, END)) == 1 for number in range(120))
    again = stores.open(stores.killed())
    assert sum(file.count - 1 for file in again._index.files) == 120


@pytest.mark.parametrize("failing", range(1, 12))
def test_a_kill_after_a_failed_write_leaves_an_index_that_is_taken_back(
    stores: Any, message: Any, disk: DiskCalls, failing: int
) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(9):
        store.put(message(number, properties=b"KEYS\x01A\x02"))
    store._keeper.hasten()
    store.flush()
    for number in range(9, 9 + failing):
        store.put(message(number, properties=b"KEYS\x01A\x02"))
    disk.fail(errno.EIO, names=WRITES, part="/index/")
    store.query("T", "A", 99, 0, END)
    disk.heal()
    again = stores.open(stores.killed())
    assert len(again.query("T", "A", 99, 0, END)) == 9 + failing
    assert sum(file.count - 1 for file in again._index.files) == 9 + failing


def test_a_key_before_a_torn_entry_is_found(tmp_path: Path) -> None:
    """The entry's last four bytes, which say what it follows, are in a sector that was never written."""
    file = IndexFile(tmp_path / "20260101000000000", 64, 100)
    file.put([(number, 100 * number, 1000) for number in range(1, 10)])
    file.put([(5, 1000, 1000)])
    file.sync(file.take_changed())
    with open(file.path, "r+b") as content:
        content.seek(512)
        assert any(content.read(4))
        content.seek(512)
        content.write(bytes(512))
    again = IndexFile(file.path, 64, 100)
    again.undo(10)
    assert again.find(5, 0, END, 9) == [500]
    assert again.put([(5, 2000, 1000)]) == 1
    assert again.find(5, 0, END, 9) == [2000, 500]


def test_an_index_that_cannot_be_taken_back_is_made_again(stores: Any, message: Any, disk: DiskCalls) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(30):
        store.put(message(number))
    store._keeper.hasten()
    store.flush()
    for number in range(30, 40):
        store.put(message(number))
    store.query("T", "U1", 9, 0, END)
    copy = stores.killed()
    disk.fail_call(0, errno.ENOSPC, names=WRITES, part="/index/")
    again = stores.open(copy)
    assert disk.failed
    assert all(len(again.query("T", f"U{number}", 9, 0, END)) == 1 for number in range(40))
    assert sum(file.count - 1 for file in again._index.files) == 40


def test_an_index_that_cannot_be_read_keeps_messages_waiting_and_nothing_else(
    stores: Any, message: Any, disk: DiskCalls, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk's read error is a line in the log; where the file was mapped it would be the end of the process."""
    store = stores.open()
    for number in range(20):
        store.put(message(number))
    store.close()
    again = stores.open()
    disk.fail(errno.EIO, names=READS, part="/index/")
    for number in range(20, 200):
        assert again.put(message(number)).queue_offset == number
    with pytest.raises(StoreError, match="cannot read the index"):
        again.query("T", "U1", 9, 0, END)
    assert "messages wait to be indexed" in caplog.text
    disk.heal()
    assert all(len(again.query("T", f"U{number}", 9, 0, END)) == 1 for number in range(200))
