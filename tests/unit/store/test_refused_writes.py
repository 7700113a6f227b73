"""A disk that refuses: the put fails, nothing half-written shows, reads go on, and puts do once the disk takes them."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from rocket_broker.store.errors import StoreError, StoreFull
from rocket_broker.store.files import File


class FaultyDisk:
    """Lets files under some folder fail on demand: `error` is the errno, `keeps` how many bytes a write still does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error = 0
        self.part = ""
        self.keeps = 0
        self.syncs = True
        write, reserve, sync = File.write, File.reserve, File.sync

        def faulty_write(file: File, start: int, content: bytes) -> None:
            if self.fails(file):
                write(file, start, content[: self.keeps])
                raise OSError(self.error, os.strerror(self.error))
            write(file, start, content)

        def faulty_reserve(file: File, size: int) -> None:
            if self.fails(file):
                raise OSError(self.error, os.strerror(self.error))
            reserve(file, size)

        def faulty_sync(file: File) -> None:
            if self.syncs and self.fails(file):
                raise OSError(self.error, os.strerror(self.error))
            sync(file)

        monkeypatch.setattr(File, "write", faulty_write)
        monkeypatch.setattr(File, "reserve", faulty_reserve)
        monkeypatch.setattr(File, "sync", faulty_sync)

    def fails(self, file: File) -> bool:
        return bool(self.error) and self.part in file.path

    def fail(self, error: int, part: str, keeps: int = 0, *, syncs: bool = True) -> None:
        self.error, self.part, self.keeps, self.syncs = error, part, keeps, syncs

    def heal(self) -> None:
        self.error = 0


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    return FaultyDisk(monkeypatch)


@pytest.mark.parametrize("keeps", [0, 1, 8, 60, 100, 127])
@pytest.mark.parametrize(
    ("error", "kind"),
    [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EFBIG, StoreFull), (errno.EIO, StoreError)],
)
def test_a_refused_record_leaves_no_trace(
    stores: Any, message: Any, disk: FaultyDisk, error: int, kind: type[StoreError], keeps: int
) -> None:
    store = stores.open()
    for number in range(3):
        store.put(message(number))
    end = store.max_position
    disk.fail(error, "commitlog", keeps)
    with pytest.raises(kind, match="cannot write"):
        store.put(message(3))
    with pytest.raises(kind):
        store.put_many([message(3), message(4)])
    assert (store.max_position, store.max_offset("T", 0)) == (end, 3)
    assert len(stores.reader(store)()) == 3
    disk.heal()
    assert len(stores.reader(stores.open(stores.killed()))()) == 3
    assert store.put(message(3)).queue_offset == 3
    assert [stored.body for stored in stores.reader(store)()] == [b"body %d" % number for number in range(4)]


def test_no_room_for_the_next_segment_refuses_only_what_needs_it(stores: Any, message: Any, disk: FaultyDisk) -> None:
    store = stores.open()
    while store.max_position < 8000:
        store.put(message(body=b"x" * 100))
    end, offset = store.max_position, store.max_offset("T", 0)
    disk.fail(errno.ENOSPC, f"commitlog/{8192:020d}")
    store.flush()
    for _ in range(3):
        with pytest.raises(StoreFull, match="cannot reserve 8192 bytes"):
            store.put(message(body=b"x" * 500))
    assert (store.max_position, store.max_offset("T", 0)) == (end, offset)
    assert os.listdir(stores.root / "commitlog") == [f"{0:020d}"]
    assert len(stores.reader(stores.open(stores.killed()))()) == offset
    disk.heal()
    assert store.put(message(body=b"x" * 500)).position == 8192


def test_a_segment_that_cannot_be_ended_is_not_left(stores: Any, message: Any, disk: FaultyDisk) -> None:
    store = stores.open()
    while store.max_position < 8000:
        store.put(message(body=b"x" * 100))
    end = store.max_position
    disk.fail(errno.EIO, f"commitlog/{0:020d}")
    with pytest.raises(StoreError, match="cannot end segment"):
        store.put(message(body=b"x" * 500))
    assert store.max_position == end
    disk.heal()
    assert store.put(message(body=b"x" * 500)).position == 8192
    assert len(stores.reader(stores.open(stores.killed()))()) == store.max_offset("T", 0)


def test_queues_that_cannot_be_written_stay_in_memory(stores: Any, message: Any, disk: FaultyDisk) -> None:
    store = stores.open()
    disk.fail(errno.ENOSPC, "consumequeue")
    for number in range(30):
        store.put(message(number))
        store.flush()
    assert len(stores.reader(store)()) == 30
    assert len(stores.reader(stores.open(stores.killed()))()) == 30
    disk.heal()
    store.close()
    again = stores.open()
    assert len(stores.reader(again)()) == 30


def test_messages_wait_for_an_index_that_cannot_be_written(stores: Any, message: Any, disk: FaultyDisk) -> None:
    store = stores.open()
    disk.fail(errno.ENOSPC, "index")
    for number in range(300):
        store.put(message(number))
    store.flush()
    assert store.query("T", "U7", 9, 0, 1 << 60) == []
    disk.heal()
    assert len(store.query("T", "U7", 9, 0, 1 << 60)) == 1
    assert len(store.query("T", "U299", 9, 0, 1 << 60)) == 1


def test_a_sync_that_fails_is_told_and_nothing_is_called_flushed(stores: Any, message: Any, disk: FaultyDisk) -> None:
    store = stores.open()
    store.put(message())
    flushed = store.flushed_position
    disk.fail(errno.EIO, "commitlog")
    with pytest.raises(OSError, match="Input/output"):
        store.sync_log()
    with pytest.raises(OSError, match="Input/output"):
        store.flush()
    with pytest.raises(OSError, match="Input/output"):
        store.close()
    assert store.flushed_position == flushed
    assert (stores.root / "abort").exists()
    disk.heal()


def test_no_room_for_the_checkpoint_is_no_reason_to_stop(stores: Any, message: Any, disk: FaultyDisk) -> None:
    store = stores.open()
    store.put(message(0))
    disk.fail(errno.ENOSPC, "checkpoint")
    store.flush()
    store.put(message(1))
    store.flush()
    assert len(stores.reader(stores.open(stores.killed()))()) == 2


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_start_on_a_full_disk_serves_what_is_there(
    stores: Any, message: Any, disk: FaultyDisk, is_clean: bool
) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(30):
        store.put(message(number))
    copy = stores.killed()
    if is_clean:
        stores.open(copy).close()
    disk.fail(errno.ENOSPC, copy.name, syncs=False)
    again = stores.open(copy)
    assert len(stores.reader(again)()) == 30
    with pytest.raises(StoreFull):
        again.put(message(30))
    disk.heal()
    assert again.put(message(30)).queue_offset == 30


def test_a_replica_goes_on_where_its_disk_refused(stores: Any, message: Any, disk: FaultyDisk, tmp_path: Any) -> None:
    master = stores.open()
    for number in range(100):
        master.put(message(number))
    slave = stores.open(tmp_path / "slave")
    disk.fail(errno.ENOSPC, f"slave/commitlog/{8192:020d}")
    content = master.read_log(0, 1 << 20, may_block=True) + master.read_log(8192, 1 << 20, may_block=True)
    with pytest.raises(StoreFull):
        slave.append_replica(0, content)
    assert slave.max_position == 8192
    disk.heal()
    slave.append_replica(slave.max_position, content[slave.max_position :])
    assert stores.reader(slave)() == stores.reader(master)()
