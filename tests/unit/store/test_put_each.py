"""Messages that are put together: one write for all, and each stored or refused for itself."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from rocket_broker.store.errors import StoreError
from rocket_broker.store.values import Put
from rocket_testing.disk_calls import DiskCalls
from rocket_wire import record


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, stores: Any) -> DiskCalls:
    return DiskCalls(monkeypatch, stores.root)


def bodies(store: Any, queue_id: int = 0) -> list[bytes]:
    found: list[bytes] = []
    while entries := store.queue_entries("T", queue_id, len(found), 1000):
        found += [record.decode(store.look_up(position, size)).body for position, size, _ in entries]
    return found


def test_all_that_fit_a_segment_are_one_write(stores: Any, message: Any, disk: DiskCalls) -> None:
    store = stores.open()
    store.put(message(0))
    disk.fail_call(-1, errno.EIO, names=("pwrite",), part="commitlog")  # counts
    puts = store.put_each([message(number, queue_id=number % 2) for number in range(1, 8)])
    assert disk.count == 1
    assert [put.queue_offset for put in puts] == [0, 1, 1, 2, 2, 3, 3]
    assert bodies(store, 1) == [b"body 1", b"body 3", b"body 5", b"body 7"]


def test_messages_for_several_segments_are_stored_in_order(stores: Any, message: Any) -> None:
    store = stores.open()
    sent = [message(number, body=b"%d" % number * 500) for number in range(60)]
    puts = store.put_each(sent)
    assert [put.queue_offset for put in puts] == list(range(60))
    assert len({put.position // 8192 for put in puts}) > 3
    assert bodies(store) == bodies(stores.open(stores.killed())) == [one.body for one in sent]


def test_one_that_cannot_be_stored_costs_no_other(stores: Any, message: Any) -> None:
    store = stores.open()
    too_large, no_topic, wrong = message(body=b"x" * 9000), message(topic="a/b"), message(flag=1 << 40)
    puts = store.put_each([message(0), too_large, message(1), no_topic, wrong, message(2)])
    assert [isinstance(put, Put) for put in puts] == [True, False, True, False, False, True]
    assert all(isinstance(put, StoreError) for put in puts[1::2][:2])
    assert bodies(store) == [b"body 0", b"body 1", b"body 2"]
    assert puts[5].position == puts[2].end


def test_a_write_that_fails_stores_none_of_its_messages(stores: Any, message: Any, disk: DiskCalls) -> None:
    store = stores.open()
    store.put(message(0))
    disk.fail_call(0, errno.EIO, names=("pwrite",), part="commitlog")
    refused = store.put_each([message(number) for number in range(1, 4)])
    assert ["cannot write" in str(error) for error in refused] == [True] * 3
    assert store.max_offset("T", 0) == 1
    [put] = store.put_each([message(4)])
    assert put.queue_offset == 1
    assert bodies(store) == bodies(stores.open(stores.killed())) == [b"body 0", b"body 4"]


def test_a_write_that_fails_takes_nothing_back_of_the_segment_before(
    stores: Any, message: Any, disk: DiskCalls
) -> None:
    store = stores.open()
    store.put(message(0))
    disk.fail_call(2, errno.EIO, names=("pwrite",), part="commitlog")  # behind the first run and the segment's end
    results = store.put_each([message(number, body=b"x" * 1000) for number in range(10)])
    assert [isinstance(put, Put) for put in results] == [True] * 7 + [False] * 3
    assert store.put(message(30)).queue_offset == 8


def test_what_stands_in_another_segment_than_the_write_that_fails_is_stored(
    stores: Any, message: Any, disk: DiskCalls
) -> None:
    store = stores.open()
    store.put(message(0))
    disk.fail(errno.ENOSPC, names=("posix_fallocate",), part="commitlog")
    results = store.put_each([message(number, body=b"x" * 1000) for number in range(20)])
    stored = [isinstance(put, Put) for put in results]
    assert stored == [True] * 7 + [False] * 13
    assert "No space left" in str(results[-1])
    disk.heal()
    assert store.put(message(30)).queue_offset == 8
