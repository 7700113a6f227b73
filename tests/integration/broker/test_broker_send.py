"""Sends: what is stored, what the answer says, and which topic is made for it."""

from __future__ import annotations

import msgspec
import pytest

from rocket_testing.broker_talk import BrokerTalk, Dial, send_header
from rocket_testing.cluster import Broker
from rocket_wire import message_id, properties, record
from rocket_wire.bodies.topics import TopicConfig
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command
from rocket_wire.frame import SerializeType
from rocket_wire.headers.send import SendMessage, SendMessageAnswer
from rocket_wire.headers.topics import GetTopicConfig
from rocket_wire.record import BatchItem

ONE_ITEM = record.join_batch([BatchItem(b"a", b"")])


def long_header(topic: str, queue_id: int = 0, text: str = "") -> SendMessage:
    return SendMessage("producers", topic, "TBW102", 4, queue_id, 0, 1_700_000_000_000, 7, text)


def stored_pairs(message: record.Message) -> dict[str, str]:
    return properties.decode(message.properties)


async def topic_config(talk: BrokerTalk, topic: str) -> TopicConfig:
    return TopicConfig.decode((await talk.must(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))).body)


def check_answer(answer: Command, broker: Broker) -> tuple[int, int]:
    """What every client needs of a send's answer (protocol section 3.8); returns queue and offset."""
    assert answer.code == ResponseCode.SUCCESS, answer.remark
    fields = answer.fields()
    assert fields["MSG_REGION"] == "DefaultRegion"
    assert fields["TRACE_ON"] == "true"
    host, position = message_id.decode_offset_message_id(fields["msgId"])
    assert host == record.encode_host("127.0.0.1", broker.port)
    assert position >= 0
    return int(fields["queueId"]), int(fields["queueOffset"])


@pytest.mark.parametrize("serialize", SerializeType)
@pytest.mark.parametrize("code", [RequestCode.SEND_MESSAGE, RequestCode.SEND_MESSAGE_V2])
async def test_a_send_is_answered_with_all_that_clients_need(
    broker: Broker, topic: str, code: RequestCode, serialize: SerializeType, dial: Dial
) -> None:
    talk = dial(broker.address, serialize)
    header = long_header(topic, 2) if code is RequestCode.SEND_MESSAGE else send_header(topic, 2)
    for offset in range(3):
        answer = await talk.ask(code, header, b"body %d" % offset)
        assert check_answer(answer, broker) == (2, offset)
    messages = await talk.pull_all(topic, 2, count=3)
    assert [message.body for message in messages] == [b"body 0", b"body 1", b"body 2"]


async def test_the_record_has_what_was_sent(talk: BrokerTalk, broker: Broker, topic: str) -> None:
    header = long_header(topic, 1, properties.encode({"TAGS": "TagA", "KEYS": "k1 k2", "user": "值"}).decode())
    await talk.must(RequestCode.SEND_MESSAGE, header, b"body")
    [message] = await talk.pull_all(topic, 1, count=1)
    assert (message.topic, message.queue_id, message.queue_offset) == (topic, 1, 0)
    assert (message.body, message.flag, message.born_timestamp) == (b"body", 7, 1_700_000_000_000)
    assert record.decode_host(message.born_host)[0] == "127.0.0.1"
    assert record.decode_host(message.store_host) == ("127.0.0.1", broker.port)
    assert stored_pairs(message).items() >= {"TAGS": "TagA", "KEYS": "k1 k2", "user": "值"}.items()


async def test_the_broker_adds_where_it_was_stored(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic)
    [message] = await talk.pull_all(topic, count=1)
    pairs = stored_pairs(message)
    assert pairs.pop("UNIQ_KEY")
    assert pairs == {"MSG_REGION": "DefaultRegion", "TRACE_ON": "true", "CLUSTER": "DefaultCluster"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("WAIT\x01true\x02", {}),
        ("WAIT\x01true", {}),
        ("KEYS\x01k\x02WAIT\x01true\x02TAGS\x01t\x02", {"KEYS": "k", "TAGS": "t"}),
        ("WAIT\x01false\x02KEYS\x01k", {"WAIT": "false", "KEYS": "k"}),
        ("MUST_WAIT\x01true\x02KEYS\x01k\x02", {"MUST_WAIT": "true", "KEYS": "k"}),
        ("KEYS\x01k", {"KEYS": "k"}),
        ("UNIQ_KEY\x01ABC\x02", {"UNIQ_KEY": "ABC"}),
        ("POP_CK\x011 2 3\x02KEYS\x01k\x02", {"KEYS": "k"}),
        ("MSG_REGION\x01elsewhere\x02KEYS\x01k\x02", {"KEYS": "k", "MSG_REGION": "DefaultRegion"}),
    ],
)
async def test_only_the_brokers_own_properties_are_changed(
    talk: BrokerTalk, topic: str, sent: str, kept: dict[str, str]
) -> None:
    await talk.must(RequestCode.SEND_MESSAGE, long_header(topic, 0, sent))
    [message] = await talk.pull_all(topic, count=1)
    pairs = stored_pairs(message)
    expected = {"MSG_REGION": "DefaultRegion", "TRACE_ON": "true", "CLUSTER": "DefaultCluster"} | kept
    expected.setdefault("UNIQ_KEY", pairs["UNIQ_KEY"])
    assert pairs == expected


async def test_every_unique_key_is_another(talk: BrokerTalk, topic: str) -> None:
    for _ in range(20):
        await talk.send(topic)
    keys = [stored_pairs(message)["UNIQ_KEY"] for message in await talk.pull_all(topic, count=20)]
    assert len(set(keys)) == 20


