"""Old segments go, and queues and index with them; offsets never go back."""

from __future__ import annotations

import itertools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rocket_broker.store.store import GetStatus

HOUR = 3_600_000
ALWAYS = tuple(range(24))


@pytest.fixture
def old_and_new(stores: Any, message: Any, clock: Any) -> Any:
    """A store with 100 messages that are 100 hours old, 100 new ones, and a queue that has only old ones."""
    store = stores.open(delete_when=ALWAYS)
    for number in range(10):
        store.put(message(number, queue_id=1))
    for number in range(100):
        store.put(message(number))
    clock.now += 100 * HOUR
    for number in range(100, 200):
        store.put(message(number))
    store.flush()
    return store


def test_expired_segments_are_deleted_with_their_entries(stores: Any, old_and_new: Any, clock: Any) -> None:
    store = old_and_new
    assert store.delete_expired(clock.now) == 1
    assert store.min_position == 8192
    assert sorted(os.listdir(stores.root / "commitlog"))[0] == f"{8192:020d}"
    first = store.min_offset("T", 0)
    assert 40 < first < 100
    read = stores.reader(store)()
    assert [message.queue_offset for message in read] == list(range(first, 200))
    assert min(map(int, os.listdir(stores.root / "consumequeue" / "T" / "0"))) // 20 <= first
    assert len(os.listdir(stores.root / "consumequeue" / "T" / "0")) < 20
    got = store.get("T", 0, 0, max_messages=1, max_bytes=1000, tags=None)
    assert (got.status, got.next_offset) == (GetStatus.OFFSET_TOO_SMALL, first)


def test_a_queue_that_lost_everything_goes_on_where_it_was(
    stores: Any, old_and_new: Any, clock: Any, message: Any
) -> None:
    store = old_and_new
    store.delete_expired(clock.now)
    assert (store.min_offset("T", 1), store.max_offset("T", 1)) == (10, 10)
    store.close()
    again = stores.open()
    assert (again.min_offset("T", 1), again.max_offset("T", 1)) == (10, 10)
    assert again.put(message(queue_id=1)).queue_offset == 10
    assert len(stores.reader(again)("T", 1)) == 1


def test_nothing_is_deleted_before_its_time(old_and_new: Any, clock: Any) -> None:
    assert old_and_new.delete_expired(clock.now - 29 * HOUR) == 0


def test_the_active_segment_is_never_deleted(stores: Any, old_and_new: Any, clock: Any) -> None:
    store = old_and_new
    store.delete_expired(clock.now + 1000 * HOUR)
    assert store.min_position == store.max_position // 8192 * 8192
    assert stores.reader(store)()


