"""Message records: the layout byte by byte, round trips of any values, and refusals of anything else."""

from __future__ import annotations

import struct
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire import record
from rocket_wire.errors import ProtocolError
from rocket_wire.record import BatchItem, Message

INT = st.integers(-(1 << 31), (1 << 31) - 1)
LONG = st.integers(-(1 << 63), (1 << 63) - 1)
HOST = st.binary(min_size=8, max_size=8) | st.binary(min_size=20, max_size=20)
MESSAGES = st.builds(
    Message,
    topic=st.text(max_size=60) | st.just("t" * 128) | st.just("t" * 255),
    queue_id=INT, body=st.binary(max_size=80), properties=st.binary(max_size=80), flag=INT, queue_offset=LONG,
    position=LONG, sys_flag=st.integers(0, 0xFFFF), born_timestamp=LONG, born_host=HOST, store_timestamp=LONG,
    store_host=HOST, reconsume_times=INT, prepared_transaction_offset=LONG,
)  # fmt: skip


def example(**changes: Any) -> Message:
    values: dict[str, Any] = {
        "topic": "TopicTest",
        "queue_id": 3,
        "body": b"Hello RocketMQ",
        "properties": b"TAGS\x01TagA\x02",
        "flag": 7,
        "queue_offset": 11,
        "position": 4096,
        "sys_flag": 0x8,
        "born_timestamp": 1_700_000_000_001,
        "born_host": bytes((10, 0, 0, 1)) + (40001).to_bytes(4, "big"),
        "store_timestamp": 1_700_000_000_002,
        "store_host": bytes((10, 0, 0, 2)) + (10911).to_bytes(4, "big"),
        "reconsume_times": 2,
        "prepared_transaction_offset": 512,
    }
    return Message(**(values | changes))


def test_every_field_stands_where_the_protocol_says() -> None:
    content = record.encode(example())

    def number(form: str, at: int) -> int:
        value: int = struct.unpack_from(f">{form}", content, at)[0]
        return value

    assert number("i", 0) == len(content)
    assert content[4:8] == bytes.fromhex("DAA320A7")
    assert number("i", 8) == crc32(b"Hello RocketMQ") & 0x7FFFFFFF
    assert (number("i", 12), number("i", 16), number("q", 20), number("q", 28)) == (3, 7, 11, 4096)
    assert (number("i", 36), number("q", 40)) == (8, 1_700_000_000_001)
    assert content[48:56] == bytes((10, 0, 0, 1, 0, 0, 0x9C, 0x41))
    assert number("q", 56) == 1_700_000_000_002
    assert content[64:72] == bytes((10, 0, 0, 2, 0, 0, 0x2A, 0x9F))
    assert (number("i", 72), number("q", 76), number("i", 84)) == (2, 512, 14)
    assert content[88:] == b"Hello RocketMQ\x09TopicTest\x00\x0aTAGS\x01TagA\x02"


def test_a_topic_above_127_bytes_makes_version_2() -> None:
    assert record.encode(example(topic="t" * 127))[4:8] == bytes.fromhex("DAA320A7")
    content = record.encode(example(topic="t" * 128))
    assert content[4:8] == bytes.fromhex("DAA320AB")
    assert content[88 + 14 : 88 + 16] == b"\x00\x80"


def test_ipv6_hosts_are_told_by_sys_flag() -> None:
    content = record.encode(example(born_host=bytes(range(20)), sys_flag=0x20))
    assert content[36:40] == (0x10).to_bytes(4, "big")
    assert content[48:68] == bytes(range(20))


@given(MESSAGES)
def test_any_message_comes_back(message: Message) -> None:
    decoded = record.decode(record.encode(message))
    for name in Message.__struct_fields__:
        if name not in ("sys_flag", "crc", "size"):
            assert getattr(decoded, name) == getattr(message, name)
    assert decoded.sys_flag & ~0x30 == message.sys_flag & ~0x30
    assert decoded.size == len(record.encode(message))


@given(st.lists(MESSAGES, max_size=4))
def test_a_pull_answer_is_records_one_after_the_other(messages: list[Message]) -> None:
    content = b"".join(map(record.encode, messages))
    assert [(message.topic, message.body) for message in record.decode_all(content)] == [
        (message.topic, message.body) for message in messages
    ]


def test_a_record_cut_at_any_byte_is_refused() -> None:
    content = record.encode(example())
    for length in range(len(content)):
        with pytest.raises(ProtocolError):
            record.decode(content[:length])
    assert record.decode(content + b"more") == record.decode(content)
    assert record.decode(b"before" + content, 6).body == b"Hello RocketMQ"


