"""Topics whose queues are of batches: what is put there, and every way to read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rocket_broker.store.errors import StoreError
from rocket_broker.store.store import GetStatus, Outgoing
from rocket_testing.batch_store import SIZES, Batches, check_all, entries, files, read
from rocket_wire import properties, record
from rocket_wire.inner_batch import BITS, unwrapped


@pytest.fixture
def batches(message: Callable[..., Outgoing], stores: Any) -> Batches:
    stores.batch_topics.add("T")
    return Batches(message)


# -- what is stored ----------------------------------------------------------------------------------------------------


def test_a_batch_is_one_record_that_says_how_many_messages_it_holds_and_where_they_begin(
    stores: Any, batches: Batches
) -> None:
    store = stores.open()
    puts = batches.put_all(store, (3, 2), properties=b"UNIQ_KEY\x01U\x02")
    assert [(put.queue_offset, put.count) for put in puts] == [(0, 3), (3, 2)]
    second = record.decode(store.look_up(puts[1].position))
    assert (second.queue_offset, second.sys_flag) == (3, BITS)
    assert properties.decode(second.properties) == {"UNIQ_KEY": "U", "INNER_NUM": "2", "INNER_BASE": "3"}
    assert [part.queue_offset for part in unwrapped(second)] == [3, 4]


def test_its_queue_has_one_entry_of_46_bytes_in_a_folder_of_its_own(stores: Any, batches: Batches) -> None:
    store = stores.open()
    first, second = batches.put_all(store, (3, 0), properties=b"TAGS\x01A\x02")
    store.flush()
    assert entries(stores.root) == [
        (first.position, first.size, 65, stores.clock.now, 0, 3, -1, 0),
        (second.position, second.size, 65, stores.clock.now, 3, 1, -1, 0),
    ]
    assert not (stores.root / "consumequeue" / "T").exists()


def test_messages_sent_alone_in_one_write_have_entries_of_one_message(
    stores: Any, batches: Batches, message: Callable[..., Outgoing]
) -> None:
    store = stores.open()
    puts = store.put_many([message(number) for number in range(5)])
    assert [put.queue_offset for put in puts] == list(range(5))
    assert batches.put(store, 3).queue_offset == 5
    assert store.put_each([message(8)])[0].queue_offset == 8


def test_other_topics_keep_plain_queues(stores: Any, batches: Batches, message: Callable[..., Outgoing]) -> None:
    store = stores.open()
    store.put(message(topic="Other"))
    batches.put(store, 2)
    store.flush()
    assert (store.has_batches("T"), store.has_batches("Other")) == (True, False)
    assert [path.name for path in (stores.root / "consumequeue").iterdir()] == ["Other"]


def test_a_message_cannot_claim_to_be_a_batch(stores: Any, message: Callable[..., Outgoing]) -> None:
    store = stores.open()
    put = store.put(message(sys_flag=BITS | 0x1, properties=b"INNER_NUM\x0150\x02INNER_BASE\x010\x02"))
    assert record.decode(store.look_up(put.position)).sys_flag == 0x1
    assert store.max_offset("T", 0) == 1
    assert stores.open(stores.killed()).max_offset("T", 0) == 1


def test_a_batch_that_has_no_room_in_a_segment_is_refused_and_takes_no_offset(stores: Any, batches: Batches) -> None:
    store = stores.open()
    batches.put(store, 2)
    with pytest.raises(StoreError):
        store.put_batch(Outgoing(topic="T", queue_id=0, body=bytes(9000)), 3)
    assert batches.put(store, 2).queue_offset == 2


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_flushed", [False, True])
def test_every_offset_inside_of_a_batch_leads_to_its_record(stores: Any, batches: Batches, is_flushed: bool) -> None:
    store = stores.open()
    batches.put_all(store)
    if is_flushed:
        store.flush()
    check_all(store, batches.bodies)


def test_a_read_takes_no_more_messages_than_are_wanted_but_the_first_record_whole(
    stores: Any, batches: Batches
) -> None:
    store = stores.open()
    batches.put_all(store, (3, 3, 3, 0, 10, 1))
    assert [len(read(store, 0, limit)) for limit in (1, 3, 5, 6, 9, 10, 19, 20, 21, 99)] == [
        3, 3, 3, 6, 9, 10, 10, 20, 21, 21,
    ]  # fmt: skip
    assert len(read(store, 11, 5)) == 10
    assert len(read(store, 0, 99, max_bytes=10)) == 3


def test_a_whole_queue_is_read_from_one_next_offset_to_the_other(stores: Any, batches: Batches) -> None:
    store = stores.open()
    batches.put_all(store, SIZES * 5)
    found: list[bytes] = []
    while len(found) < store.max_offset("T", 0):
        found += [message.body for message in read(store, len(found), 8)]
    assert found == batches.bodies


def test_reads_outside_of_the_queue_are_answered_as_in_plain_ones(stores: Any, batches: Batches) -> None:
    store = stores.open()
    batches.put_all(store, (3, 4))
    wish: dict[str, Any] = {"max_messages": 1, "max_bytes": 1, "tags": None}
    assert store.get("T", 0, 7, **wish).status is GetStatus.OFFSET_OVERFLOW_ONE
    assert store.get("T", 0, 8, **wish).next_offset == 7
    assert store.get("T", 1, 0, **wish).status is GetStatus.NO_MATCHED_LOGIC_QUEUE


def test_a_batch_has_the_tag_of_its_record_whatever_its_messages_have(stores: Any, batches: Batches) -> None:
    store = stores.open()
    batches.put(store, 3, properties=b"TAGS\x01A\x02")
    batches.put(store, 3)
    batches.put(store, 2, properties=b"TAGS\x01A\x02")
    got = store.get("T", 0, 1, max_messages=9, max_bytes=9999, tags=frozenset({65}))
    assert (got.count, got.next_offset, len(record.decode_all(got.body))) == (5, 8, 2)
    got = store.get("T", 0, 4, max_messages=1, max_bytes=9999, tags=frozenset({66}))
    assert (got.status, got.next_offset) == (GetStatus.NO_MATCHED_MESSAGE, 8)


def test_entries_are_those_of_the_messages_that_are_asked_for(stores: Any, batches: Batches) -> None:
    store = stores.open()
    puts = batches.put_all(store, (3, 0, 4))
    found = [(put.position, put.size, 0) for put in puts]
    assert store.queue_entries("T", 0, 0, 1) == found[:1]
    assert store.queue_entries("T", 0, 2, 2) == found[:2]
    assert store.queue_entries("T", 0, 3, 2) == found[1:]
    assert store.queue_entries("T", 0, 6, 1) == found[2:]


def test_a_time_leads_to_the_first_message_of_the_batch_that_was_stored_then(stores: Any, batches: Batches) -> None:
    store, times = stores.open(), []
    for size in (3, 0, 4):
        stores.clock.now += 10
        times.append(stores.clock.now)
        batches.put(store, size)
    assert [store.offset_by_time("T", 0, time) for time in times] == [0, 3, 4]
    assert [store.offset_by_time("T", 0, time + 1) for time in times] == [3, 4, 8]
    assert [store.store_time("T", 0, offset) for offset in (0, 2, 3, 4, 7)] == [
        *times[:1] * 2,
        times[1],
        *times[2:] * 2,
    ]
    assert store.earliest_store_time("T", 0) == times[0]


def test_an_entry_that_is_of_no_record_is_passed_over_with_all_its_messages(
    stores: Any, batches: Batches, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores.open()
    batches.put_all(store, (3, 4, 2))
    store.flush()
    path = stores.root / "batchconsumequeue/T/0" / f"{0:020d}"
    content = path.read_bytes()
    path.write_bytes(content[:46] + bytes(7) + b"\x05" + content[54:])
    got = store.get("T", 0, 0, max_messages=99, max_bytes=9999, tags=None, may_block=True)
    assert (got.count, got.next_offset) == (5, 9)
    assert "queue T/0: the entry at offset 3 is of no record: passed over" in caplog.text


@pytest.mark.parametrize("harm", ["gone", "zeros", "rubbish"])
def test_around_a_damaged_file_every_other_message_is_found(stores: Any, batches: Batches, harm: str) -> None:
    store = stores.open()
    batches.put_all(store, SIZES * 3)  # five entries a file
    store.flush()
    offsets = [entry[4] for entry in entries(stores.root)]
    path = files(stores.root)[3]
    path.unlink() if harm == "gone" else path.write_bytes({"zeros": b"\0", "rubbish": b"\x7f"}[harm] * 230)
    store._queues._batch.files._files.forget("")
    for number in (*range(15), *range(20, len(offsets))):
        assert read(store, offsets[number])[0].queue_offset == offsets[number]
    found, offset = 0, 0
    while offset < len(batches.bodies):
        got = store.get("T", 0, offset, max_messages=9, max_bytes=9999, tags=None, may_block=True)
        assert offset < got.next_offset <= len(batches.bodies)
        found, offset = found + got.count, got.next_offset
    assert found == len(batches.bodies) - (offsets[20] - offsets[15])


# -- the index, deleting -----------------------------------------------------------------------------------------------


def test_a_batch_is_found_by_the_key_of_the_whole(stores: Any, batches: Batches) -> None:
    store = stores.open()
    batches.put(store, 3, properties=b"UNIQ_KEY\x01whole\x02")
    (found,) = store.query("T", "whole", 9, 0, 1 << 60)
    assert len(unwrapped(record.decode(found))) == 3


def test_a_deleted_topic_leaves_nothing_and_begins_anew_as_whatever_it_is_then(stores: Any, batches: Batches) -> None:
    store = stores.open()
    batches.put_all(store)
    store.flush()
    store.delete_topic("T")
    stores.batch_topics.clear()
    store.flush()
    assert not (stores.root / "batchconsumequeue" / "T").exists()
    assert (store.max_offset("T", 0), store.has_batches("T")) == (0, False)
    batches.bodies.clear()
    assert batches.put(store, 0).queue_offset == 0
    assert stores.open(stores.killed()).max_offset("T", 0) == 1
