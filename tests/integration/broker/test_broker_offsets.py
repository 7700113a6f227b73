"""Offsets of queues and of consumer groups, and the locks of those who consume in order."""

from __future__ import annotations

import asyncio
import json

import pytest

from rocket_testing.broker_talk import DEADLINE, BrokerTalk, Dial
from rocket_testing.cluster import Cluster
from rocket_testing.waiting import eventually
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.groups import GroupList
from rocket_wire.bodies.offsets import (
    LockBatchRequestBody,
    LockBatchResponseBody,
    ResetOffsetBody,
    UnlockBatchRequestBody,
)
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.headers.clients import QueryTopicConsumeByWho
from rocket_wire.headers.header import Header
from rocket_wire.headers.offsets import (
    GetEarliestMsgStoretime,
    GetMaxOffset,
    GetMinOffset,
    InvokeBrokerToResetOffset,
    SearchOffsetByTimestamp,
    UpdateConsumerOffset,
)


async def number(talk: BrokerTalk, code: RequestCode, header: Header, field: str = "offset") -> int:
    return int((await talk.must(code, header)).fields()[field])


# -- a group's offset --------------------------------------------------------------------------------------------------


async def test_a_committed_offset_is_found(talk: BrokerTalk, topic: str, group: str) -> None:
    await talk.send(topic)
    await talk.beat(group, topic)
    assert (await talk.commit(group, topic, 0, 7)).code == 0
    assert await talk.offset(group, topic) == 7
    assert (await talk.commit(group, topic, 0, 3)).code == 0
    assert await talk.offset(group, topic) == 3


async def test_a_commit_may_be_one_way(talk: BrokerTalk, topic: str, group: str) -> None:
    await talk.send(topic)
    await talk.beat(group, topic)
    await talk.tell(RequestCode.UPDATE_CONSUMER_OFFSET, UpdateConsumerOffset(group, topic, 0, 5))
    assert await talk.offset(group, topic) == 5


@pytest.mark.parametrize(("zero", "expected"), [(None, 0), (True, 0), (False, None)])
async def test_a_new_group_on_a_young_topic_begins_at_its_first_message_unless_it_asks_otherwise(
    talk: BrokerTalk, topic: str, group: str, zero: bool | None, expected: int | None
) -> None:
    await talk.send(topic)
    assert await talk.offset(group, topic, zero=zero) == expected


async def test_a_new_group_on_an_empty_queue_begins_at_the_message_that_comes_first(
    talk: BrokerTalk, topic: str, group: str
) -> None:
    """Apache's broker says "none" here; a client that then asks for the queue's end can miss what came in between."""
    await talk.send(topic)
    assert await talk.offset(group, topic, 1, zero=None) == 0
    assert await talk.offset(group, topic, 1, zero=False) is None


async def test_a_commit_for_a_group_that_is_unknown_is_code_26(talk: BrokerTalk, topic: str, group: str) -> None:
    await talk.send(topic)
    assert (await talk.commit(group, topic, 0, 1)).code == ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST
    assert await talk.offset(group, topic) is None


async def test_a_commit_for_a_topic_that_is_unknown_is_code_17(talk: BrokerTalk, topic: str, group: str) -> None:
    await talk.beat(group, topic)
    assert (await talk.commit(group, topic, 0, 1)).code == ResponseCode.TOPIC_NOT_EXIST


@pytest.mark.parametrize(("queue_id", "offset"), [(-1, 0), (0, -1), (-(2**31), 0), (0, -(2**63))])
async def test_a_commit_below_zero_is_refused(
    talk: BrokerTalk, topic: str, group: str, queue_id: int, offset: int
) -> None:
    await talk.send(topic)
    await talk.beat(group, topic)
    assert (await talk.commit(group, topic, queue_id, offset)).code != 0
    assert await talk.offset(group, topic) is None


