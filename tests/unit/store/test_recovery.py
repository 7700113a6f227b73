"""Restarts: after a clean stop, after a kill, with files cut short, damaged or missing."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from rocket_broker.store import checkpoint
from rocket_broker.store.errors import StoreError
from rocket_wire import record


def bodies(messages: list[record.Message]) -> list[bytes]:
    return [message.body for message in messages]


def dense(messages: list[record.Message]) -> bool:
    return [message.queue_offset for message in messages] == list(range(len(messages)))


def fill(store: Any, message: Any, count: int, start: int = 0) -> list[Any]:
    return [store.put(message(number)) for number in range(start, start + count)]


def test_a_clean_stop_and_start_changes_nothing(stores: Any, message: Any) -> None:
    store = stores.open()
    fill(store, message, 100)
    end = store.max_position
    store.close()
    assert not (stores.root / "abort").exists()
    again = stores.open()
    assert again.max_position == again.flushed_position == end
    assert bodies(stores.reader(again)()) == [b"body %d" % number for number in range(100)]
    assert again.put(message()).queue_offset == 100


def test_a_killed_process_loses_nothing_that_was_put(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(100):
        store.put(message(number, queue_id=number % 3))
        if number in (20, 50):
            store.flush()
        if number % 10 == 0:
            again = stores.open(stores.killed())
            read = stores.reader(again)
            assert sum(len(read("T", queue)) for queue in range(3)) == number + 1
            assert all(dense(read("T", queue)) for queue in range(3))
            assert again.max_position == store.max_position


def test_a_restart_after_a_restart_is_the_same(stores: Any, message: Any) -> None:
    fill(stores.open(), message, 30)
    first = stores.killed()
    second = stores.killed(first)
    store = stores.open(second)
    third = stores.killed(second)
    again = stores.open(third)
    assert again.max_position == store.max_position
    assert stores.reader(again)() == stores.reader(store)()


def test_queues_and_index_are_made_again_from_the_log_alone(stores: Any, message: Any) -> None:
    store = stores.open()
    for number in range(120):
        store.put(message(number, topic=f"T{number % 2}", queue_id=number % 3))
    store.close()
    for name in os.listdir(stores.root):
        if name != "commitlog":
            shutil.rmtree(stores.root / name) if (stores.root / name).is_dir() else os.unlink(stores.root / name)
    again = stores.open()
    read = stores.reader(again)
    queues = [read(f"T{topic}", queue) for topic in range(2) for queue in range(3)]
    assert sum(map(len, queues)) == 120
    assert all(map(dense, queues))
    assert len(again.query("T0", "U0", 32, 0, 1 << 60)) == 1
    assert again.put(message(topic="T0", queue_id=0)).queue_offset == 20


def test_one_missing_queue_is_made_again(stores: Any, message: Any) -> None:
    store = stores.open()
    for number in range(60):
        store.put(message(number, queue_id=number % 2))
    store.close()
    shutil.rmtree(stores.root / "consumequeue" / "T" / "1")
    again = stores.open()
    assert len(stores.reader(again)("T", 0)) == 30
    assert bodies(stores.reader(again)("T", 1)) == [b"body %d" % number for number in range(1, 60, 2)]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_one_missing_file_of_a_queue_is_made_again(stores: Any, message: Any, number: int) -> None:
    fill(store := stores.open(), message, 25)
    store.close()
    os.unlink(stores.root / "consumequeue" / "T" / "0" / f"{number * 200:020d}")
    again = stores.open()
    assert bodies(stores.reader(again)()) == [b"body %d" % number for number in range(25)]


def test_a_missing_index_is_made_again(stores: Any, message: Any) -> None:
    fill(store := stores.open(), message, 25)
    store.close()
    shutil.rmtree(stores.root / "index")
    again = stores.open()
    assert len(again.query("T", "U3", 32, 0, 1 << 60)) == 1


@pytest.mark.parametrize("is_flushed", [True, False])
@pytest.mark.parametrize("bytes_left", [0, 3, 8, 50, 100, -1])
def test_a_torn_tail_is_cut_and_writing_goes_on(stores: Any, message: Any, bytes_left: int, is_flushed: bool) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    puts = fill(store, message, 12)  # cut at every byte: tests/faults/store/test_cut_log.py
    if is_flushed:  # then the queue's file knows of records that the log will have lost
        store.flush()
    copy = stores.killed()
    os.truncate(copy / "commitlog" / f"{0:020d}", puts[10].position + bytes_left % puts[10].size)
    for _ in range(2):
        again = stores.open(copy)
        assert bodies(stores.reader(again)()) == [b"body %d" % number for number in range(10)]
        assert again.max_position == puts[10].position
        again.close()
    again = stores.open(copy)
    fill(again, message, 3, start=100)
    after = stores.reader(again)()
    assert dense(after)
    assert bodies(after)[-3:] == [b"body 100", b"body 101", b"body 102"]


def test_a_damaged_byte_ends_the_log_there(stores: Any, message: Any) -> None:
    puts = fill(stores.open(checkpoint_interval=1 << 40), message, 12)
    copy = stores.killed()
    with open(copy / "commitlog" / f"{0:020d}", "r+b") as file:
        file.seek(puts[5].position + 90)
        file.write(b"!")
    again = stores.open(copy)
    assert bodies(stores.reader(again)()) == [b"body %d" % number for number in range(5)]
    assert again.max_position == puts[5].position


def test_what_was_cut_off_does_not_come_back_behind_new_records(stores: Any, message: Any) -> None:
    puts = fill(stores.open(checkpoint_interval=1 << 40), message, 12)
    copy = stores.killed()
    with open(copy / "commitlog" / f"{0:020d}", "r+b") as file:
        file.seek(puts[5].position + 90)
        file.write(b"!")
    again = stores.open(copy)
    again.put(message(5))  # as long as the damaged record: the ones behind it would fit on again
    third = stores.open(stores.killed(copy))
    assert bodies(stores.reader(third)()) == [b"body %d" % number for number in range(6)]


@pytest.mark.parametrize("at", [0, 4, 30, 90])
def test_damage_before_the_checkpoint_costs_one_record_not_those_behind_it(stores: Any, message: Any, at: int) -> None:
    store = stores.open()
    puts = fill(store, message, 100)
    store.close()
    shutil.rmtree(stores.root / "consumequeue")  # so that everything is read again
    with open(stores.root / "commitlog" / f"{0:020d}", "r+b") as file:
        file.seek(puts[20].position + at)
        file.write(b"!!!!")
    again = stores.open()
    assert again.max_position == puts[-1].position + puts[-1].size
    offset = again.get("T", 0, 20, max_messages=9, max_bytes=1 << 20, tags=None, may_block=True).next_offset
    assert offset > 20
    kept = [record.decode(again.look_up(put.position)).body for number, put in enumerate(puts) if number != 20]
    assert kept == [b"body %d" % number for number in range(100) if number != 20]
    assert again.put(message()).queue_offset == 100


def test_a_damaged_segment_before_the_checkpoint_costs_only_itself(stores: Any, message: Any) -> None:
    store = stores.open()
    puts = fill(store, message, 200)
    store.close()
    shutil.rmtree(stores.root / "consumequeue")
    (stores.root / "commitlog" / f"{8192:020d}").write_bytes(os.urandom(8192))
    again = stores.open()
    assert again.max_position == puts[-1].position + puts[-1].size
    kept = [put for put in puts if put.position // 8192 != 1]
    assert all(again.look_up(put.position) is not None for put in kept)
    assert again.put(message()).queue_offset == 200


@pytest.mark.parametrize(("at", "value"), [(12, 0xFF), (20, 0xFF), (20, 0x3F), (24, 0x10), (27, 0x02)])
def test_a_record_with_a_damaged_queue_id_or_offset_harms_no_queue(
    stores: Any, message: Any, at: int, value: int
) -> None:
    puts = fill(stores.open(checkpoint_interval=1 << 40), message, 12)
    copy = stores.killed()
    with open(copy / "commitlog" / f"{0:020d}", "r+b") as file:
        file.seek(puts[11].position + at)
        file.write(bytes((value,)))
    again = stores.open(copy)
    assert bodies(stores.reader(again)())[:11] == [b"body %d" % number for number in range(11)]
    assert again.put(message(50)).queue_offset in (11, 12)


def test_a_damaged_offset_in_the_middle_is_left_out_and_the_rest_is_kept(stores: Any, message: Any) -> None:
    puts = fill(stores.open(checkpoint_interval=1 << 40), message, 12)
    copy = stores.killed()
    with open(copy / "commitlog" / f"{0:020d}", "r+b") as file:
        file.seek(puts[5].position + 26)
        file.write(b"\x01")
    again = stores.open(copy)
    assert again.max_offset("T", 0) == 12
    assert bodies(stores.reader(again)()) == [b"body %d" % number for number in range(12) if number != 5]
    assert again.put(message(50)).queue_offset == 12


def test_a_kill_between_two_segments_is_no_loss(stores: Any, message: Any) -> None:
    store = stores.open()
    while store.max_position < 8192:
        store.put(message(body=b"x" * 300))
    copy = stores.killed()
    with open(copy / "commitlog" / f"{8192:020d}", "r+b") as file:
        file.write(bytes(8192))  # as if only the blank record had been written
    again = stores.open(copy)
    assert again.max_position == 8192
    assert len(stores.reader(again)()) == store.max_offset("T", 0) - 1
    assert again.put(message()).position == 8192


def test_a_segment_that_was_being_made_is_filled_up(stores: Any, message: Any) -> None:
    fill(stores.open(), message, 3)
    for size in (0, 1, 5000):
        copy = stores.killed()
        with open(copy / "commitlog" / f"{8192:020d}", "wb") as file:
            file.truncate(size)
        again = stores.open(copy)
        assert len(stores.reader(again)()) == 3
        for number in range(100):
            again.put(message(number))
        assert len(stores.reader(again)()) == 103


def test_a_segment_behind_a_damaged_one_is_set_aside_not_deleted(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    fill(store, message, 150)
    copy = stores.killed()
    (copy / "checkpoint").unlink()
    second = (copy / "commitlog" / f"{8192:020d}").read_bytes()
    with open(copy / "commitlog" / f"{0:020d}", "r+b") as file:
        file.seek(4)
        file.write(b"!")
    again = stores.open(copy)
    assert again.max_position == 0
    assert (copy / "commitlog.cut" / f"{8192:020d}").read_bytes() == second


def test_segments_that_do_not_follow_each_other_are_refused(stores: Any, message: Any) -> None:
    fill(store := stores.open(), message, 150)
    store.close()
    os.unlink(stores.root / "commitlog" / f"{8192:020d}")
    with pytest.raises(StoreError, match="does not follow"):
        stores.open()


def test_another_segment_size_is_refused(stores: Any, message: Any) -> None:
    fill(store := stores.open(), message, 150)
    store.close()
    with pytest.raises(StoreError, match="mappedFileSizeCommitLog"):
        stores.open(segment_size=4096)


def test_apaches_checkpoint_is_understood_by_its_times(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open()
    for number in range(150):
        clock.now += 1000
        store.put(message(number))
    store.close()
    state = checkpoint.load(stores.root / "checkpoint")
    content = bytearray((stores.root / "checkpoint").read_bytes())
    content[0:8] = (state.physic_timestamp - 1).to_bytes(8, "big")
    (stores.root / "checkpoint").write_bytes(content)
    assert checkpoint.load(stores.root / "checkpoint").position is None
    again = stores.open()
    assert bodies(stores.reader(again)()) == [b"body %d" % number for number in range(150)]
    assert len(again.query("T", "U149", 32, 0, 1 << 60)) == 1


def test_a_checkpoint_cut_or_damaged_anywhere_does_no_harm(stores: Any, message: Any) -> None:
    fill(store := stores.open(), message, 20)
    store.close()
    whole = (stores.root / "checkpoint").read_bytes()
    for number in range(0, 90, 7):
        for content in (whole[:number], whole[:number] + b"\x55" + whole[number + 1 :]):
            (stores.root / "checkpoint").write_bytes(content)
            again = stores.open()
            assert len(stores.reader(again)()) == 20
            again.close()


def test_a_queue_file_cut_anywhere_after_a_kill_is_made_again(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    fill(store, message, 25)
    store.flush()
    copy = stores.killed()
    for cut in range(0, 200, 13):
        root = copy.with_name(f"queue-cut-{cut}")
        shutil.copytree(copy, root)
        os.truncate(root / "consumequeue" / "T" / "0" / f"{400:020d}", cut)
        again = stores.open(root)
        assert bodies(stores.reader(again)()) == [b"body %d" % number for number in range(25)]
        again.close()


def test_entries_of_records_that_were_cut_off_never_come_back(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    puts = fill(store, message, 12)
    store.flush()
    copy = stores.killed()
    os.truncate(copy / "commitlog" / f"{0:020d}", puts[5].position)
    again = stores.open(copy)
    for number in range(60):  # the log grows beyond what the lost entries spoke of
        again.put(message(number, queue_id=1))
    again.flush()
    third = stores.open(stores.killed(copy))
    assert (third.max_offset("T", 0), third.max_offset("T", 1)) == (5, 60)
    assert third.put(message()).queue_offset == 5


def test_entries_behind_a_hole_never_come_back_either(stores: Any, message: Any) -> None:
    sizes = {"checkpoint_interval": 1 << 40, "queue_file_size": 40_000, "segment_size": 1 << 20}
    store = stores.open(**sizes)
    puts = fill(store, message, 1000)
    store.flush()
    copy = stores.killed()
    os.truncate(copy / "commitlog" / f"{0:020d}", puts[5].position)
    with open(copy / "consumequeue" / "T" / "0" / f"{0:020d}", "r+b") as file:
        file.seek(5 * 20)
        file.write(bytes(8192))  # of the queue's pages only a later one was written
    again = stores.open(copy, **sizes)
    for number in range(1100):
        again.put(message(number, queue_id=1))
    again.flush()
    third = stores.open(stores.killed(copy), **sizes)
    assert (third.max_offset("T", 0), third.max_offset("T", 1)) == (5, 1100)


def test_a_topic_deleted_and_made_again_begins_at_zero_after_a_kill_too(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    fill(store, message, 20)
    store.delete_topic("T")
    fill(store, message, 3, start=50)
    again = stores.open(stores.killed())
    assert bodies(stores.reader(again)()) == [b"body 50", b"body 51", b"body 52"]


def test_a_record_longer_than_the_chunks_recovery_reads_is_kept(stores: Any, message: Any) -> None:
    store = stores.open(segment_size=16 << 20, checkpoint_interval=1 << 40)
    for number, size in enumerate((10, 5 << 20, 6 << 20, 10)):
        store.put(message(number, body=b"x" * size))
    again = stores.open(stores.killed(), segment_size=16 << 20)
    assert [len(stored.body) for stored in stores.reader(again)()] == [10, 5 << 20, 6 << 20, 10]
