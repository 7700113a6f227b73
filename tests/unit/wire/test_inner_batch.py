"""A record that holds several messages, taken apart."""

from __future__ import annotations

from zlib import crc32

import pytest

from rocket_wire import record
from rocket_wire.compression import Compression, compress
from rocket_wire.errors import ProtocolError
from rocket_wire.inner_batch import BITS, unwrapped
from rocket_wire.record import BatchItem, Message

ITEMS = [BatchItem(b"a", b"TAGS\x01A\x02"), BatchItem(b"", b"", 7), BatchItem(b"cc" * 50, b"KEYS\x01k\x02")]


def batch(body: bytes, sys_flag: int = BITS) -> Message:
    stored = Message(
        topic="T", queue_id=3, body=body, properties=b"UNIQ_KEY\x01U\x02INNER_NUM\x013\x02", queue_offset=40, flag=1,
        position=4096, sys_flag=sys_flag, born_timestamp=5, store_timestamp=6, reconsume_times=2,
    )  # fmt: skip
    return record.decode(record.encode(stored))


def test_its_messages_have_offsets_that_follow_each_other_and_all_else_of_the_record() -> None:
    whole = batch(record.join_batch(ITEMS))
    parts = unwrapped(whole)
    assert [BatchItem(part.body, part.properties, part.flag) for part in parts] == ITEMS
    assert [part.queue_offset for part in parts] == [40, 41, 42]
    for part in parts:
        assert (part.topic, part.queue_id, part.position) == ("T", 3, 4096)
        assert (part.born_timestamp, part.store_timestamp, part.born_host) == (5, 6, whole.born_host)
        assert part.reconsume_times == 0
        assert part.crc == crc32(part.body) & 0x7FFFFFFF
    assert sum(part.size for part in parts) == len(whole.body)


def test_a_message_that_came_out_is_not_taken_apart_again() -> None:
    (part, *_) = unwrapped(batch(record.join_batch([BatchItem(record.join_batch(ITEMS), b"")])))
    assert unwrapped(part) == [part]


@pytest.mark.parametrize("sys_flag", [0, record.INNER_BATCH, record.NEED_UNWRAP])
def test_a_record_without_both_bits_is_a_message(sys_flag: int) -> None:
    stored = batch(record.join_batch(ITEMS), sys_flag)
    assert unwrapped(stored) == [stored]


def test_a_batch_that_was_compressed_as_a_whole_is_decompressed_once() -> None:
    whole = batch(compress(record.join_batch(ITEMS)), BITS | Compression.ZLIB.sys_flag)
    parts = unwrapped(whole)
    assert [part.body for part in parts] == [item.body for item in ITEMS]
    assert {part.sys_flag for part in parts} == {0}


def test_where_the_record_is_damaged_no_message_of_it_is_whole() -> None:
    stored = batch(record.join_batch(ITEMS).replace(b"cc", b"cd", 1))
    damaged = record.decode(record.encode(stored).replace(b"cdcc", b"cccc", 1), check_crc=False)
    assert all(part.crc != crc32(part.body) & 0x7FFFFFFF for part in unwrapped(damaged))


@pytest.mark.parametrize("body", [b"", b"no batch", record.join_batch(ITEMS)[:-1]])
def test_a_body_that_is_no_batch_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        unwrapped(batch(body))