async def test_offsets_are_in_the_file_soon_after_the_commit(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker, flushConsumerOffsetInterval="20")
    talk = dial(broker.address)
    await talk.send("T")
    await talk.beat("G", "T")
    await talk.commit("G", "T", 0, 7)
    path = broker.store / "config" / "consumerOffset.json"
    await eventually(lambda: b'"T@G":{0:7}' in path.read_bytes(), DEADLINE)
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    assert await talk.offset("G", "T") == 7


# -- a queue's offsets -------------------------------------------------------------------------------------------------


async def test_a_queues_ends(talk: BrokerTalk, topic: str) -> None:
    for _ in range(3):
        await talk.send(topic, queue_id=1)
    assert await number(talk, RequestCode.GET_MAX_OFFSET, GetMaxOffset(topic, 1)) == 3
    assert await number(talk, RequestCode.GET_MIN_OFFSET, GetMinOffset(topic, 1)) == 0
    assert await number(talk, RequestCode.GET_MAX_OFFSET, GetMaxOffset(topic, 0)) == 0


@pytest.mark.parametrize("queue_id", [-1, 9, 2**31 - 1])
async def test_a_queue_that_is_absent_has_nothing(talk: BrokerTalk, topic: str, queue_id: int) -> None:
    await talk.send(topic)
    assert await number(talk, RequestCode.GET_MAX_OFFSET, GetMaxOffset(topic, queue_id)) <= 0
    assert await number(talk, RequestCode.GET_MIN_OFFSET, GetMinOffset(topic, queue_id)) <= 0
    header = GetEarliestMsgStoretime(topic, queue_id)
    assert await number(talk, RequestCode.GET_EARLIEST_MSG_STORETIME, header, "timestamp") == -1


async def test_the_offset_of_a_time(talk: BrokerTalk, topic: str) -> None:
    times = []
    for _ in range(4):
        await talk.send(topic)
        times = [message.store_timestamp for message in await talk.read(topic)]
        await asyncio.sleep(0.005)

    async def at(timestamp: int) -> int:
        return await number(talk, RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, SearchOffsetByTimestamp(topic, 0, timestamp))

    assert [await at(time) for time in times] == [0, 1, 2, 3]
    assert await at(times[1] + 1) == 2
    assert await at(0) == 0
    assert await at(times[3] + 1_000_000) == 4
    header = GetEarliestMsgStoretime(topic, 0)
    assert await number(talk, RequestCode.GET_EARLIEST_MSG_STORETIME, header, "timestamp") == times[0]


# -- resets ------------------------------------------------------------------------------------------------------------


async def reset(talk: BrokerTalk, topic: str, group: str, timestamp: int, **more: int) -> dict[int, int]:
    """Sends a group to a time, or one queue of it to an offset; the offsets by queue that it will take."""
    header = InvokeBrokerToResetOffset(topic, group, timestamp, is_force=True, **more)
    answer = await talk.must(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, header)
    return {queue.queue_id: offset for queue, offset in ResetOffsetBody.decode(answer.body).offset_table.items()}


async def consumed(talk: BrokerTalk, topic: str, group: str) -> None:
    """Three messages in queue 0, all consumed by the group."""
    for _ in range(3):
        await talk.send(topic)
    await talk.beat(group, topic)
    await talk.commit(group, topic, 0, 3)


async def test_a_group_is_sent_back_in_time_and_its_consumers_hear_of_it_once(
    talk: BrokerTalk, topic: str, group: str
) -> None:
    await consumed(talk, topic, group)
    assert await reset(talk, topic, group, 0) == {0: 0, 1: 0, 2: 0, 3: 0}
    assert await talk.offset(group, topic) == 0
    pulled = await talk.pull(topic, 0, 3, group=group)
    assert (pulled.code, pulled.header.next_begin_offset) == (21, 0)
    assert (await talk.pull(topic, 0, 3, group=group)).code == 19


async def test_what_consumers_commit_before_they_hear_of_a_reset_does_not_undo_it(
    talk: BrokerTalk, topic: str, group: str
) -> None:
    await consumed(talk, topic, group)
    assert await reset(talk, topic, group, -1, queue_id=0, offset=1) == {0: 1}
    assert (await talk.commit(group, topic, 0, 3)).code == 0
    assert await talk.offset(group, topic) == 1
    await talk.pull(topic, 0, 3, group=group)
    await talk.commit(group, topic, 0, 2)
    assert await talk.offset(group, topic) == 2


