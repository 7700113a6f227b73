"""Pulls: the code, the next offset and the records for every place to pull from, and what a held pull waits for."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from rocket_testing.broker_talk import DEADLINE, BrokerTalk, Dial, Pulled, pull_header
from rocket_testing.cluster import Broker, Cluster
from rocket_wire import record
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.heartbeat import ConsumerData, HeartbeatData, MessageModel, SubscriptionData
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command
from rocket_wire.headers.offsets import GetMaxOffset
from rocket_wire.headers.pull import PullMessageAnswer
from rocket_wire.headers.topics import UpdateAndCreateTopic

LONG_MS = 60_000
TAG_A, TAG_B = 2598919, 2598920


async def refusal(talk: BrokerTalk, topic: str, queue_id: int, offset: int, **wishes: Any) -> Command:
    """A pull that is refused."""
    answer = await talk.ask(RequestCode.PULL_MESSAGE, pull_header(topic, queue_id, offset, **wishes))
    assert answer.code not in (0, 19, 20, 21)
    assert answer.remark
    return answer


# -- where there is something, and where not ---------------------------------------------------------------------------


@pytest.mark.parametrize("code", [RequestCode.PULL_MESSAGE, RequestCode.LITE_PULL_MESSAGE])
async def test_records_come_in_their_order_and_say_where_to_go_on(
    talk: BrokerTalk, topic: str, code: RequestCode
) -> None:
    for number in range(10):
        await talk.send(topic, b"%d" % number, queue_id=1)
    answer = await talk.ask(code, pull_header(topic, 1, 3, max_messages=4))
    header = answer.header(PullMessageAnswer)
    assert (answer.code, answer.remark) == (0, "FOUND")
    assert (header.min_offset, header.max_offset, header.suggest_which_broker_id) == (0, 10, 0)
    messages = record.decode_all(answer.body)
    assert 1 <= len(messages) <= 4
    after = 3 + len(messages)
    assert header.next_begin_offset == after
    assert [(message.body, message.queue_offset) for message in messages] == [(b"%d" % n, n) for n in range(3, after)]
    assert [message.queue_offset for message in await talk.read(topic, 1, 3)] == list(range(3, 10))


@pytest.mark.parametrize(
    ("offset", "code", "next_offset", "status"),
    [
        (3, 19, 3, "OFFSET_OVERFLOW_ONE"),
        (4, 21, 3, "OFFSET_OVERFLOW_BADLY"),
        (2**62, 21, 3, "OFFSET_OVERFLOW_BADLY"),
        (-1, 21, 0, "OFFSET_TOO_SMALL"),
        (-(2**63), 21, 0, "OFFSET_TOO_SMALL"),
    ],
)
async def test_a_pull_beside_the_queue_is_told_where_the_queue_is(
    talk: BrokerTalk, topic: str, offset: int, code: int, next_offset: int, status: str
) -> None:
    for _ in range(3):
        await talk.send(topic)
    answer = await talk.ask(RequestCode.PULL_MESSAGE, pull_header(topic, 0, offset))
    header = answer.header(PullMessageAnswer)
    assert (answer.code, header.next_begin_offset, answer.remark) == (code, next_offset, status)
    assert (header.min_offset, header.max_offset, answer.body) == (0, 3, b"")


@pytest.mark.parametrize(("offset", "code"), [(0, 19), (1, 21), (100, 21)])
async def test_an_empty_queue_moves_only_an_offset_that_is_not_zero(
    talk: BrokerTalk, topic: str, offset: int, code: int
) -> None:
    await talk.send(topic, queue_id=1)
    pulled = await talk.pull(topic, 0, offset)
    assert (pulled.code, pulled.header.next_begin_offset) == (code, 0)


async def test_a_filter_that_drops_everything_says_where_to_go_on(talk: BrokerTalk, topic: str) -> None:
    for _ in range(5):
        await talk.send(topic, TAGS="TagA")
    offset = 0
    while (pulled := await talk.pull(topic, 0, offset, tags="TagB")).code == 20:
        assert offset < pulled.header.next_begin_offset <= 5
        offset = pulled.header.next_begin_offset
    assert (offset, pulled.code) == (5, 19)


async def test_only_messages_of_the_tags_come(talk: BrokerTalk, topic: str) -> None:
    for number, tag in enumerate(["TagA", "TagB", "TagC", "TagA"]):
        await talk.send(topic, b"%d" % number, TAGS=tag)
    await talk.send(topic, b"none")
    assert [message.body for message in await talk.read(topic, tags="TagA || TagC")] == [b"0", b"2", b"3"]
    assert [message.body for message in await talk.read(topic, tags="*")] == [b"0", b"1", b"2", b"3", b"none"]


async def test_no_more_comes_than_is_asked_for_or_allowed(talk: BrokerTalk, topic: str) -> None:
    for _ in range(40):
        await talk.send(topic)
    assert 1 <= len((await talk.pull(topic, 0, 0, max_messages=5)).messages) <= 5
    assert 1 <= len((await talk.pull(topic, 0, 0, max_messages=1000)).messages) <= 32
    assert len((await talk.pull(topic, 0, 0, max_messages=-1)).messages) == 1


async def test_large_messages_come_a_few_at_a_time_but_always_one(talk: BrokerTalk, topic: str) -> None:
    for _ in range(3):
        await talk.send(topic, bytes(200_000))
    first = await talk.pull(topic, 0, 0)
    assert (len(first.messages), first.header.next_begin_offset) == (1, 1)
    header = msgspec.structs.replace(pull_header(topic, 0, 1), max_msg_bytes=10)
    answer = await talk.must(RequestCode.PULL_MESSAGE, header)
    assert len(record.decode_all(answer.body)) == 1


# -- who may pull what -------------------------------------------------------------------------------------------------


async def test_a_topic_that_is_absent_is_code_17(talk: BrokerTalk, topic: str) -> None:
    assert (await refusal(talk, topic, 0, 0)).code == ResponseCode.TOPIC_NOT_EXIST


@pytest.mark.parametrize("queue_id", [-1, 4, 2**31 - 1, -(2**31)])
async def test_a_queue_that_is_out_of_range_is_an_invalid_parameter(
    talk: BrokerTalk, topic: str, queue_id: int
) -> None:
    await talk.send(topic)
    answer = await refusal(talk, topic, queue_id, 0)
    assert answer.code == ResponseCode.INVALID_PARAMETER
    assert f"queueId[{queue_id}] is illegal" in (answer.remark or "")


async def test_a_topic_without_read_permission_is_code_16(talk: BrokerTalk, topic: str) -> None:
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, UpdateAndCreateTopic(topic, "TBW102", 1, 1, 2, "SINGLE_TAG"))
    assert (await refusal(talk, topic, 0, 0)).code == ResponseCode.NO_PERMISSION


async def test_a_group_that_may_not_consume_is_code_16(talk: BrokerTalk, topic: str, group: str) -> None:
    await talk.send(topic)
    config = SubscriptionGroupConfig(group, consume_enable=False)
    await talk.must(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, None, config.encode())
    assert (await refusal(talk, topic, 0, 0, group=group)).code == ResponseCode.NO_PERMISSION


@pytest.mark.parametrize("name", ["", "a b", "../../x", "g" * 300])
async def test_a_group_that_cannot_be_is_code_26(talk: BrokerTalk, topic: str, name: str) -> None:
    await talk.send(topic)
    assert (await refusal(talk, topic, 0, 0, group=name)).code == ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST


async def test_an_expression_without_a_tag_is_code_23(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic)
    assert (await refusal(talk, topic, 0, 0, tags="||")).code == ResponseCode.SUBSCRIPTION_PARSE_FAILED


async def test_another_kind_of_expression_is_refused(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic)
    header = msgspec.structs.replace(pull_header(topic, 0, 0, tags="a > 1"), expression_type="SQL92")
    answer = await talk.ask(RequestCode.PULL_MESSAGE, header)
    assert answer.code == ResponseCode.SYSTEM_ERROR
    assert "SQL92" in (answer.remark or "")


async def test_without_a_heartbeat_or_an_expression_nothing_is_subscribed(
    talk: BrokerTalk, topic: str, group: str
) -> None:
    await talk.send(topic)
    assert (await refusal(talk, topic, 0, 0, group=group, tags=None)).code == ResponseCode.SUBSCRIPTION_NOT_EXIST
    await talk.beat(group, "Another")
    assert (await refusal(talk, topic, 0, 0, group=group, tags=None)).code == ResponseCode.SUBSCRIPTION_NOT_EXIST


def heartbeat(group: str, subscription: SubscriptionData, model: MessageModel) -> bytes:
    consumer = ConsumerData(group, message_model=model, subscription_data_set=(subscription,))
    return HeartbeatData("client@1", consumer_data_set=(consumer,)).encode()


async def test_a_pull_without_an_expression_goes_by_the_heartbeat(talk: BrokerTalk, topic: str, group: str) -> None:
    for number, tag in enumerate(["TagA", "TagB", "TagA"]):
        await talk.send(topic, b"%d" % number, TAGS=tag)
    subscription = SubscriptionData(
        topic, "TagA", tags_set=frozenset({"TagA"}), code_set=frozenset({TAG_A}), sub_version=5
    )
    await talk.must(RequestCode.HEART_BEAT, None, heartbeat(group, subscription, MessageModel.CLUSTERING))
    messages = await talk.read(topic, group=group, tags=None, sub_version=5)
    assert [message.body for message in messages] == [b"0", b"2"]
    answer = await refusal(talk, topic, 0, 0, group=group, tags=None, sub_version=6)
    assert answer.code == ResponseCode.SUBSCRIPTION_NOT_LATEST


async def test_a_group_that_may_not_broadcast_is_code_16(talk: BrokerTalk, topic: str, group: str) -> None:
    await talk.send(topic)
    config = SubscriptionGroupConfig(group, consume_broadcast_enable=False)
    await talk.must(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, None, config.encode())
    subscription = SubscriptionData(topic)
    await talk.must(RequestCode.HEART_BEAT, None, heartbeat(group, subscription, MessageModel.BROADCASTING))
    assert (await refusal(talk, topic, 0, 0, group=group, tags=None)).code == ResponseCode.NO_PERMISSION


async def test_a_pull_may_commit(talk: BrokerTalk, topic: str, group: str) -> None:
    for _ in range(3):
        await talk.send(topic)
    await talk.pull(topic, 0, 2, group=group, commit_offset=2)
    assert await talk.offset(group, topic) == 2
    await talk.pull(topic, 0, 0, group=group)
    assert await talk.offset(group, topic) == 2


# -- long polling ------------------------------------------------------------------------------------------------------


async def held(talk: BrokerTalk, topic: str, offset: int, **wishes: Any) -> asyncio.Task[Pulled]:
    """A pull that the broker holds: what is asked behind it on the same connection was answered before it."""
    pulling = asyncio.ensure_future(talk.pull(topic, 0, offset, suspend_ms=LONG_MS, **wishes))
    await asyncio.sleep(0)
    await talk.must(RequestCode.GET_MAX_OFFSET, GetMaxOffset(topic, 0))
    assert not pulling.done()
    return pulling


async def bodies_of(pulling: asyncio.Task[Pulled]) -> list[bytes]:
    return (await asyncio.wait_for(pulling, DEADLINE)).bodies


async def test_a_held_pull_is_answered_when_a_message_arrives(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, queue_id=1)
    pulling = await held(talk, topic, 0)
    await talk.send(topic, b"awaited")
    assert await bodies_of(pulling) == [b"awaited"]


async def test_a_held_pull_is_answered_at_the_tail_as_well(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, b"old")
    pulling = await held(talk, topic, 1)
    await talk.send(topic, b"new")
    assert await bodies_of(pulling) == [b"new"]


async def test_a_held_pull_sleeps_through_tags_that_it_does_not_want(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, queue_id=1)
    pulling = await held(talk, topic, 0, tags="TagB")
    await talk.send(topic, b"no", TAGS="TagA")
    await talk.send(topic, b"no")
    await talk.send(topic, b"elsewhere", queue_id=1, TAGS="TagB")
    await talk.must(RequestCode.GET_MAX_OFFSET, GetMaxOffset(topic, 0))
    assert not pulling.done()
    await talk.send(topic, b"yes", TAGS="TagB")
    assert await bodies_of(pulling) == [b"yes"]


async def test_a_held_pull_is_answered_when_its_time_is_over(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, TAGS="TagA")
    began = time.monotonic()
    pulled = await talk.pull(topic, 0, 1, suspend_ms=300)
    assert (pulled.code, pulled.header.next_begin_offset) == (19, 1)
    assert time.monotonic() - began >= 0.29


async def test_a_pull_held_for_a_tag_learns_at_its_end_what_it_may_skip(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, queue_id=1)
    pulling = asyncio.ensure_future(talk.pull(topic, 0, 0, tags="TagB", suspend_ms=500))
    await talk.send(topic, TAGS="TagA")
    pulled = await pulling
    assert (pulled.code, pulled.header.next_begin_offset) == (20, 1)


async def test_every_pull_that_waits_for_a_queue_gets_the_message(
    broker: Broker, talk: BrokerTalk, topic: str, dial: Dial
) -> None:
    await talk.send(topic, queue_id=1)
    others = [dial(broker.address) for _ in range(5)]
    pulls = [await held(other, topic, 0, group=f"G{number}") for number, other in enumerate(others)]
    await talk.send(topic, b"for all")
    assert [await bodies_of(pulling) for pulling in pulls] == [[b"for all"]] * 5


async def test_no_wake_up_is_lost_when_send_and_pull_come_at_the_same_moment(
    broker: Broker, talk: BrokerTalk, topic: str, dial: Dial
) -> None:
    await talk.send(topic, queue_id=1)
    other = dial(broker.address)
    for offset in range(100):
        pulling = asyncio.ensure_future(talk.pull(topic, 0, offset, suspend_ms=LONG_MS))
        sending = asyncio.ensure_future(other.send(topic, b"%d" % offset))
        pulled, _ = await asyncio.wait_for(asyncio.gather(pulling, sending), DEADLINE)
        assert pulled.bodies == [b"%d" % offset]


async def test_a_client_that_leaves_while_its_pull_is_held_disturbs_nobody(
    broker: Broker, talk: BrokerTalk, topic: str, dial: Dial
) -> None:
    await talk.send(topic, queue_id=1)
    other = dial(broker.address)
    pulling = await held(other, topic, 0)
    await other.close()
    await asyncio.gather(pulling, return_exceptions=True)
    await talk.send(topic, b"for who stayed")
    assert (await talk.pull(topic, 0, 0)).bodies == [b"for who stayed"]


async def test_a_broker_without_long_polling_holds_a_pull_for_its_own_short_time(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker, longPollingEnable="false", shortPollingTimeMills="50")
    talk = dial(broker.address)
    await talk.send("T")
    assert (await asyncio.wait_for(talk.pull("T", 0, 1, suspend_ms=LONG_MS), DEADLINE)).code == 19


async def test_a_broker_that_stops_answers_the_pulls_that_it_holds(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker)
    talk = dial(broker.address)
    await talk.send("T")
    pulling = asyncio.ensure_future(talk.pull("T", 0, 1, suspend_ms=LONG_MS))
    await talk.must(RequestCode.GET_MAX_OFFSET, GetMaxOffset("T", 0))
    await asyncio.to_thread(broker.stop)
    assert (await asyncio.wait_for(pulling, DEADLINE)).code == 19
