"""From stored records to messages."""

from __future__ import annotations

import logging

import msgspec
import pytest

from rocket_client.incoming import read_message, read_messages
from rocket_wire import properties, record
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.compression import Compression, compress

QUEUE = MessageQueue("T", "broker-a", 3)


def stored(**changes: object) -> record.Message:
    message = record.Message(
        topic="T",
        queue_id=3,
        body=b"hello",
        properties=properties.encode({"TAGS": "new", "KEYS": "k1 k2", "UNIQ_KEY": "ID", "own": "value"}),
        queue_offset=17,
        position=1024,
        born_timestamp=1,
        born_host=record.encode_host("10.0.0.1", 5000),
        store_timestamp=2,
        store_host=record.encode_host("10.0.0.2", 10911),
    )
    return record.decode(record.encode(msgspec.structs.replace(message, **changes)))


def test_a_record_becomes_a_message() -> None:
    message = read_message(stored(reconsume_times=2, flag=9), QUEUE)
    assert (message.topic, message.body, message.text) == ("T", b"hello", "hello")
    assert (message.tags, message.keys, message.properties["own"]) == ("new", ("k1", "k2"), "value")
    assert (message.queue, message.queue_id, message.broker_name, message.queue_offset) == (QUEUE, 3, "broker-a", 17)
    assert (message.message_id, message.offset_message_id) == ("ID", "0A00000200002A9F0000000000000400")
    assert (message.born_timestamp, message.born_host) == (1, "10.0.0.1:5000")
    assert (message.store_timestamp, message.store_host) == (2, "10.0.0.2:10911")
    assert (message.reconsume_times, message.flag, message.position, message.is_intact) == (2, 9, 1024, True)


def test_a_message_without_a_producers_id_has_its_offset_id() -> None:
    message = read_message(stored(properties=b""), QUEUE)
    assert message.message_id == message.offset_message_id
    assert (message.tags, message.keys) == (None, ())


def test_a_retried_message_shows_the_topic_that_it_was_sent_to() -> None:
    pairs = properties.encode({"RETRY_TOPIC": "orders"})
    assert read_message(stored(topic="%RETRY%g", properties=pairs), QUEUE).topic == "orders"


@pytest.mark.parametrize("compression", list(Compression))
def test_a_compressed_body_is_unpacked(compression: Compression) -> None:
    packed = stored(body=compress(b"x" * 1000, compression), sys_flag=compression.sys_flag)
    assert read_message(packed, QUEUE).body == b"x" * 1000


def test_a_body_compressed_by_a_4x_client_is_unpacked() -> None:
    assert read_message(stored(body=compress(b"x" * 1000), sys_flag=1), QUEUE).body == b"x" * 1000


def test_a_body_that_cannot_be_unpacked_is_given_as_it_came(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        message = read_message(stored(body=b"no zlib", sys_flag=1), QUEUE)
    assert (message.body, message.is_intact) == (b"no zlib", False)
    assert "offset 17" in caplog.text


def test_a_body_that_is_not_what_was_stored_is_marked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        message = read_message(msgspec.structs.replace(stored(), body=b"jello"), QUEUE)
    assert (message.body, message.is_intact) == (b"jello", False)


def test_a_pulls_answer_has_several_records() -> None:
    content = record.encode(stored()) + record.encode(stored(queue_offset=18))
    assert [message.queue_offset for message in read_messages(content, QUEUE)] == [17, 18]