async def test_a_pull_that_is_held_hears_of_a_reset_at_once(talk: BrokerTalk, topic: str, group: str) -> None:
    await consumed(talk, topic, group)
    pulling = asyncio.ensure_future(talk.pull(topic, 0, 3, group=group, suspend_ms=60_000))
    await asyncio.sleep(0)
    await reset(talk, topic, group, 0)
    pulled = await asyncio.wait_for(pulling, DEADLINE)
    assert (pulled.code, pulled.header.next_begin_offset) == (21, 0)


@pytest.mark.parametrize("offset", [4, 2**62])
async def test_a_group_is_not_sent_behind_the_queues_end(talk: BrokerTalk, topic: str, group: str, offset: int) -> None:
    await consumed(talk, topic, group)
    header = InvokeBrokerToResetOffset(topic, group, -1, is_force=True, queue_id=0, offset=offset)
    answer = await talk.ask(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, header)
    assert answer.code == ResponseCode.SYSTEM_ERROR
    assert await talk.offset(group, topic) == 3


async def test_a_reset_of_what_is_unknown_is_refused(talk: BrokerTalk, topic: str, group: str) -> None:
    header = InvokeBrokerToResetOffset(topic, group, 0, is_force=True)
    answer = await talk.ask(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, header)
    assert answer.code == ResponseCode.TOPIC_NOT_EXIST
    await talk.send(topic)
    answer = await talk.ask(RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, header)
    assert answer.code == ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST


async def test_a_topics_groups_are_those_that_subscribe_or_have_consumed(
    talk: BrokerTalk, topic: str, group: str
) -> None:
    await talk.send(topic)
    await talk.beat(group, topic)
    await talk.beat(group + "-gone", topic)
    await talk.commit(group + "-gone", topic, 0, 1)
    await talk.beat(group + "-gone", "Another")
    answer = await talk.must(RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, QueryTopicConsumeByWho(topic))
    assert GroupList.decode(answer.body).group_list == {group, group + "-gone"}


# -- locks -------------------------------------------------------------------------------------------------------------


def queues(topic: str, *ids: int) -> frozenset[MessageQueue]:
    return frozenset(MessageQueue(topic, "broker-a", queue_id) for queue_id in ids)


async def lock(talk: BrokerTalk, group: str, client_id: str, wanted: frozenset[MessageQueue]) -> list[int]:
    body = LockBatchRequestBody(group, client_id, mq_set=wanted).encode()
    answer = await talk.must(RequestCode.LOCK_BATCH_MQ, None, body)
    return sorted(queue.queue_id for queue in LockBatchResponseBody.decode(answer.body).lock_ok_mq_set)


async def test_a_queue_is_one_clients_until_it_gives_it_back(talk: BrokerTalk, topic: str, group: str) -> None:
    assert await lock(talk, group, "one", queues(topic, 0, 1)) == [0, 1]
    assert await lock(talk, group, "two", queues(topic, 0, 1, 2)) == [2]
    assert await lock(talk, group, "one", queues(topic, 0, 1, 2)) == [0, 1]
    body = UnlockBatchRequestBody(group, "one", mq_set=queues(topic, 0)).encode()
    await talk.must(RequestCode.UNLOCK_BATCH_MQ, None, body)
    assert await lock(talk, group, "two", queues(topic, 0, 1, 2)) == [0, 2]


async def test_an_answer_to_a_lock_has_the_queues_as_they_were_asked_for(
    talk: BrokerTalk, topic: str, group: str
) -> None:
    body = LockBatchRequestBody(group, "one", mq_set=queues(topic, 3)).encode()
    answer = await talk.must(RequestCode.LOCK_BATCH_MQ, None, body)
    assert json.loads(answer.body) == {"lockOKMQSet": [{"brokerName": "broker-a", "queueId": 3, "topic": topic}]}
