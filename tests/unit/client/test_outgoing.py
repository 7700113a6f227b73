"""What a send carries, and what is refused before anything is sent."""

from __future__ import annotations

import zlib

import pytest

from rocket_client.errors import InvalidMessage
from rocket_client.message import Message
from rocket_client.outgoing import Identity, batch_of, check_group, check_topic, outgoing, retried
from rocket_client.settings import ProducerSettings
from rocket_wire import properties
from rocket_wire.compression import Compression, decompress
from rocket_wire.record import split_batch

SETTINGS = ProducerSettings(max_message_bytes=10_000, compress_above=100)
IDENTITY = Identity("ID", now=1_700_000_000_000)


def pairs(text: str) -> dict[str, str]:
    return properties.decode(text.encode())


def test_a_message_becomes_properties_and_a_body() -> None:
    message = Message("T", "häuser", tags="new", keys=["k1", "k2"], properties={"shop": "north"}, delay_level=3, flag=5)
    out = outgoing(message, SETTINGS, IDENTITY)
    assert out.body == "häuser".encode()
    assert (out.topic, out.flag, out.sys_flag) == ("T", 5, 0)
    assert (out.message_id, out.born_timestamp) == ("ID", IDENTITY.now)
    expected = {"TAGS": "new", "KEYS": "k1 k2", "shop": "north", "DELAY": "3", "UNIQ_KEY": "ID"}
    assert pairs(out.properties) == expected


def test_an_ordering_key_and_the_wish_not_to_wait_travel_as_properties() -> None:
    out = outgoing(Message("T", "x", wait_stored=False), SETTINGS, Identity("ID", 7, "order-1"))
    found = pairs(out.properties)
    assert (found["__SHARDINGKEY"], found["WAIT"]) == ("order-1", "false")


def test_a_large_body_is_compressed() -> None:
    out = outgoing(Message("T", b"x" * 5000), SETTINGS, IDENTITY)
    assert out.sys_flag & 1
    assert zlib.decompress(out.body) == b"x" * 5000


@pytest.mark.parametrize("compression", list(Compression))
def test_every_compression_reads_back(compression: Compression) -> None:
    settings = ProducerSettings(compression=compression, compress_above=100)
    out = outgoing(Message("T", b"x" * 5000), settings, IDENTITY)
    assert len(out.body) < 500
    assert decompress(out.body, out.sys_flag) == b"x" * 5000


@pytest.mark.parametrize(
    ("body", "settings"),
    [
        (b"x" * 100, SETTINGS),
        (bytes(range(256)), ProducerSettings(compress_above=10)),
        (b"x" * 5000, ProducerSettings(compression=None)),
    ],
    ids=["small", "does not get smaller", "switched off"],
)
def test_a_body_is_left_as_it_is(body: bytes, settings: ProducerSettings) -> None:
    out = outgoing(Message("T", body), settings, IDENTITY)
    assert (out.body, out.sys_flag) == (body, 0)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message("T", b""), "has no body"),
        (Message("T", b"x" * 10_001), "10001 bytes: the limit is 10000"),
        (Message("", "x"), "topic ''"),
        (Message("no blanks", "x"), "topic 'no blanks'"),
        (Message("t" * 128, "x"), "expected 1 to 127"),
        (Message("T", "x", properties={"KEYS": "mine"}), r"\['KEYS'\] are RocketMQ's own"),
        (Message("T", "x", properties={"a\x01b": "c"}), "0x01"),
        (Message("T", "x", tags="a\x02b"), "0x02"),
        (Message("T", "x", properties={"long": "y" * 40_000}), "a message holds 32767"),
        (Message("T", "x", delay_level=-1), "delay_level=-1"),
    ],
)
def test_what_cannot_be_right_is_refused_before_it_is_sent(message: Message, reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        outgoing(message, SETTINGS, IDENTITY)


def test_a_batch_holds_each_message_with_its_own_properties() -> None:
    messages = [Message("T", "a", tags="x"), Message("T", "b", keys="k")]
    out = batch_of(messages, SETTINGS, [Identity("ID1", 7), Identity("ID2", 8)])
    assert (out.is_batch, out.message_id) == (True, "ID1,ID2")
    items = split_batch(out.body)
    assert [item.body for item in items] == [b"a", b"b"]
    assert properties.decode(items[0].properties) == {"TAGS": "x", "UNIQ_KEY": "ID1"}
    assert properties.decode(items[1].properties) == {"KEYS": "k", "UNIQ_KEY": "ID2"}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "messages of one topic"),
        ([Message("T", "a"), Message("U", "b")], "messages of one topic"),
        ([Message("T", "a", delay_level=1)], "cannot be delayed"),
        ([Message("%RETRY%g", "a")], "cannot be delayed or retried"),
        ([Message("T", b"x" * 6000), Message("T", b"y" * 6000)], "batch of 2 messages"),
    ],
)
def test_what_cannot_be_a_batch_is_refused(messages: list[Message], reason: str) -> None:
    with pytest.raises(InvalidMessage, match=reason):
        batch_of(messages, SETTINGS, [IDENTITY] * len(messages))


def test_a_message_sent_to_a_retry_topic_keeps_its_id_and_counts_its_failures() -> None:
    out = outgoing(Message("%RETRY%g", "x", delay_level=4), SETTINGS, IDENTITY)
    again = retried(out, 2, 16, {"RETRY_TOPIC": "T"})
    assert (again.message_id, again.reconsume_times, again.max_reconsume_times) == ("ID", 2, 16)
    assert pairs(again.properties) == {"UNIQ_KEY": "ID", "RETRY_TOPIC": "T", "DELAY": "4"}


def test_retry_topics_may_have_longer_names_than_others() -> None:
    check_topic("%RETRY%" + "g" * 200)
    with pytest.raises(InvalidMessage):
        check_topic("%RETRY%" + "g" * 250)


@pytest.mark.parametrize("group", ["", "white space", "g" * 121, "ümlaut"])
def test_a_group_name_that_cannot_be_is_refused(group: str) -> None:
    with pytest.raises(InvalidMessage, match="group"):
        check_group(group)
