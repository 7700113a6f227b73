"""A queue that had two owners for a moment, as after a broker's restart: nobody's progress is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocket_client import ConsumerSettings, FromWhere, Message, Producer, PushConsumer, PushedMessage
from rocket_testing.broker_talk import BrokerTalk
from rocket_testing.cluster import Cluster
from rocket_testing.waiting import eventually

TOPIC, GROUP = "orders", "billing"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as cluster:
        cluster.add_namesrv()
        cluster.add_broker(defaultTopicQueueNums="1")
        yield cluster


async def send(cluster: Cluster, count: int) -> None:
    async with Producer(cluster.namesrv) as producer:
        for number in range(count):
            await producer.send(Message(TOPIC, f"{number}"))


async def consume(cluster: Cluster, talk: BrokerTalk, count: int, offset: int, other: int) -> None:
    """Consumes so many and commits `offset`; another owner then commits `other`, and this one gives its queues up."""
    settings = ConsumerSettings(commit_seconds=0.05)
    seen: list[str] = []

    async def handle(message: PushedMessage) -> None:
        seen.append(message.text)

    async with PushConsumer(cluster.namesrv, GROUP, from_where=FromWhere.FIRST, settings=settings) as consumer:
        await consumer.subscribe(TOPIC)
        run = asyncio.create_task(consumer.run(handle))
        await eventually(lambda: len(seen) >= count and len(consumer.queues) == 2)
        await eventually(lambda: is_committed(talk, offset))
        await talk.commit(GROUP, TOPIC, 0, other)
        await consumer.stop()
        await run


async def is_committed(talk: BrokerTalk, offset: int) -> bool:
    return await talk.offset(GROUP, TOPIC) == offset


async def test_who_gives_a_queue_up_says_again_how_far_it_is(cluster: Cluster) -> None:
    await send(cluster, 5)
    async with BrokerTalk(cluster.brokers[0].address) as talk:
        await consume(cluster, talk, count=5, offset=5, other=3)
        assert await talk.offset(GROUP, TOPIC) == 5


async def test_who_got_no_further_leaves_what_the_other_committed(cluster: Cluster) -> None:
    await send(cluster, 5)
    async with BrokerTalk(cluster.brokers[0].address) as talk:
        await consume(cluster, talk, count=5, offset=5, other=5)
        await consume(cluster, talk, count=0, offset=5, other=7)
        assert await talk.offset(GROUP, TOPIC) == 7
