"""Sending to a real broker: acknowledgements, choices of queue, what is refused."""

from __future__ import annotations

import asyncio

import pytest

from rocket_client import (
    Admin,
    InvalidMessage,
    Message,
    NoNameServer,
    Producer,
    ProducerSettings,
    SendFailed,
    SendStatus,
    SyncProducer,
)
from rocket_testing.waiting import eventually
from rocket_wire.bodies.body import MessageQueue


async def test_a_send_to_a_new_topic_makes_it_and_is_acknowledged(namesrv: str, topic: str) -> None:
    async with Producer(namesrv, group="shop") as producer, Admin(namesrv) as admin:
        result = await producer.send(Message(topic, "one coffee", tags="new", keys=["k1"]))
        assert (result.status, result.queue.topic, result.queue_offset) == (SendStatus.SEND_OK, topic, 0)
        stored = await admin.message(topic, result.offset_message_id)
        assert (stored.text, stored.tags, stored.keys, stored.message_id) == (
            "one coffee",
            "new",
            ("k1",),
            result.message_id,
        )


async def test_queues_take_turns(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer, Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=4)
        results = [await producer.send(Message(topic, "x")) for _ in range(8)]
        assert sorted(result.queue.queue_id for result in results) == [0, 0, 1, 1, 2, 2, 3, 3]


async def test_a_chosen_queue_is_used(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer, Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=4)
        queue = (await producer.queues(topic))[2]
        results = [await producer.send(Message(topic, "x"), queue=queue) for _ in range(3)]
        assert [(result.queue, result.queue_offset) for result in results] == [(queue, 0), (queue, 1), (queue, 2)]


async def test_messages_of_one_key_go_to_one_queue(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer, Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=4)
        results = [await producer.send(Message(topic, "x"), ordering_key="order-1") for _ in range(5)]
        assert {result.queue.queue_id for result in results} == {2}  # Java: abs("order-1".hashCode() % 4)


async def test_a_batch_lies_together_in_one_queue(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer, Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=4)
        results = await producer.send_batch([Message(topic, f"m{number}", tags=f"t{number}") for number in range(5)])
        assert [result.queue_offset for result in results] == [0, 1, 2, 3, 4]
        assert len({result.queue for result in results}) == 1
        stored = [await admin.message(topic, result.offset_message_id) for result in results]
        assert [(each.text, each.tags) for each in stored] == [(f"m{number}", f"t{number}") for number in range(5)]
        assert [each.message_id for each in stored] == [result.message_id for result in results]


async def test_a_oneway_message_arrives(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer, Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=1)
        await producer.send_oneway(Message(topic, "x"))
        queue = (await producer.queues(topic))[0]

        async def is_stored() -> bool:
            return (await admin.topic_stats(topic))[queue].max_offset == 1

        await eventually(is_stored)


async def test_many_sends_at_once_are_all_acknowledged(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer, Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=4)
        results = await asyncio.gather(*(producer.send(Message(topic, str(number))) for number in range(200)))
        assert len({(result.queue, result.queue_offset) for result in results}) == 200


async def test_a_topic_with_fewer_queues_than_the_producer_knows_refuses_no_message(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer, Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=8)
        assert len(await producer.queues(topic)) == 8
        await admin.create_topic(topic, queues=1)
        results = await asyncio.gather(*(producer.send(Message(topic, str(number))) for number in range(16)))
        assert {result.queue.queue_id for result in results} == {0}


async def test_a_queue_that_was_chosen_and_is_gone_is_refused_without_a_further_try(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer, Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=8)
        [*_, last] = await producer.queues(topic)
        await admin.create_topic(topic, queues=1)
        with pytest.raises(SendFailed) as caught:
            await producer.send(Message(topic, "x"), queue=last)
        assert len(caught.value.attempts) == 1


async def test_a_large_body_travels_compressed_and_is_stored_so(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer, Admin(namesrv) as admin:
        result = await producer.send(Message(topic, b"x" * 100_000))
        stored = await admin.message(topic, result.offset_message_id)
        assert stored.body == b"x" * 100_000
        assert stored.stored_bytes < 2000


async def test_a_message_above_the_brokers_limit_is_refused_without_a_further_try(namesrv: str, topic: str) -> None:
    settings = ProducerSettings(max_message_bytes=8 * 1024 * 1024, compression=None)
    async with Producer(namesrv, settings=settings) as producer:
        await producer.send(Message(topic, "the topic exists"))
        with pytest.raises(SendFailed, match="MESSAGE_ILLEGAL 13") as refusal:
            await producer.send(Message(topic, bytes(5 * 1024 * 1024)), timeout=10)
        assert len(refusal.value.attempts) == 1
        assert not refusal.value.maybe_stored


async def test_a_queue_that_does_not_exist_is_refused(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer:
        queue = (await producer.send(Message(topic, "the topic exists"))).queue
        with pytest.raises(SendFailed, match=r"INVALID_PARAMETER 29|SYSTEM_ERROR 1"):
            await producer.send(Message(topic, "x"), queue=MessageQueue(topic, queue.broker_name, 4000))


async def test_queue_and_key_exclude_each_other(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer:
        with pytest.raises(InvalidMessage, match="exclude each other"):
            await producer.send(Message(topic, "x"), queue=MessageQueue(topic, "broker-a", 0), ordering_key="k")


async def test_a_name_server_that_is_not_there_is_named() -> None:
    async with Producer("127.0.0.1:1") as producer:
        with pytest.raises(NoNameServer, match=r"127\.0\.0\.1:1"):
            await producer.send(Message("T", "x"))


async def test_a_cancelled_send_leaves_a_producer_that_works(namesrv: str, topic: str) -> None:
    async with Producer(namesrv) as producer:
        await producer.send(Message(topic, "the topic exists"))
        for delay in (0, 0.0005, 0.002):
            task = asyncio.create_task(producer.send(Message(topic, "x")))
            await asyncio.sleep(delay)
            task.cancel()
            await asyncio.wait({task})
        assert (await producer.send(Message(topic, "y"))).status is SendStatus.SEND_OK


def test_the_synchronous_face_sends_from_any_thread(namesrv: str, topic: str) -> None:
    with SyncProducer(namesrv) as producer:
        assert producer.send(Message(topic, "x")).status is SendStatus.SEND_OK
        later = [producer.send_later(Message(topic, str(number))) for number in range(10)]
        assert len({future.result(10).message_id for future in later}) == 10
        assert len(producer.send_batch([Message(topic, "a"), Message(topic, "b")])) == 2
        producer.send_oneway(Message(topic, "c"))
        assert producer.queues(topic)
        with pytest.raises(InvalidMessage):
            producer.send(Message(topic, ""))
