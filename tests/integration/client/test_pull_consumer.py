"""Pull consumers: polling, seeking, committing, assigned and shared queues."""

from __future__ import annotations

import asyncio
import time

import pytest

from rocket_client import (
    Admin,
    ClientClosed,
    ConsumerSettings,
    FromWhere,
    InvalidMessage,
    Message,
    MessageQueue,
    Producer,
    PullConsumer,
)
from rocket_testing.waiting import eventually

PATIENCE = 30


async def one_queue(namesrv: str, topic: str, count: int) -> MessageQueue:
    """The only queue of a new topic with so many messages, "0", "1" and so on."""
    async with Admin(namesrv) as admin, Producer(namesrv) as producer:
        await admin.create_topic(topic, queues=1)
        for number in range(count):
            await producer.send(Message(topic, str(number)))
        return (await producer.queues(topic))[0]


async def poll_all(consumer: PullConsumer, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            found += [message.text for message in await consumer.poll(1.0)]
    return found


async def test_polling_brings_everything_in_order(namesrv: str, topic: str, group: str) -> None:
    await one_queue(namesrv, topic, 100)
    async with PullConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe(topic)
        assert await poll_all(consumer, 100) == [str(number) for number in range(100)]


async def test_a_poll_that_finds_nothing_returns_after_its_timeout(namesrv: str, topic: str, group: str) -> None:
    await one_queue(namesrv, topic, 0)
    async with PullConsumer(namesrv, group) as consumer:
        await consumer.subscribe(topic)
        assert await consumer.poll(0.1) == []


async def test_a_waiting_poll_gets_what_arrives(namesrv: str, topic: str, group: str) -> None:
    await one_queue(namesrv, topic, 0)
    async with PullConsumer(namesrv, group) as consumer, Producer(namesrv) as producer:
        await consumer.subscribe(topic)
        poll = asyncio.create_task(consumer.poll(PATIENCE))
        await asyncio.sleep(0.2)
        await producer.send(Message(topic, "x"))
        assert [message.text for message in await poll] == ["x"]


async def test_a_poll_returns_at_most_what_was_asked_for(namesrv: str, topic: str, group: str) -> None:
    await one_queue(namesrv, topic, 10)
    async with PullConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe(topic)
        async with asyncio.timeout(PATIENCE):
            assert [message.text for message in await consumer.poll(5.0, max_messages=3)] == ["0", "1", "2"]


async def test_without_auto_commit_only_commit_commits(namesrv: str, topic: str, group: str) -> None:
    queue = await one_queue(namesrv, topic, 5)
    settings = ConsumerSettings(commit_seconds=0.1)
    async with PullConsumer(
        namesrv, group, auto_commit=False, from_where=FromWhere.FIRST, settings=settings
    ) as consumer:
        await consumer.assign([queue])
        await poll_all(consumer, 5)
        assert await consumer.poll(0.3) == []
        assert await consumer.committed(queue) in (None, 0)
        await consumer.commit()
        assert await consumer.committed(queue) == 5


async def test_with_auto_commit_the_next_poll_counts_the_last_one_as_consumed(
    namesrv: str, topic: str, group: str
) -> None:
    queue = await one_queue(namesrv, topic, 5)
    settings = ConsumerSettings(commit_seconds=0.1)
    async with PullConsumer(namesrv, group, from_where=FromWhere.FIRST, settings=settings) as consumer:
        await consumer.assign([queue])
        await poll_all(consumer, 5)
        await asyncio.sleep(0.3)
        assert await consumer.committed(queue) in (None, 0)
        await consumer.poll(0.1)

        async def is_committed() -> bool:
            return await consumer.committed(queue) == 5

        await eventually(is_committed)


async def test_leaving_by_an_exception_repeats_the_last_poll(namesrv: str, topic: str, group: str) -> None:
    queue = await one_queue(namesrv, topic, 5)

    async def poll_and_fail() -> None:
        async with PullConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
            await consumer.assign([queue])
            await poll_all(consumer, 5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await poll_and_fail()
    async with PullConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.assign([queue])
        assert await poll_all(consumer, 5) == ["0", "1", "2", "3", "4"]
    async with PullConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.assign([queue])
        assert consumer.position(queue) == 5


async def test_seeking_by_offset_ends_and_time(namesrv: str, topic: str, group: str) -> None:
    queue = await one_queue(namesrv, topic, 3)
    await asyncio.sleep(0.05)
    between = int(time.time() * 1000)
    async with Producer(namesrv) as producer, PullConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        for number in range(3, 6):
            await producer.send(Message(topic, str(number)), queue=queue)
        await consumer.assign([queue])
        await poll_all(consumer, 6)
        await consumer.seek(queue, 4)
        assert consumer.position(queue) == 4
        assert await poll_all(consumer, 2) == ["4", "5"]
        await consumer.seek_to_begin(queue)
        assert await poll_all(consumer, 6) == ["0", "1", "2", "3", "4", "5"]
        await consumer.seek_to_time(queue, between)
        assert await poll_all(consumer, 3) == ["3", "4", "5"]
        await consumer.seek_to_end(queue)
        assert await consumer.poll(0.2) == []
        assert consumer.position(queue) == 6


async def test_seeking_past_the_end_goes_on_at_the_end(namesrv: str, topic: str, group: str) -> None:
    queue = await one_queue(namesrv, topic, 3)
    async with Producer(namesrv) as producer, PullConsumer(namesrv, group) as consumer:
        await consumer.assign([queue])
        await consumer.seek(queue, 1000)
        await eventually(lambda: consumer.position(queue) == 3)
        await producer.send(Message(topic, "x"), queue=queue)
        assert await poll_all(consumer, 1) == ["x"]


async def test_two_members_share_the_queues(namesrv: str, topic: str, group: str) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=4)
    async with PullConsumer(namesrv, group) as one, PullConsumer(namesrv, group) as other:
        await one.subscribe(topic)
        await other.subscribe(topic)
        await eventually(lambda: len(one.assignment) == len(other.assignment) == 2)
        assert not set(one.assignment) & set(other.assignment)


async def test_assigned_queues_stay_whoever_else_is_in_the_group(namesrv: str, topic: str, group: str) -> None:
    queue = await one_queue(namesrv, topic, 0)
    async with PullConsumer(namesrv, group) as one, PullConsumer(namesrv, group) as other:
        await one.assign([queue])
        await other.assign([queue])
        await asyncio.sleep(1.0)  # longer than the first rebalance would take to come
        assert one.assignment == other.assignment == [queue]


async def test_subscribing_and_assigning_exclude_each_other(namesrv: str, topic: str, group: str) -> None:
    queue = await one_queue(namesrv, topic, 0)
    async with PullConsumer(namesrv, group) as consumer:
        await consumer.assign([queue])
        with pytest.raises(InvalidMessage):
            await consumer.subscribe(topic)
        with pytest.raises(InvalidMessage, match="is not read by this consumer"):
            consumer.position(MessageQueue("other", "broker-a", 0))
    with pytest.raises(ClientClosed):
        await consumer.poll()
