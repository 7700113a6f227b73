"""Messages that come later: delay levels, consumers' send-backs that ride on them, and the dead letters at the end."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from rocket_testing.broker_talk import BrokerTalk, Dial, send_header
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.waiting import eventually
from rocket_wire import message_id, properties, record
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command
from rocket_wire.headers.offsets import GetMaxOffset
from rocket_wire.headers.send import ConsumerSendMsgBack
from rocket_wire.headers.topics import DeleteTopicInBroker, UpdateAndCreateTopic

#: How early a message may come: its time is taken when it is stored, the test's a little before.
SLACK_MS = 5


def pairs_of(message: record.Message) -> dict[str, str]:
    return properties.decode(message.properties)


async def end(talk: BrokerTalk, topic: str, queue_id: int = 0) -> int:
    return int((await talk.must(RequestCode.GET_MAX_OFFSET, GetMaxOffset(topic, queue_id))).fields()["offset"])


# -- delay levels ------------------------------------------------------------------------------------------------------


async def test_a_delayed_message_comes_once_when_it_is_due(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, b"first", queue_id=2)
    sent = await talk.send(topic, b"later", queue_id=2, DELAY="1", KEYS="k", TAGS="TagA", UNIQ_KEY="U")
    assert sent.queue_id == 2
    assert await end(talk, topic, 2) == 1
    messages = await talk.pull_all(topic, 2, count=2)
    [first, later] = messages
    assert (later.topic, later.queue_id, later.body) == (topic, 2, b"later")
    assert later.store_timestamp - first.store_timestamp >= 1000 - SLACK_MS
    pairs = pairs_of(later)
    assert pairs["DELAY"] == "1"
    assert (pairs["KEYS"], pairs["TAGS"], pairs["UNIQ_KEY"]) == ("k", "TagA", "U")
    assert (await talk.pull(topic, 2, 1, tags="TagA")).bodies == [b"later"]
    await talk.send(topic, b"last", DELAY="1")
    await talk.pull_all(topic, 0, count=1)
    assert await end(talk, topic, 2) == 2


async def test_messages_of_one_level_come_in_their_order(talk: BrokerTalk, topic: str) -> None:
    for number in range(20):
        await talk.send(topic, b"%d" % number, DELAY="1")
    messages = await talk.pull_all(topic, count=20)
    assert [message.body for message in messages] == [b"%d" % number for number in range(20)]


async def test_a_level_above_the_last_is_the_last(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, b"later", DELAY="99")
    assert [message.body for message in await talk.pull_all(topic, count=1)] == [b"later"]


@pytest.mark.parametrize("level", ["0", "-1"])
async def test_a_level_of_nothing_is_no_delay(talk: BrokerTalk, topic: str, level: str) -> None:
    await talk.send(topic, b"now", DELAY=level)
    assert await end(talk, topic) == 1


async def test_a_level_that_is_no_number_is_illegal(talk: BrokerTalk, topic: str) -> None:
    answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header(topic, DELAY="soon"))
    assert answer.code == ResponseCode.MESSAGE_ILLEGAL


async def test_a_delay_of_one_long_level_holds_up_no_other(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker, messageDelayLevel="1h 1s")
    talk = dial(broker.address)
    await talk.send("T", b"in an hour", DELAY="1")
    await talk.send("T", b"soon", DELAY="2")
    assert [message.body for message in await talk.pull_all("T", count=1)] == [b"soon"]


async def test_delays_go_on_over_a_restart_and_nothing_comes_twice(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker, messageDelayLevel="1s 3s")
    talk = dial(broker.address)
    await talk.send("T", b"before", DELAY="1")
    await talk.send("T", b"after", DELAY="2")
    await talk.pull_all("T", count=1)
    await asyncio.to_thread(broker.restart)
    assert [message.body for message in await talk.pull_all("T", count=2)] == [b"before", b"after"]
    assert '"offsetTable":{1:1' in (broker.store / "config" / "delayOffset.json").read_text()


@pytest.mark.slow
async def test_a_message_that_was_due_while_the_broker_was_killed_comes_after_its_start(
    cluster: Cluster, dial: Dial
) -> None:
    broker = await asyncio.to_thread(cluster.add_broker, messageDelayLevel="1s")
    talk = dial(broker.address)
    await talk.send("T", b"later", DELAY="1")
    await asyncio.to_thread(broker.kill)
    await asyncio.sleep(1.1)
    await asyncio.to_thread(broker.start)
    assert [message.body for message in await talk.pull_all("T", count=1)] == [b"later"]


async def test_a_delayed_message_for_a_topic_that_was_deleted_does_not_stop_those_behind_it(
    talk: BrokerTalk, topic: str
) -> None:
    doomed = topic + "-doomed"
    await talk.send(doomed, b"to nobody", DELAY="1")
    await talk.send(topic, b"to somebody", DELAY="1")
    await talk.must(RequestCode.DELETE_TOPIC_IN_BROKER, DeleteTopicInBroker(doomed))
    assert [message.body for message in await talk.pull_all(topic, count=1)] == [b"to somebody"]


# -- send-backs --------------------------------------------------------------------------------------------------------


async def back(
    talk: BrokerTalk, message: record.Message, group: str, level: int = 0, most: int | None = None
) -> Command:
    origin = message_id.offset_message_id(message.store_host, message.position)
    header = ConsumerSendMsgBack(message.position, group, level, origin, message.topic, max_reconsume_times=most)
    return await talk.ask(RequestCode.CONSUMER_SEND_MSG_BACK, header)


async def one(talk: BrokerTalk, topic: str) -> record.Message:
    [message] = await talk.pull_all(topic, count=1)
    return message


async def test_a_message_that_was_sent_back_comes_again_in_the_groups_retry_topic(
    talk: BrokerTalk, topic: str, group: str
) -> None:
    await talk.send(topic, b"body", TAGS="TagA", KEYS="k", UNIQ_KEY="U")
    failed = await one(talk, topic)
    assert (await back(talk, failed, group)).code == 0
    again = await one(talk, f"%RETRY%{group}")
    assert (again.body, again.reconsume_times) == (b"body", 1)
    assert again.store_timestamp - failed.store_timestamp >= 1000 - SLACK_MS
    assert (again.born_timestamp, again.born_host) == (failed.born_timestamp, failed.born_host)
    pairs = pairs_of(again)
    assert pairs["RETRY_TOPIC"] == topic
    assert pairs["ORIGIN_MESSAGE_ID"] == message_id.offset_message_id(failed.store_host, failed.position)
    assert (pairs["TAGS"], pairs["KEYS"], pairs["UNIQ_KEY"]) == ("TagA", "k", "U")
    assert pairs["DELAY"] == "3"  # the first of the broker's own rhythm


async def test_a_message_that_failed_often_enough_is_a_dead_letter(talk: BrokerTalk, topic: str, group: str) -> None:
    """Sent back again and again, it keeps the topic and the id that it had at first."""
    await talk.send(topic, b"body")
    failed = await one(talk, topic)
    first_id = message_id.offset_message_id(failed.store_host, failed.position)
    assert (await back(talk, failed, group, most=1)).code == 0
    again = await one(talk, f"%RETRY%{group}")
    assert (await back(talk, again, group, most=1)).code == 0
    dead = await one(talk, f"%DLQ%{group}")
    assert (dead.body, dead.reconsume_times) == (b"body", 2)
    pairs = pairs_of(dead)
    assert (pairs["RETRY_TOPIC"], pairs["ORIGIN_MESSAGE_ID"]) == (topic, first_id)
    assert await end(talk, f"%RETRY%{group}") == 1


async def test_a_groups_own_limit_counts_where_the_client_names_none(talk: BrokerTalk, topic: str, group: str) -> None:
    config = SubscriptionGroupConfig(group, retry_max_times=0)
    await talk.must(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, None, config.encode())
    await talk.send(topic, b"body")
    assert (await back(talk, await one(talk, topic), group)).code == 0
    assert (await one(talk, f"%DLQ%{group}")).body == b"body"


async def test_a_negative_level_is_a_dead_letter_at_once(talk: BrokerTalk, topic: str, group: str) -> None:
    await talk.send(topic, b"body")
    assert (await back(talk, await one(talk, topic), group, level=-1)).code == 0
    assert (await one(talk, f"%DLQ%{group}")).body == b"body"


async def test_a_group_without_retries_gets_none(talk: BrokerTalk, topic: str, group: str) -> None:
    config = SubscriptionGroupConfig(group, retry_queue_nums=0)
    await talk.must(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, None, config.encode())
    await talk.send(topic, b"body")
    assert (await back(talk, await one(talk, topic), group)).code == 0
    assert await end(talk, f"%RETRY%{group}") == 0


@pytest.mark.parametrize("name", ["", "a b", "../../x"])
async def test_a_group_that_cannot_be_gets_no_send_back(talk: BrokerTalk, topic: str, name: str) -> None:
    await talk.send(topic)
    answer = await back(talk, await one(talk, topic), name)
    assert answer.code == ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST


@pytest.mark.parametrize("position", [-1, -(2**63), 2**62, 3])
async def test_a_position_without_a_record_is_refused(talk: BrokerTalk, topic: str, group: str, position: int) -> None:
    await talk.send(topic)
    message = msgspec.structs.replace(await one(talk, topic), position=position)
    answer = await back(talk, message, group)
    assert answer.code == ResponseCode.SYSTEM_ERROR
    assert answer.remark


async def test_a_position_inside_a_body_that_looks_like_a_record_is_no_record(
    talk: BrokerTalk, topic: str, group: str
) -> None:
    forged = record.encode(record.Message(topic="Forged", queue_id=0, body=b"forged"))
    await talk.send(topic, forged)
    message = await one(talk, topic)
    inside = msgspec.structs.replace(message, position=message.position + 88)
    assert (await back(talk, inside, group)).code == ResponseCode.SYSTEM_ERROR


# -- a client's own way to the retry topic -----------------------------------------------------------------------------


async def test_a_client_may_send_to_its_retry_topic_itself(talk: BrokerTalk, group: str) -> None:
    header = msgspec.structs.replace(
        send_header(f"%RETRY%{group}", DELAY="1", RETRY_TOPIC="T"), reconsume_times=1, max_reconsume_times=16
    )
    await talk.must(RequestCode.SEND_MESSAGE_V2, header, b"body")
    again = await one(talk, f"%RETRY%{group}")
    assert (again.body, again.reconsume_times) == (b"body", 1)


@pytest.mark.parametrize(("times", "most", "topic_of"), [(3, 3, "%RETRY%"), (4, 3, "%DLQ%"), (17, None, "%DLQ%")])
async def test_the_broker_counts_how_often_it_was_tried(
    talk: BrokerTalk, group: str, times: int, most: int | None, topic_of: str
) -> None:
    header = msgspec.structs.replace(
        send_header(f"%RETRY%{group}", DELAY="1"), reconsume_times=times, max_reconsume_times=most
    )
    await talk.must(RequestCode.SEND_MESSAGE_V2, header, b"body")
    message = await one(talk, f"{topic_of}{group}")
    assert (message.body, message.reconsume_times) == (b"body", times)
    assert ("DELAY" in pairs_of(message)) == (topic_of == "%RETRY%")  # a dead letter was never delayed


async def test_retries_of_a_read_only_broker_are_refused(cluster: Cluster, dial: Dial) -> None:
    broker: Broker = await asyncio.to_thread(cluster.add_broker)
    talk = dial(broker.address)
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, UpdateAndCreateTopic("T", "TBW102", 1, 1, 6, "SINGLE_TAG"))
    await talk.send("T")
    message = await one(talk, "T")
    await talk.must(RequestCode.UPDATE_BROKER_CONFIG, None, b"brokerPermission=4")
    assert (await back(talk, message, "G")).code == ResponseCode.NO_PERMISSION


@pytest.mark.slow
async def test_every_level_saves_how_far_it_came(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker, messageDelayLevel="1s", flushDelayOffsetInterval="50")
    talk = dial(broker.address)
    await talk.send("T", DELAY="1")
    await talk.pull_all("T", count=1)
    path = broker.store / "config" / "delayOffset.json"
    await eventually(lambda: '"offsetTable":{1:1}' in path.read_text())
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    await talk.send("T", b"second", DELAY="1")
    assert [message.body for message in await talk.pull_all("T", count=2)] == [b"body", b"second"]
