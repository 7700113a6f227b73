"""Push consumers in clustering: everything once, tags, retries, sharing, going on after a restart."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from rocket_client import (
    Admin,
    ClientClosed,
    ConsumerSettings,
    FromWhere,
    InvalidMessage,
    Message,
    NoNameServer,
    Producer,
    PushConsumer,
    PushedMessage,
    dead_letter_topic,
)
from rocket_testing.waiting import eventually
from rocket_wire.bodies.offsets import ResetOffsetBody
from rocket_wire.codes import RequestCode
from rocket_wire.command import request
from rocket_wire.headers.offsets import ResetConsumerClientOffset

PATIENCE = 30


async def send_all(namesrv: str, topic: str, texts: list[str], tag: str | None = None) -> None:
    async with Producer(namesrv) as producer:
        await asyncio.gather(*(producer.send(Message(topic, text, tags=tag)) for text in texts))


async def receive(consumer: PushConsumer, count: int) -> list[PushedMessage]:
    """So many messages, the last of which is left open."""
    found: list[PushedMessage] = []
    async with asyncio.timeout(PATIENCE):
        async for message in consumer:
            found.append(message)
            if len(found) == count:
                break
    return found


async def test_messages_come_once_each_and_a_restart_goes_on_behind_them(namesrv: str, topic: str, group: str) -> None:
    first, second = [f"a{number}" for number in range(20)], [f"b{number}" for number in range(20)]
    async with PushConsumer(namesrv, group) as consumer:
        await consumer.subscribe(topic)
        await send_all(namesrv, topic, first)
        await consumer.subscribe(topic)
        assert sorted(message.text for message in await receive(consumer, 20)) == sorted(first)
    await send_all(namesrv, topic, second)
    async with PushConsumer(namesrv, group) as consumer:
        await consumer.subscribe(topic)
        assert sorted(message.text for message in await receive(consumer, 20)) == sorted(second)


async def test_a_topic_that_does_not_exist_yet_is_waited_for(namesrv: str, topic: str, group: str) -> None:
    async with PushConsumer(namesrv, group) as consumer:
        await consumer.subscribe(topic)
        await send_all(namesrv, topic, ["x"])
        assert [message.text for message in await receive(consumer, 1)] == ["x"]


async def test_only_the_wanted_tags_come(namesrv: str, topic: str, group: str) -> None:
    """`Aa` and `BB` have one hash: the broker delivers both, the consumer keeps what it wants."""
    for tag in ("Aa", "BB", "other", "wanted"):
        await send_all(namesrv, topic, [tag], tag)
    async with PushConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe(topic, "Aa || wanted")
        async with asyncio.timeout(PATIENCE):
            first, second = await consumer.receive(), await consumer.receive()
            await send_all(namesrv, topic, ["last"], "wanted")
            third = await consumer.receive()
        assert sorted(message.text for message in (first, second, third)) == ["Aa", "last", "wanted"]


async def test_two_members_share_the_queues_and_each_message_comes_once(namesrv: str, topic: str, group: str) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=4)
    seen: Counter[str] = Counter()
    done = asyncio.Event()

    async def handler(message: PushedMessage) -> None:
        seen[message.text] += 1
        if len(seen) == 100:
            done.set()

    async with PushConsumer(namesrv, group) as one, PushConsumer(namesrv, group) as other:
        for consumer in (one, other):
            await consumer.subscribe(topic)
        await eventually(lambda: len(topic_queues(one, topic)) == len(topic_queues(other, topic)) == 2)
        assert not set(topic_queues(one, topic)) & set(topic_queues(other, topic))
        runs = [asyncio.create_task(consumer.run(handler)) for consumer in (one, other)]
        await send_all(namesrv, topic, [str(number) for number in range(100)])
        await asyncio.wait_for(done.wait(), PATIENCE)
        await asyncio.gather(one.stop(), other.stop())
        await asyncio.wait_for(asyncio.gather(*runs), PATIENCE)
    assert seen == Counter({str(number): 1 for number in range(100)})


def topic_queues(consumer: PushConsumer, topic: str) -> list[int]:
    return [queue.queue_id for queue in consumer.queues if queue.topic == topic]


async def test_a_member_that_leaves_is_replaced_and_nothing_is_lost_or_repeated(
    namesrv: str, topic: str, group: str
) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=4)
    seen: Counter[str] = Counter()
    done = asyncio.Event()

    async def handler(message: PushedMessage) -> None:
        await asyncio.sleep(0.002)
        seen[message.text] += 1
        if len(seen) == 300:
            done.set()

    async with (
        PushConsumer(namesrv, group) as stays,
        PushConsumer(namesrv, group) as leaves,
        Producer(namesrv) as producer,
    ):
        for consumer in (stays, leaves):
            await consumer.subscribe(topic)
        await eventually(lambda: len(topic_queues(stays, topic)) == 2)
        runs = [asyncio.create_task(consumer.run(handler)) for consumer in (stays, leaves)]
        for number in range(300):
            await producer.send(Message(topic, str(number)))
            if number == 150:
                await leaves.stop()
        await asyncio.wait_for(done.wait(), PATIENCE)
        await stays.stop()
        await asyncio.wait_for(asyncio.gather(*runs), PATIENCE)
    assert seen == Counter({str(number): 1 for number in range(300)})


async def test_a_member_that_joins_gets_its_part_and_nothing_is_lost_or_repeated(
    namesrv: str, topic: str, group: str
) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=4)
    seen: Counter[str] = Counter()
    done = asyncio.Event()

    async def handler(message: PushedMessage) -> None:
        await asyncio.sleep(0.002)
        seen[message.text] += 1
        if len(seen) == 400:
            done.set()

    async with (
        PushConsumer(namesrv, group) as first,
        PushConsumer(namesrv, group) as second,
        Producer(namesrv) as producer,
    ):
        await first.subscribe(topic)
        runs = [asyncio.create_task(consumer.run(handler)) for consumer in (first, second)]
        for number in range(400):
            await producer.send(Message(topic, str(number)))
            if number == 100:
                joining = asyncio.create_task(second.subscribe(topic))
        await joining
        await asyncio.wait_for(done.wait(), PATIENCE)
        await eventually(lambda: len(topic_queues(first, topic)) == len(topic_queues(second, topic)) == 2)
        await asyncio.gather(first.stop(), second.stop())
        await asyncio.wait_for(asyncio.gather(*runs), PATIENCE)
    assert seen == Counter({str(number): 1 for number in range(400)})


async def test_a_failed_message_comes_again_after_its_delay(namesrv: str, topic: str, group: str) -> None:
    async with PushConsumer(namesrv, group) as consumer:
        await consumer.subscribe(topic)
        await send_all(namesrv, topic, ["x"], "tag")
        first = (await receive(consumer, 1))[0]
        await first.retry(delay_level=1)
        again = (await receive(consumer, 1))[0]
        assert (again.text, again.topic, again.tags, again.reconsume_times) == ("x", topic, "tag", 1)
        assert again.message_id == first.message_id
        assert again.queue.topic == f"%RETRY%{group}"


async def test_a_handler_that_raises_has_its_message_retried(namesrv: str, topic: str, group: str) -> None:
    settings = ConsumerSettings(max_reconsume_times=0)  # the first failure is the last: no wait for the delay
    failed = asyncio.Event()

    async def handler(message: PushedMessage) -> None:
        failed.set()
        raise ValueError("cannot be handled")

    async with PushConsumer(namesrv, group, settings=settings) as consumer, Admin(namesrv) as admin:
        await consumer.subscribe(topic)
        run = asyncio.create_task(consumer.run(handler))
        await send_all(namesrv, topic, ["x"])
        await asyncio.wait_for(failed.wait(), PATIENCE)
        await eventually(lambda: admin.has_topic(dead_letter_topic(group)))
        await consumer.stop()
        await run


async def test_level_minus_one_puts_a_message_to_the_dead_letters_at_once(
    namesrv: str, topic: str, group: str, new_name: Callable[[str], str]
) -> None:
    async with PushConsumer(namesrv, group) as consumer, Admin(namesrv) as admin:
        await consumer.subscribe(topic)
        await send_all(namesrv, topic, ["x"])
        message = (await receive(consumer, 1))[0]
        await message.retry(delay_level=-1)
        assert message.is_settled
        await eventually(lambda: admin.has_topic(dead_letter_topic(group)))
    async with PushConsumer(namesrv, new_name("undertaker"), from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe(dead_letter_topic(group))
        assert (await receive(consumer, 1))[0].text == "x"


async def test_leaving_by_an_exception_leaves_the_message_open(namesrv: str, topic: str, group: str) -> None:
    async def receive_and_fail() -> None:
        async with PushConsumer(namesrv, group) as consumer:
            await consumer.subscribe(topic)
            await send_all(namesrv, topic, ["x"])
            await receive(consumer, 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await receive_and_fail()
    async with PushConsumer(namesrv, group) as consumer:
        await consumer.subscribe(topic)
        assert (await receive(consumer, 1))[0].text == "x"


async def test_a_new_loop_begins_with_the_message_that_the_last_one_left_open(
    namesrv: str, topic: str, group: str
) -> None:
    async with PushConsumer(namesrv, group) as consumer:
        await consumer.subscribe(topic)
        await send_all(namesrv, topic, ["x"])
        for _ in range(3):
            assert (await receive(consumer, 1))[0].text == "x"
        await (await receive(consumer, 1))[0].ack()
        await send_all(namesrv, topic, ["y"])
        assert (await receive(consumer, 1))[0].text == "y"


async def test_a_cancelled_wait_loses_nothing(namesrv: str, topic: str, group: str) -> None:
    async with PushConsumer(namesrv, group) as consumer, Producer(namesrv) as producer:
        await consumer.subscribe(topic)
        found: list[str] = []

        async def collect() -> None:
            async for message in consumer:
                found.append(message.text)

        for number in range(50):
            await producer.send(Message(topic, str(number)))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(collect(), 0.01)
        async with asyncio.timeout(PATIENCE):
            while len(set(found)) < 50:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(collect(), 0.1)
        assert set(found) == {str(number) for number in range(50)}


async def test_messages_taken_one_by_one_within_a_time_limit_are_acknowledged(
    namesrv: str, topic: str, group: str
) -> None:
    await send_all(namesrv, topic, ["a", "b", "c"])
    async with PushConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe(topic)
        messages = aiter(consumer)
        taken = [await asyncio.wait_for(anext(messages), PATIENCE) for _ in range(3)]
        assert [message.is_settled for message in taken] == [True, True, False]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(messages), 0.2)
        assert [message.is_settled for message in taken] == [True, True, True]


async def test_what_a_task_had_in_hand_when_it_died_comes_again(namesrv: str, topic: str, group: str) -> None:
    async with PushConsumer(namesrv, group) as consumer:
        await consumer.subscribe(topic)
        await send_all(namesrv, topic, ["x"])

        async def dies() -> None:
            async for _ in consumer:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(asyncio.create_task(dies()), PATIENCE)
        assert (await receive(consumer, 1))[0].text == "x"


async def test_a_message_received_alone_stays_open_until_it_is_answered(namesrv: str, topic: str, group: str) -> None:
    async with PushConsumer(namesrv, group) as consumer, Admin(namesrv) as admin:
        await consumer.subscribe(topic)
        await send_all(namesrv, topic, ["a", "b"])
        async with asyncio.timeout(PATIENCE):
            first, second = await consumer.receive(), await consumer.receive()
        await second.ack()
        await consumer.stop()
        lag = {"a": 2, "b": 2} if first.queue == second.queue else {"a": 1, "b": 1}
        assert (await admin.consumer_progress(group, topic)).lag == lag[first.text]


async def test_offsets_that_a_broker_sets_are_taken_at_once(namesrv: str, topic: str, group: str) -> None:
    await send_all(namesrv, topic, ["a", "b", "c"])
    async with PushConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe(topic)
        await receive(consumer, 3)
        queues = [queue for queue in consumer.queues if queue.topic == topic]
        question = request(
            RequestCode.RESET_CONSUMER_CLIENT_OFFSET,
            ResetConsumerClientOffset(topic=topic, group=group, timestamp=0, is_force=True),
            ResetOffsetBody(dict.fromkeys(queues, 0)).encode(),
        )
        consumer._member._reset_offsets(question, await consumer._member.instance.net.connection(namesrv))
        intakes = [consumer._member.assignment.intakes[queue] for queue in queues]
        await eventually(lambda: all(intake.window.commit_offset == 0 for intake in intakes))
        assert sorted(message.text for message in await receive(consumer, 3)) == ["a", "b", "c"]


async def test_a_full_window_stops_pulling_until_there_is_room(namesrv: str, topic: str, group: str) -> None:
    settings = ConsumerSettings(max_buffered_messages=8, pull_batch=4)
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=1)
    await send_all(namesrv, topic, [str(number) for number in range(50)])
    async with PushConsumer(namesrv, group, from_where=FromWhere.FIRST, settings=settings) as consumer:
        await consumer.subscribe(topic)
        await receive(consumer, 1)
        await asyncio.sleep(0.3)
        (intake,) = [each for queue, each in consumer._member.assignment.intakes.items() if queue.topic == topic]
        assert len(intake.window) == 8
        assert len(await receive(consumer, 50)) == 50


async def test_stopping_in_a_handler_ends_the_run(namesrv: str, topic: str, group: str) -> None:
    async with PushConsumer(namesrv, group) as consumer:
        await consumer.subscribe(topic)
        await send_all(namesrv, topic, ["x"])

        async def handler(message: PushedMessage) -> None:
            await message.ack()
            await consumer.stop()

        await asyncio.wait_for(consumer.run(handler, concurrency=1), PATIENCE)
    async with Admin(namesrv) as admin:
        assert (await admin.consumer_progress(group, topic)).lag == 0


async def test_unsubscribing_gives_the_queues_back(namesrv: str, topic: str, group: str) -> None:
    async with PushConsumer(namesrv, group) as consumer:
        await send_all(namesrv, topic, ["x"])
        await consumer.subscribe(topic)
        await receive(consumer, 1)
        await consumer.unsubscribe(topic)
        assert topic_queues(consumer, topic) == []


async def test_a_consumer_that_does_not_run_says_so(namesrv: str, topic: str, group: str) -> None:
    consumer = PushConsumer(namesrv, group)
    with pytest.raises(ClientClosed):
        await consumer.subscribe(topic)
    with pytest.raises(ClientClosed):
        await consumer.receive()
    with pytest.raises(InvalidMessage):
        PushConsumer(namesrv, "no blanks")


async def test_a_name_server_that_is_not_there_is_told_at_once(topic: str, group: str) -> None:
    async with PushConsumer("127.0.0.1:1", group) as consumer:
        with pytest.raises(NoNameServer):
            await consumer.subscribe(topic)