async def test_a_topic_is_made_by_the_first_send(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic)
    assert await topic_config(talk, topic) == TopicConfig(topic, read_queue_nums=4, write_queue_nums=4, perm=6)


async def test_without_a_template_there_is_no_topic(talk: BrokerTalk, topic: str) -> None:
    header = msgspec.structs.replace(long_header(topic), default_topic="BenchmarkTest")
    answer = await talk.ask(RequestCode.SEND_MESSAGE, header)
    assert answer.code == ResponseCode.TOPIC_NOT_EXIST
    assert topic in (answer.remark or "")


async def test_a_negative_queue_is_the_brokers_choice(talk: BrokerTalk, topic: str) -> None:
    chosen = {(await talk.send(topic, queue_id=-1)).queue_id for _ in range(60)}
    assert chosen == {0, 1, 2, 3}


async def test_a_one_way_send_is_stored_and_not_answered(talk: BrokerTalk, topic: str) -> None:
    for number in range(5):
        await talk.tell(RequestCode.SEND_MESSAGE_V2, send_header(topic), b"%d" % number)
    messages = await talk.pull_all(topic, count=5) if (await talk.send(topic)) else []
    assert [message.body for message in messages[:5]] == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_batch_is_stored_message_by_message(talk: BrokerTalk, broker: Broker, topic: str) -> None:
    await talk.send(topic, b"before")
    items = [
        BatchItem(b"body %d" % number, properties.encode({"TAGS": f"Tag{number}", "UNIQ_KEY": f"U{number}"}), number)
        for number in range(10)
    ]
    answer = await talk.must(RequestCode.SEND_BATCH_MESSAGE, send_header(topic), record.join_batch(items))
    header = answer.header(SendMessageAnswer)
    assert (header.queue_id, header.queue_offset) == (0, 1)
    ids = header.msg_id.split(",")
    messages = (await talk.pull_all(topic, count=11))[1:]
    for number, message in enumerate(messages):
        assert (message.body, message.flag, message.queue_offset) == (b"body %d" % number, number, number + 1)
        assert ids[number] == message_id.offset_message_id(message.store_host, message.position)
        assert message.properties == items[number].properties


async def test_a_batch_of_one_tag_is_found_by_it(talk: BrokerTalk, topic: str) -> None:
    items = [BatchItem(b"%d" % number, properties.encode({"TAGS": f"Tag{number % 2}"})) for number in range(6)]
    await talk.must(RequestCode.SEND_BATCH_MESSAGE, send_header(topic), record.join_batch(items))
    assert [message.body for message in await talk.read(topic, tags="Tag1")] == [b"1", b"3", b"5"]


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"\x00" * 30, ONE_ITEM[:-1], ONE_ITEM + b"x"],
    ids=["empty", "short", "zeros", "cut off", "too long"],
)
async def test_a_batch_that_is_none_is_illegal_and_nothing_of_it_is_stored(
    talk: BrokerTalk, topic: str, body: bytes
) -> None:
    answer = await talk.ask(RequestCode.SEND_BATCH_MESSAGE, send_header(topic), body)
    assert answer.code == ResponseCode.MESSAGE_ILLEGAL
    assert (await talk.send(topic)).queue_offset == 0


async def test_a_batch_for_a_retry_topic_is_illegal(talk: BrokerTalk, group: str) -> None:
    answer = await talk.ask(RequestCode.SEND_BATCH_MESSAGE, send_header(f"%RETRY%{group}"), ONE_ITEM)
    assert answer.code == ResponseCode.MESSAGE_ILLEGAL


async def test_an_empty_body_is_a_message(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, b"")
    assert (await talk.pull(topic, 0, 0)).bodies == [b""]


async def test_a_compressed_body_stays_as_it_came(talk: BrokerTalk, topic: str) -> None:
    compressed = msgspec.structs.replace(long_header(topic), sys_flag=0x301)
    await talk.must(RequestCode.SEND_MESSAGE, compressed, b"\x78\x9cnot really")
    [message] = await talk.pull_all(topic, count=1)
    assert (message.sys_flag, message.body) == (0x301, b"\x78\x9cnot really")


@pytest.mark.parametrize("topic", ["SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC"])
async def test_the_brokers_own_topics_take_no_sends_and_are_not_made_by_one(talk: BrokerTalk, topic: str) -> None:
    before = (await talk.ask(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))).code
    answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header(topic))
    assert answer.code == ResponseCode.NO_PERMISSION
    assert (await talk.ask(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))).code == before


async def test_the_vip_port_takes_sends_and_no_pulls(broker: Broker, talk: BrokerTalk, topic: str, dial: Dial) -> None:
    vip = dial(f"127.0.0.1:{broker.port - 2}")
    await vip.send(topic, b"fast")
    assert (await talk.pull(topic, 0, 0)).bodies == [b"fast"]
    answer = await vip.ask(RequestCode.PULL_MESSAGE)
    assert answer.code == ResponseCode.REQUEST_CODE_NOT_SUPPORTED


async def test_a_message_of_the_largest_size_passes_and_one_byte_more_does_not(talk: BrokerTalk, topic: str) -> None:
    limit = 4 * 1024 * 1024
    await talk.send(topic, bytes(limit))
    answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header(topic), bytes(limit + 1))
    assert answer.code == ResponseCode.MESSAGE_ILLEGAL
    assert str(limit) in (answer.remark or "")
    assert [len(body) for body in (await talk.pull(topic, 0, 0)).bodies] == [limit]