@pytest.mark.parametrize("size", [-1, 0, 7, 91, 100])
def test_a_size_that_lies_is_refused(size: int) -> None:
    content = record.encode(example())
    with pytest.raises(ProtocolError):
        record.decode(struct.pack(">i", size) + content[4:])


def test_a_damaged_body_is_refused_unless_nobody_asks() -> None:
    content = bytearray(record.encode(example()))
    content[90] ^= 1
    with pytest.raises(ProtocolError, match="CRC"):
        record.decode(bytes(content))
    assert record.decode(bytes(content), check_crc=False).body != b"Hello RocketMQ"


@given(MESSAGES, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4), st.integers(0, 400))
def test_a_damaged_record_is_decoded_or_refused(message: Message, damage: list[tuple[int, int]], length: int) -> None:
    content = bytearray(record.encode(message))
    for at, value in damage:
        content[at % len(content)] = value
    for candidate in (bytes(content), bytes(content[:length])):
        for check_crc in (True, False):
            try:
                record.decode_all(candidate, check_crc=check_crc)
            except ProtocolError:
                continue


@given(st.binary(max_size=200), st.sampled_from([record.MAGIC_V1, record.MAGIC_V2, record.BLANK_MAGIC, 0]))
def test_any_bytes_behind_a_true_size_and_magic_are_decoded_or_refused(tail: bytes, magic: int) -> None:
    content = struct.pack(">ii", 8 + len(tail), magic) + tail
    try:
        record.decode(content, check_crc=False)
    except ProtocolError:
        pass
    else:
        assert magic in (record.MAGIC_V1, record.MAGIC_V2)


def test_what_a_record_cannot_hold_is_refused() -> None:
    for changes in ({"properties": bytes(32_768)}, {"topic": "t" * 32_768}, {"born_host": bytes(9)}):
        with pytest.raises(ProtocolError):
            record.encode(example(**changes))


def test_the_next_size_is_told_as_soon_as_eight_bytes_are_there() -> None:
    content = record.encode(example())
    for length in range(8):
        assert record.next_size(content[:length], 1000) is None
    assert record.next_size(content[:8], 1000) == len(content)
    with pytest.raises(ProtocolError):
        record.next_size(content[:8], len(content) + 7)  # no room for a blank behind it


def test_a_blank_reaches_the_end_of_its_segment() -> None:
    blank = record.blank(100)
    assert blank == bytes.fromhex("00000064 CBD43194")
    assert record.next_size(blank, 100) == 100
    assert record.is_blank(blank)
    assert not record.is_blank(record.encode(example()))
    with pytest.raises(ProtocolError):
        record.next_size(blank, 101)


# -- batches ----------------------------------------------------------------------------------------------------------

ITEMS = st.builds(BatchItem, body=st.binary(max_size=50), properties=st.binary(max_size=50), flag=INT)


def test_a_batch_item_is_laid_out_as_the_protocol_says() -> None:
    body = record.join_batch([BatchItem(b"abc", b"k\x01v\x02", 5)])
    assert body == bytes.fromhex("0000001D 00000000 00000000 00000005 00000003") + b"abc\x00\x04k\x01v\x02"


@given(st.lists(ITEMS, min_size=1, max_size=5))
def test_any_batch_comes_back(items: list[BatchItem]) -> None:
    assert record.split_batch(record.join_batch(items)) == items


@given(st.lists(ITEMS, min_size=1, max_size=3), st.integers(0, 200), st.integers(0, 255), st.integers(0, 300))
def test_a_damaged_batch_is_split_or_refused(items: list[BatchItem], at: int, value: int, length: int) -> None:
    body = bytearray(record.join_batch(items))
    body[at % len(body)] = value
    for candidate in (bytes(body), bytes(body[:length])):
        try:
            record.split_batch(candidate)
        except ProtocolError:
            continue


def test_a_batch_cut_inside_an_item_is_refused() -> None:
    items = [BatchItem(b"abc", b"k\x01v\x02"), BatchItem(b"", b"")]
    body = record.join_batch(items)
    for length in range(len(body)):
        if length != 29:  # there the first item ends
            with pytest.raises(ProtocolError):
                record.split_batch(body[:length])
    with pytest.raises(ProtocolError):
        record.join_batch([BatchItem(b"", bytes(32_768))])


# -- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "port", "content"),
    [
        ("127.0.0.1", 10911, "7F000001 00002A9F"),
        ("::1", 65535, "00000000000000000000000000000001 0000FFFF"),
    ],
)
def test_hosts_go_both_ways(address: str, port: int, content: str) -> None:
    assert record.encode_host(address, port) == bytes.fromhex(content)
    assert record.decode_host(bytes.fromhex(content)) == (address, port)
