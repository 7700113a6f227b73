"""What is put comes back: offsets, filters, limits and the answers at a queue's ends."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest

from rocket_broker.store.errors import StoreError
from rocket_broker.store.store import GetStatus, Got, MessageStore
from rocket_wire import record
from rocket_wire.hashing import string_hash


def get(store: MessageStore, offset: int = 0, **changes: Any) -> Got:
    values: dict[str, Any] = {"max_messages": 32, "max_bytes": 1 << 20, "tags": None, "may_block": True}
    topic, queue_id = changes.pop("topic", "T"), changes.pop("queue_id", 0)
    got = store.get(topic, queue_id, offset, **(values | changes))
    assert got is not None
    return got


def bodies(got: Got) -> list[bytes]:
    return [message.body for message in record.decode_all(got.body)]


def test_every_field_of_a_message_comes_back(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open()
    sent = message(7, queue_id=3, flag=-5, sys_flag=0x100, reconsume_times=2, prepared_transaction_offset=99)
    put = store.put(sent)
    (stored,) = record.decode_all(get(store, queue_id=3).body)
    assert (stored.topic, stored.queue_id, stored.body, stored.properties) == ("T", 3, sent.body, sent.properties)
    assert (stored.flag, stored.sys_flag, stored.reconsume_times) == (-5, 0x100, 2)
    assert (stored.position, stored.size, stored.queue_offset) == (put.position, put.size, 0)
    assert (stored.born_timestamp, stored.store_timestamp) == (sent.born_timestamp, clock.now)
    assert (stored.born_host, stored.store_host) == (sent.born_host, sent.store_host)
    assert stored.prepared_transaction_offset == 99


@pytest.mark.parametrize("born", [8, 20])
@pytest.mark.parametrize("stored", [8, 20])
def test_hosts_of_both_families_are_kept(stores: Any, message: Any, born: int, stored: int) -> None:
    store = stores.open()
    store.put(message(born_host=bytes(range(born)), store_host=bytes(range(stored))))
    store.put(message(1))
    first, second = record.decode_all(get(store).body)
    assert (first.born_host, first.store_host) == (bytes(range(born)), bytes(range(stored)))
    assert second.body == b"body 1"


def test_a_topic_longer_than_127_bytes_is_stored_as_version_2(stores: Any, message: Any) -> None:
    store = stores.open()
    topic = "%RETRY%" + "g" * 200
    store.put(message(topic=topic))
    got = get(store, topic=topic)
    assert got.body[4:8] == bytes.fromhex("daa320ab")
    assert record.decode_all(got.body)[0].topic == topic


def test_each_queue_counts_its_own_offsets(stores: Any, message: Any) -> None:
    store = stores.open()
    offsets = [store.put(message(topic=topic, queue_id=queue)).queue_offset for topic in "AB" for queue in (0, 1, 0)]
    assert offsets == [0, 0, 1, 0, 0, 1]
    assert sorted(store.queues()) == [("A", 0), ("A", 1), ("B", 0), ("B", 1)]


def test_records_fill_segments_and_go_on_in_the_next(stores: Any, message: Any) -> None:
    store = stores.open()
    puts = [store.put(message(number, body=b"x" * 500)) for number in range(60)]
    assert all(put.position % 8192 + put.size + 8 <= 8192 for put in puts)
    assert len({put.position // 8192 for put in puts}) > 3
    got = get(store, max_messages=100)
    assert got.count == 60
    assert [stored.queue_offset for stored in record.decode_all(got.body)] == list(range(60))


def test_a_message_that_fits_no_segment_is_refused(stores: Any, message: Any) -> None:
    store = stores.open()
    with pytest.raises(StoreError, match="does not fit in a segment"):
        store.put(message(body=b"x" * 8192))
    assert store.put(message()).queue_offset == 0


def test_a_batch_is_stored_in_one_piece_with_consecutive_offsets(stores: Any, message: Any) -> None:
    store = stores.open()
    store.put(message(0))
    puts = store.put_many([message(number, body=b"x" * 300) for number in range(1, 20)])
    assert [put.queue_offset for put in puts] == list(range(1, 20))
    assert all(after.position == before.position + before.size for before, after in itertools.pairwise(puts))
    assert get(store).count == 20


def test_a_batch_over_several_queues_counts_each(stores: Any, message: Any) -> None:
    store = stores.open()
    puts = store.put_many([message(number, queue_id=number % 2) for number in range(6)])
    assert [put.queue_offset for put in puts] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("offset", "status", "next_offset"),
    [
        (3, GetStatus.OFFSET_OVERFLOW_ONE, 3),
        (4, GetStatus.OFFSET_OVERFLOW_BADLY, 3),
        (-1, GetStatus.OFFSET_TOO_SMALL, 0),
    ],
)
def test_reading_outside_of_a_queue(
    stores: Any, message: Any, offset: int, status: GetStatus, next_offset: int
) -> None:
    store = stores.open()
    for number in range(3):
        store.put(message(number))
    got = get(store, offset)
    assert (got.status, got.next_offset, got.min_offset, got.max_offset) == (status, next_offset, 0, 3)
    assert got.body == b""


def test_reading_a_queue_that_never_was(stores: Any) -> None:
    got = get(stores.open(), 5)
    assert (got.status, got.next_offset) == (GetStatus.NO_MATCHED_LOGIC_QUEUE, 0)


def test_a_read_takes_no_more_messages_than_asked(stores: Any, message: Any) -> None:
    store = stores.open()
    for number in range(9):
        store.put(message(number))
    got = get(store, 2, max_messages=3)
    assert bodies(got) == [b"body 2", b"body 3", b"body 4"]
    assert (got.count, got.next_offset) == (3, 5)


def test_a_read_takes_no_more_bytes_than_asked_but_always_the_first(stores: Any, message: Any) -> None:
    store = stores.open()
    size = store.put(message(0)).size
    for number in range(1, 4):
        store.put(message(number))
    assert get(store, max_bytes=3 * size - 1).count == get(store, max_bytes=2 * size).count == 2
    assert get(store, max_bytes=1).count == 1


def test_only_messages_with_a_wanted_tag_are_read_and_the_rest_is_passed_over(stores: Any, message: Any) -> None:
    store = stores.open()
    for number in range(12):
        tag = b"TagA" if number % 3 == 0 else b"TagB"
        store.put(message(number, properties=b"UNIQ_KEY\x01U\x02TAGS\x01" + tag + b"\x02"))
    got = get(store, tags=frozenset({string_hash("TagA")}))
    assert bodies(got) == [b"body 0", b"body 3", b"body 6", b"body 9"]
    assert get(store, got.next_offset - 1, tags=frozenset({string_hash("TagA")})).status in (
        GetStatus.NO_MATCHED_MESSAGE,
        GetStatus.FOUND,
    )
    none = get(store, tags=frozenset({string_hash("TagC")}))
    assert none.status is GetStatus.NO_MATCHED_MESSAGE
    assert none.next_offset > 0


def test_messages_of_interleaved_queues_do_not_mix(stores: Any, message: Any) -> None:
    store = stores.open()
    for number in range(40):
        store.put(message(number, queue_id=number % 4, body=b"%d" % number * (1 + number % 7)))
    for queue in range(4):
        wanted = [b"%d" % number * (1 + number % 7) for number in range(queue, 40, 4)]
        assert bodies(get(store, queue_id=queue)) == wanted


def test_a_read_does_not_depend_on_whether_the_queue_is_written_out(stores: Any, message: Any) -> None:
    store = stores.open()
    for number in range(25):
        store.put(message(number))
        if number in (3, 9, 17):
            store.flush()
    seen: list[bytes] = []
    offset = 0
    while (got := get(store, offset, max_messages=4)).status is GetStatus.FOUND:
        seen += bodies(got)
        offset = got.next_offset
    assert seen == [b"body %d" % number for number in range(25)]


def test_a_queue_file_that_vanishes_is_passed_over(stores: Any, message: Any) -> None:
    store = stores.open(open_files=1)
    for number in range(25):
        store.put(message(number))
    store.flush()
    (stores.root / "consumequeue" / "T" / "0" / f"{200:020d}").unlink()
    assert get(store, 0).count == 10
    got = get(store, 12)
    assert (got.status, got.next_offset) == (GetStatus.OFFSET_FOUND_NULL, 20)
    assert get(store, 20).count == 5


def test_prepared_and_rolled_back_messages_are_not_in_their_queue(stores: Any, message: Any) -> None:
    store = stores.open()
    for number, sys_flag in enumerate((0x0, 0x4, 0x8, 0xC)):
        store.put(message(number, sys_flag=sys_flag))
    assert bodies(get(store)) == [b"body 0", b"body 2"]


def test_an_entry_of_the_schedule_topic_holds_the_time_of_delivery(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open()
    for level in (b"2", b"99", b"0"):
        store.put(message(topic="SCHEDULE_TOPIC_XXXX", properties=b"DELAY\x01" + level + b"\x02TAGS\x01T\x02"))
    codes = [tags_code for _, _, tags_code in store.queue_entries("SCHEDULE_TOPIC_XXXX", 0, 0, 9)]
    assert codes == [clock.now + 5000, clock.now + 10_000, string_hash("T")]


def test_a_clock_set_back_a_little_does_not_put_the_log_out_of_order(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open()
    before = store.put(message(0)).store_timestamp
    clock.now -= 5_000
    assert store.put(message(1)).store_timestamp == before


def test_a_clock_that_was_far_ahead_is_not_believed_any_longer(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open()
    store.put(message(0))
    clock.now -= 60_000
    assert store.put(message(1)).store_timestamp == clock.now


def test_a_record_is_looked_up_by_its_position_and_by_nothing_else(stores: Any, message: Any) -> None:
    store = stores.open()
    store.put(message(0))
    put = store.put(message(1, body=b"x" * 6000))
    assert record.decode(store.look_up(put.position)).body == b"x" * 6000
    assert store.look_up(put.position, put.size) == store.look_up(put.position)
    for position in (-1, put.position + 1, put.position - 1, store.max_position, 1 << 60):
        assert store.look_up(position) is None


def test_offsets_are_found_by_time(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open()
    start = clock.now
    for milliseconds in (0, 10, 10, 10, 30):
        clock.now = start + milliseconds
        store.put(message())
    lower = [store.offset_by_time("T", 0, start + at) for at in (-1, 0, 5, 10, 11, 30, 31)]
    upper = [store.offset_by_time("T", 0, start + at, upper=True) for at in (-1, 0, 5, 10, 11, 30, 31)]
    assert lower == [0, 0, 1, 1, 4, 4, 5]
    assert upper == [0, 0, 0, 3, 3, 4, 4]
    assert store.store_time("T", 0, 4) == start + 30
    assert store.store_time("T", 0, 5) is None
    assert store.earliest_store_time("T", 0) == store.earliest_log_time() == start


def test_a_deleted_topic_begins_again_and_leaves_others_alone(stores: Any, message: Any) -> None:
    store = stores.open()
    for topic in ("A", "AB", "A", "AB"):
        store.put(message(topic=topic))
    store.flush()
    store.delete_topic("A")
    assert get(store, topic="A").status is GetStatus.NO_MATCHED_LOGIC_QUEUE
    assert get(store, topic="AB").count == 2
    assert store.put(message(9, topic="A")).queue_offset == 0
    assert bodies(get(store, topic="A")) == [b"body 9"]


def test_properties_beyond_what_a_record_holds_are_refused(stores: Any, message: Any) -> None:
    store = stores.open(segment_size=1 << 20)
    with pytest.raises(StoreError, match="32768 bytes of properties"):
        store.put(message(properties=b"x" * 32_768))
    with pytest.raises(StoreError):
        store.put(message(flag=1 << 40))
    assert store.max_offset("T", 0) == 0
    assert store.put(message()).queue_offset == 0


def test_many_queues_are_synced_at_once_and_need_few_open_files(stores: Any, message: Any) -> None:
    store = stores.open(open_files=8, segment_size=1 << 20, index_enable=False)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(400):
        store.put(message(number, topic=f"T{number % 100}"))
        if number % 100 == 99:
            store.flush()
    assert len(os.listdir("/proc/self/fd")) <= before + 12
    again = stores.open(stores.killed(), segment_size=1 << 20)
    assert all(again.max_offset(f"T{number}", 0) == 4 for number in range(100))
