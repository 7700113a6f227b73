"""Consumers of topics with queue.type=BatchCQ: records that hold several messages come as those messages."""

from __future__ import annotations

import asyncio

import pytest

from rocket_client import Admin, FromWhere, Message, MessageQueue, Producer, PullConsumer, PushConsumer
from rocket_testing.broker_talk import BrokerTalk, send_header
from rocket_testing.cluster import Cluster
from rocket_wire import properties
from rocket_wire.codes import RequestCode
from rocket_wire.record import BatchItem, join_batch

PATIENCE = 30


async def send_batch(cluster: Cluster, topic: str, texts: list[str]) -> None:
    """As Java's clients do, with a key for the whole."""
    items = [
        BatchItem(text.encode(), properties.encode({"UNIQ_KEY": f"id of {text}", "TAGS": text[:1]})) for text in texts
    ]
    async with BrokerTalk(cluster.brokers[0].address) as talk:
        header = send_header(topic, 0, UNIQ_KEY=f"batch of {texts[0]}")
        await talk.must(RequestCode.SEND_BATCH_MESSAGE, header, join_batch(items))


@pytest.fixture
async def queue(cluster: Cluster, topic: str) -> MessageQueue:
    """The only queue of a topic of batches: three records of two, one and three messages."""
    async with Admin(cluster.namesrv) as admin, Producer(cluster.namesrv) as producer:
        await admin.create_topic(topic, queues=1, attributes={"queue.type": "BatchCQ"})
        await send_batch(cluster, topic, ["a0", "b1"])
        await producer.send(Message(topic, "c2"))
        await send_batch(cluster, topic, ["d3", "e4", "f5"])
        return (await producer.queues(topic))[0]


async def poll_all(consumer: PullConsumer, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            found += [message.text for message in await consumer.poll(1.0)]
    return found


async def test_each_message_of_a_batch_comes_by_itself(namesrv: str, queue: MessageQueue, group: str) -> None:
    async with PullConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.assign([queue])
        async with asyncio.timeout(PATIENCE):
            messages = [message for _ in range(6) for message in await consumer.poll(1.0, max_messages=1)]
    assert [(message.text, message.queue_offset) for message in messages] == [
        ("a0", 0), ("b1", 1), ("c2", 2), ("d3", 3), ("e4", 4), ("f5", 5),
    ]  # fmt: skip
    assert [messages[number].message_id for number in (0, 1, 5)] == ["id of a0", "id of b1", "id of f5"]
    assert [messages[number].tags for number in (0, 2, 5)] == ["a", None, "f"]
    assert all(message.is_intact for message in messages)


async def test_a_consumer_goes_on_inside_of_a_batch(namesrv: str, queue: MessageQueue, group: str) -> None:
    async with PullConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.assign([queue])
        await consumer.seek(queue, 4)
        assert (await consumer.poll(PATIENCE, max_messages=1))[0].text == "e4"
    async with PullConsumer(namesrv, group) as consumer:
        await consumer.assign([queue])
        assert await poll_all(consumer, 1) == ["f5"]


async def test_a_message_of_a_batch_that_fails_comes_again_without_the_others(
    namesrv: str, queue: MessageQueue, group: str
) -> None:
    seen: list[tuple[str, int]] = []
    async with PushConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe(queue.topic)
        async with asyncio.timeout(PATIENCE):
            async for message in consumer:
                seen.append((message.text, message.reconsume_times))
                if message.text == "e4" and not message.reconsume_times:
                    await message.retry(delay_level=1)
                if message.text == "e4" and message.reconsume_times:
                    break
    assert sorted(seen) == [("a0", 0), ("b1", 0), ("c2", 0), ("d3", 0), ("e4", 0), ("e4", 1), ("f5", 0)]


async def test_what_our_producer_sends_as_a_batch_is_read_like_any_other(
    namesrv: str, queue: MessageQueue, group: str
) -> None:
    async with Producer(namesrv) as producer:
        results = await producer.send_batch([Message(queue.topic, text) for text in ("g6", "h7")])
    assert [result.queue_offset for result in results] == [6, 7]
    async with PullConsumer(namesrv, group) as consumer:
        await consumer.assign([queue])
        await consumer.seek(queue, 6)
        assert await poll_all(consumer, 2) == ["g6", "h7"]
