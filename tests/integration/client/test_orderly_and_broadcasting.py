"""Orderly consumption, and broadcasting with its offset file."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

import pytest

from rocket_client import (
    Admin,
    ConsumerSettings,
    FromWhere,
    InvalidMessage,
    Message,
    Model,
    Producer,
    PushConsumer,
    PushedMessage,
    dead_letter_topic,
)
from rocket_testing.waiting import eventually

PATIENCE = 30


async def send_in_order(namesrv: str, topic: str, keys: int, each: int) -> None:
    async with Producer(namesrv) as producer:
        for number in range(each):
            for key in range(keys):
                await producer.send(Message(topic, f"{key}:{number}"), ordering_key=f"key-{key}")


async def test_messages_of_a_key_come_one_after_the_other_whatever_fails(namesrv: str, topic: str, group: str) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=4)
    order: defaultdict[str, list[int]] = defaultdict(list)
    at_work: set[int] = set()
    failed: set[str] = set()
    done = asyncio.Event()

    async def handler(message: PushedMessage) -> None:
        assert message.queue_id not in at_work, "two messages of one queue at once"
        at_work.add(message.queue_id)
        try:
            await asyncio.sleep(0.001)
            key, number = message.text.split(":")
            if number == "3" and message.text not in failed:
                failed.add(message.text)
                raise ValueError("fails once")
            order[key].append(int(number))
            if sum(map(len, order.values())) == 60:
                done.set()
        finally:
            at_work.discard(message.queue_id)

    settings = ConsumerSettings(suspend_seconds=0.05)
    async with PushConsumer(namesrv, group, orderly=True, settings=settings) as consumer:
        await consumer.subscribe(topic)
        run = asyncio.create_task(consumer.run(handler))
        await send_in_order(namesrv, topic, keys=6, each=10)
        await asyncio.wait_for(done.wait(), PATIENCE)
        await consumer.stop()
        await run
    assert len(failed) == 6
    assert order == {str(key): list(range(10)) for key in range(6)}


async def test_a_retried_message_counts_its_failures_and_ends_in_the_dead_letters(
    namesrv: str, topic: str, group: str
) -> None:
    settings = ConsumerSettings(suspend_seconds=0.01, max_reconsume_times=2)
    async with PushConsumer(namesrv, group, orderly=True, settings=settings) as consumer, Admin(namesrv) as admin:
        await consumer.subscribe(topic)
        await send_in_order(namesrv, topic, keys=1, each=2)
        times = []
        async with asyncio.timeout(PATIENCE):
            async for message in consumer:
                if message.text == "0:1":
                    break
                times.append(message.reconsume_times)
                await message.retry()
        await eventually(lambda: admin.has_topic(dead_letter_topic(group)))
        assert times == [0, 1, 2]


async def test_queues_go_in_order_to_a_second_member_and_back(namesrv: str, topic: str, group: str) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=2)
    order: defaultdict[str, list[int]] = defaultdict(list)
    done = asyncio.Event()

    async def handler(message: PushedMessage) -> None:
        key, number = message.text.split(":")
        await asyncio.sleep(0.005)
        order[key].append(int(number))
        if sum(map(len, order.values())) == 200:
            done.set()

    async with PushConsumer(namesrv, group, orderly=True) as first:
        await first.subscribe(topic)
        runs = [asyncio.create_task(first.run(handler))]
        sending = asyncio.create_task(send_in_order(namesrv, topic, keys=4, each=50))
        await asyncio.sleep(0.2)
        async with PushConsumer(namesrv, group, orderly=True) as second:
            await second.subscribe(topic)
            runs.append(asyncio.create_task(second.run(handler)))
            await eventually(lambda: [queue for queue in second.queues if queue.topic == topic])
            await asyncio.sleep(0.2)
            await second.stop()
        await sending
        await asyncio.wait_for(done.wait(), PATIENCE)
        await first.stop()
        await asyncio.gather(*runs)
    assert order == {str(key): list(range(50)) for key in range(4)}


async def test_leaving_by_an_exception_is_quick_and_gives_the_message_and_the_lock_back(
    namesrv: str, topic: str, group: str
) -> None:
    async def receive_and_fail() -> None:
        async with PushConsumer(namesrv, group, orderly=True) as consumer:
            await consumer.subscribe(topic)
            await send_in_order(namesrv, topic, keys=1, each=1)
            async with asyncio.timeout(PATIENCE):
                async for _ in consumer:
                    raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await receive_and_fail()
    async with asyncio.timeout(10), PushConsumer(namesrv, group, orderly=True) as consumer:
        await consumer.subscribe(topic)
        assert (await consumer.receive()).text == "0:0"


def own_offsets(folder: Path, name: str) -> ConsumerSettings:
    return ConsumerSettings(offset_folder=folder, instance_name=name)


async def texts(consumer: PushConsumer, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(PATIENCE):
        async for message in consumer:
            found.append(message.text)
            if len(found) == count:
                await message.ack()
                break
    return sorted(found)


async def test_each_broadcasting_consumer_gets_every_message_and_goes_on_after_a_restart(
    namesrv: str, topic: str, group: str, tmp_path: Path
) -> None:
    async with Producer(namesrv) as producer:
        for number in range(10):
            await producer.send(Message(topic, f"a{number}"))
        for name in ("one", "two"):
            settings = own_offsets(tmp_path, name)
            async with PushConsumer(
                namesrv, group, model=Model.BROADCASTING, from_where=FromWhere.FIRST, settings=settings
            ) as consumer:
                await consumer.subscribe(topic)
                assert await texts(consumer, 10) == [f"a{number}" for number in range(10)]
        for number in range(10):
            await producer.send(Message(topic, f"b{number}"))
        for name in ("one", "two"):
            settings = own_offsets(tmp_path, name)
            async with PushConsumer(namesrv, group, model=Model.BROADCASTING, settings=settings) as consumer:
                await consumer.subscribe(topic)
                assert await texts(consumer, 10) == [f"b{number}" for number in range(10)]
    files = await asyncio.to_thread(lambda: list(tmp_path.glob("*@*/*/offsets.json")))
    assert sorted(file.parts[-3].split("@")[1] for file in files) == ["one", "two"]


async def test_two_broadcasting_consumers_of_one_name_are_refused(namesrv: str, group: str, tmp_path: Path) -> None:
    settings = own_offsets(tmp_path, "one")
    async with PushConsumer(namesrv, group, model=Model.BROADCASTING, settings=settings):
        with pytest.raises(InvalidMessage, match="instance_name"):
            await PushConsumer(namesrv, group, model=Model.BROADCASTING, settings=settings).start()
