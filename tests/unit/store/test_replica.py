"""A slave's store: the master's bytes, in pieces of any size, become the same log and the same queues."""

from __future__ import annotations

import errno
import random
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.errors import StoreError, StoreFull
from rocket_testing.disk_calls import DiskCalls


def copy_log(master: Any, slave: Any, sizes: Any) -> None:
    while slave.max_position < master.max_position:
        content = master.read_log(slave.max_position, next(sizes), may_block=True)
        slave.append_replica(slave.max_position, content)


def sizes(seed: int, largest: int) -> Any:
    chosen = random.Random(seed)
    while True:
        yield chosen.randint(1, largest)


@pytest.fixture
def master(stores: Any, message: Any) -> Any:
    master = stores.open()
    for number in range(150):
        master.put(message(number, queue_id=number % 2, properties=b"UNIQ_KEY\x01U%d\x02TAGS\x01A\x02" % number))
    return master


def same_files(one: Path, other: Path) -> None:
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize("largest", [1, 7, 100, 1000, 100_000])
def test_pieces_of_any_size_make_the_same_log(stores: Any, master: Any, tmp_path: Path, largest: int) -> None:
    slave = stores.open(tmp_path / "slave")
    copy_log(master, slave, sizes(largest, largest))
    for queue in (0, 1):
        assert stores.reader(slave)("T", queue) == stores.reader(master)("T", queue)
    assert len(slave.query("T", "U149", 9, 0, 1 << 60)) == 1
    master.flush()
    slave.flush()
    same_files(stores.root / "commitlog", tmp_path / "slave" / "commitlog")
    same_files(stores.root / "consumequeue" / "T" / "1", tmp_path / "slave" / "consumequeue" / "T" / "1")


def test_what_arrived_is_told_once(stores: Any, master: Any, tmp_path: Path) -> None:
    slave = stores.open(tmp_path / "slave")
    copy_log(master, slave, sizes(1, 500))
    arrivals = slave.take_arrivals()
    assert [(arrival.queue_id, arrival.queue_offset) for arrival in arrivals] == [
        (number % 2, number // 2) for number in range(150)
    ]
    assert slave.take_arrivals() == []


def test_bytes_that_do_not_continue_the_log_are_refused(stores: Any, master: Any, tmp_path: Path) -> None:
    slave = stores.open(tmp_path / "slave")
    content = master.read_log(0, 1000, may_block=True)
    with pytest.raises(StoreError, match="does not continue"):
        slave.append_replica(1, content)
    slave.append_replica(0, content)
    with pytest.raises(StoreError, match="does not continue"):
        slave.append_replica(0, content)


def test_bytes_that_are_no_records_are_refused_and_cut_off(stores: Any, master: Any, tmp_path: Path) -> None:
    slave = stores.open(tmp_path / "slave")
    copy_log(master, slave, iter([500] * 3 + [100_000] * 99))
    end = slave.max_position
    with pytest.raises(StoreError, match="are no record"):
        slave.append_replica(end, b"these bytes were never a record")
    assert slave.max_position == end
    assert slave.max_offset("T", 0) == 75


def test_half_a_record_is_cut_off_at_the_next_start(stores: Any, master: Any, tmp_path: Path) -> None:
    slave = stores.open(tmp_path / "slave")
    slave.append_replica(0, master.read_log(0, 1000, may_block=True))
    whole = slave._dispatcher.position
    assert whole < slave.max_position == 1000
    slave.close()
    again = stores.open(tmp_path / "slave")
    assert again.max_position == whole
    copy_log(master, again, sizes(3, 900))
    assert stores.reader(again)("T", 1) == stores.reader(master)("T", 1)


def test_half_a_record_is_cut_off_when_the_slave_takes_over(
    stores: Any, master: Any, message: Any, tmp_path: Path
) -> None:
    slave = stores.open(tmp_path / "slave")
    slave.append_replica(0, master.read_log(0, 1000, may_block=True))
    offset = slave.max_offset("T", 0)
    slave.drop_partial()
    assert slave.put(message(1000)).queue_offset == offset
    again = stores.open(stores.killed(tmp_path / "slave"))
    assert stores.reader(again)("T", 0)[-1].body == b"body 1000"


def test_whole_records_that_came_before_the_disk_was_full_are_kept(
    stores: Any, master: Any, message: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One piece has whole records, the end of a segment, and the beginning of one for which there is no room."""
    disk, slave = DiskCalls(monkeypatch, tmp_path), stores.open(tmp_path / "slave")
    disk.fail(errno.ENOSPC, names=("posix_fallocate",), part="slave/commitlog/00000000000000008192")
    with pytest.raises(StoreFull, match="No space left"):
        slave.append_replica(0, master.read_log(0, 8192) + master.read_log(8192, 1000))
    disk.heal()
    assert slave.max_position == 8192
    before = [each for each in stores.reader(master)() if each.position < 8192]
    assert [each.body for each in stores.reader(slave)()] == [each.body for each in before]
    assert len(slave.take_arrivals()) > 0
    slave.drop_partial()
    assert slave.put(message(1000)).position == 8192


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_record_that_its_queue_refuses_for_a_while_is_kept(
    stores: Any, master: Any, message: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_cut: bool
) -> None:
    """A queue that begins anew, since its topic was deleted and made again, has to be cut, and that fails once."""
    disk, slave = DiskCalls(monkeypatch, tmp_path), stores.open(tmp_path / "slave")
    copy_log(master, slave, sizes(1, 500))
    slave.flush()
    master.delete_topic("T")
    master.put(message(body=b"again"))
    disk.fail(errno.EIO, names=("ftruncate",), part="slave/consumequeue")
    with pytest.raises(StoreError, match="Input/output error"):
        copy_log(master, slave, iter([10_000]))
    if is_cut:
        with pytest.raises(StoreError, match="Input/output error"):
            slave.drop_partial()
    disk.heal()
    slave.drop_partial()
    assert slave.max_position == master.max_position
    assert [each.body for each in stores.reader(slave)()] == [b"again"]


def test_an_empty_slave_can_begin_in_the_middle(stores: Any, master: Any, tmp_path: Path) -> None:
    slave = stores.open(tmp_path / "slave")
    with pytest.raises(StoreError, match="does not begin a segment"):
        slave.reset_to(100)
    slave.reset_to(8192)
    assert (slave.min_position, slave.max_position) == (8192, 8192)
    copy_log(master, slave, sizes(5, 3000))
    first = slave.min_offset("T", 0)
    assert first > 0
    assert slave.max_offset("T", 0) == 75
    read = stores.reader(slave)("T", 0)
    assert [message.queue_offset for message in read] == list(range(first, 75))
    slave.close()
    again = stores.open(tmp_path / "slave")
    assert (again.min_offset("T", 0), again.min_position) == (first, 8192)
    with pytest.raises(StoreError, match="not empty"):
        again.reset_to(0)


def test_reading_the_log_stops_at_its_end_and_refuses_what_is_beyond(master: Any) -> None:
    assert master.read_log(master.max_position, 100) == b""
    with pytest.raises(StoreError, match="not in the log"):
        master.read_log(master.max_position + 1, 100)
    with pytest.raises(StoreError, match="not in the log"):
        master.read_log(-1, 100)