def test_other_hours_than_those_set_delete_nothing(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open(delete_when=(), max_used_ratio=1.1)
    for number in range(200):
        store.put(message(number))
    assert store.delete_expired(clock.now + 1000 * HOUR) == 0


def test_a_segment_that_was_never_synced_may_expire(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open(delete_when=ALWAYS)
    for number in range(200):
        store.put(message(number))
    assert store.delete_expired(clock.now + 1000 * HOUR) > 0
    assert store.sync_log() == store.max_position


def test_a_disk_that_is_too_full_does_not_wait_for_the_hour(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open(delete_when=(), max_used_ratio=0.0)
    for number in range(200):
        store.put(message(number))
    assert store.delete_expired(clock.now + 1000 * HOUR) > 0


def test_a_reader_of_a_deleted_segment_reads_on(old_and_new: Any, clock: Any) -> None:
    store = old_and_new
    file = store._log.file(0)
    store.delete_expired(clock.now)
    assert file.read(0, 8)[4:8] == bytes.fromhex("daa320a7")


def test_index_files_go_with_the_log_and_what_is_left_is_found(old_and_new: Any, stores: Any, clock: Any) -> None:
    store = old_and_new
    before = len(os.listdir(stores.root / "index"))
    store.delete_expired(clock.now)
    assert len(os.listdir(stores.root / "index")) < before
    assert store.query("T", "U5", 9, 0, 1 << 60) == []
    assert len(store.query("T", "U199", 9, 0, 1 << 60)) == 1


def test_a_restart_from_the_log_alone_keeps_offsets_after_retention(stores: Any, old_and_new: Any, clock: Any) -> None:
    store = old_and_new
    store.delete_expired(clock.now)
    first, last = store.min_offset("T", 0), store.max_offset("T", 0)
    store.close()
    for path in itertools.chain((stores.root / "consumequeue").rglob("*"), [stores.root / "checkpoint"]):
        if path.is_file():
            path.unlink()
    again = stores.open()
    assert (again.min_offset("T", 0), again.max_offset("T", 0)) == (first, last)
    assert [message.queue_offset for message in stores.reader(again)()] == list(range(first, last))


def full(monkeypatch: pytest.MonkeyPatch, used: int, total: int = 1_000_000) -> None:
    """The disk says that `used` of `total` bytes are in use."""
    usage = shutil._ntuple_diskusage(total, used, total - used)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)


def test_a_disk_that_fills_up_takes_no_message_before_its_time(
    stores: Any, old_and_new: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(monkeypatch, 990_000)
    assert old_and_new.delete_expired(clock.now - 29 * HOUR) == 0


def test_messages_go_before_their_time_where_somebody_chose_that(
    stores: Any, message: Any, clock: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores.open(delete_when=(), clean_forcibly=True)
    for number in range(400):
        store.put(message(number))
    full(monkeypatch, 850_000)
    assert store.delete_expired(clock.now) == 0
    full(monkeypatch, 860_000)  # 10 000 bytes above 85 %: two segments of 8192
    assert store.delete_expired(clock.now) == 2
    assert "86 % full: messages before position 16384 go before their time (cleanFileForciblyEnable)" in caplog.text
    assert store.min_offset("T", 0) > 0
    assert len(stores.reader(store)()) == 400 - store.min_offset("T", 0)


def test_a_disk_that_others_filled_takes_ten_segments_at_a_look_and_never_the_active_one(
    stores: Any, message: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores.open(delete_when=(), clean_forcibly=True)
    for number in range(800):
        store.put(message(number))
    full(monkeypatch, 1_000_000)
    assert store.delete_expired(clock.now) == 10
    while store.delete_expired(clock.now):
        pass
    assert store.min_position == store.max_position // 8192 * 8192
    assert stores.reader(store)()


def test_a_disk_that_is_nearly_full_is_told_once_and_its_end_too(
    stores: Any, clock: Any, message: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    store = stores.open()
    store.put(message())
    for used in (910_000, 920_000, 890_000, 800_000):
        full(monkeypatch, used)
        store.delete_expired(clock.now)
    told = [record.message for record in caplog.records if "the disk of" in record.message]
    assert ["91 % full" in line for line in told] == [True, False]
    assert told[1].endswith("has room again")


def test_what_somebody_asks_to_delete_goes_at_any_hour_when_it_has_expired(
    stores: Any, message: Any, clock: Any
) -> None:
    store = stores.open(delete_when=(), max_used_ratio=1.1)
    for number in range(200):
        store.put(message(number))
    assert store.delete_expired(clock.now, at_any_hour=True) == 0
    assert store.delete_expired(clock.now + 1000 * HOUR, at_any_hour=True) > 0


def test_messages_are_put_and_read_while_segments_are_deleted_in_a_thread(
    stores: Any, message: Any, clock: Any
) -> None:
    store = stores.open(delete_when=ALWAYS)
    with ThreadPoolExecutor(1) as threads:
        for number in range(1000):
            clock.now += HOUR
            store.put(message(number))
            if number % 10 == 0:
                deleting = threads.submit(store.cleaner.delete, clock.now)
                for _ in range(5):
                    store.get("T", 0, store.min_offset("T", 0), max_messages=1, max_bytes=1000, tags=None)
                deleting.result()
                store.trim()
    assert store.min_position > 0
    assert stores.reader(store)()[-1].queue_offset == 999


def test_queues_of_topics_that_nobody_knows_any_more_can_be_removed(stores: Any, message: Any) -> None:
    store = stores.open()
    for topic in ("kept", "lost"):
        store.put(message(topic=topic))
    assert store.delete_unused_topics({"kept"}) == ["lost"]
    assert store.max_offset("lost", 0) == 0
    assert len(stores.reader(store)("kept")) == 1
