"""Brokers that die, restart and freeze while producers and consumers work."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from rocket_client import (
    Admin,
    FromWhere,
    Message,
    MessageQueue,
    NoBroker,
    Producer,
    ProducerSettings,
    PushConsumer,
    PushedMessage,
    SendFailed,
    SendStatus,
)
from rocket_testing.cluster import Cluster
from rocket_testing.waiting import eventually

PATIENCE = 30


async def start(cluster: Cluster, brokers: int) -> None:
    def servers() -> None:
        cluster.add_namesrv()
        for _ in range(brokers):
            cluster.add_broker()

    await asyncio.to_thread(servers)


async def test_a_send_goes_to_another_broker_when_one_dies(own_cluster: Cluster) -> None:
    await start(own_cluster, brokers=2)
    async with Admin(own_cluster.namesrv) as admin, Producer(own_cluster.namesrv) as producer:
        await admin.create_topic("T", queues=2)
        for _ in range(4):
            await producer.send(Message("T", "x"))
        own_cluster.brokers[0].kill()
        results = [await producer.send(Message("T", "x")) for _ in range(8)]
        assert {result.queue.broker_name for result in results} == {"broker-b"}


async def test_a_frozen_broker_is_left_for_another_within_the_sends_time(own_cluster: Cluster) -> None:
    await start(own_cluster, brokers=2)
    async with Admin(own_cluster.namesrv) as admin, Producer(own_cluster.namesrv) as producer:
        await admin.create_topic("T", queues=2)
        for _ in range(4):
            await producer.send(Message("T", "x"))
        own_cluster.brokers[0].freeze()
        outcomes = await asyncio.gather(
            *(producer.send(Message("T", "x"), timeout=1.0) for _ in range(4)), return_exceptions=True
        )
        assert any(isinstance(outcome, SendFailed) and outcome.maybe_stored for outcome in outcomes)
        after = [await producer.send(Message("T", "x"), timeout=1.0) for _ in range(4)]
        assert {result.queue.broker_name for result in after} == {"broker-b"}


async def test_a_send_survives_the_restart_of_the_only_broker(own_cluster: Cluster) -> None:
    await start(own_cluster, brokers=1)
    broker = own_cluster.brokers[0]
    async with Producer(own_cluster.namesrv) as producer:
        first = await producer.send(Message("T", "x"))
        await asyncio.to_thread(broker.stop)
        starting = asyncio.create_task(asyncio.to_thread(broker.start))
        anywhere, bound = await asyncio.gather(
            producer.send(Message("T", "y"), timeout=PATIENCE),
            producer.send(Message("T", "z"), queue=first.queue, timeout=PATIENCE),
        )
        assert (anywhere.status, bound.status) == (SendStatus.SEND_OK, SendStatus.SEND_OK)
        await starting


async def test_sends_go_on_while_the_only_broker_is_stopped_and_started(own_cluster: Cluster) -> None:
    """A consumer's held pull keeps the stopping broker waiting, and so refusing, for a while."""
    await start(own_cluster, brokers=1)
    broker = own_cluster.brokers[0]
    stop = asyncio.Event()

    async def send() -> int:
        sent = 0
        while not stop.is_set():
            result = await producer.send(Message("T", "x"), timeout=PATIENCE)
            assert result.status is SendStatus.SEND_OK
            sent += 1
        return sent

    async with (
        Admin(own_cluster.namesrv) as admin,
        Producer(own_cluster.namesrv) as producer,
        PushConsumer(own_cluster.namesrv, "g") as consumer,
    ):
        await admin.create_topic("T", queues=1)
        await admin.create_topic("quiet", queues=1)
        await consumer.subscribe("quiet")
        sending = [asyncio.create_task(send()) for _ in range(4)]
        await asyncio.sleep(0.2)
        await asyncio.to_thread(broker.restart)
        await asyncio.sleep(0.2)
        stop.set()
        assert all(await asyncio.wait_for(asyncio.gather(*sending), PATIENCE))


async def test_a_send_to_a_dead_broker_fails_when_its_time_is_over(own_cluster: Cluster) -> None:
    await start(own_cluster, brokers=1)
    async with Producer(own_cluster.namesrv, settings=ProducerSettings(retries=1)) as producer:
        await producer.send(Message("T", "x"))
        own_cluster.brokers[0].kill()
        with pytest.raises((SendFailed, NoBroker), match="broker-a"):
            await producer.send(Message("T", "x"), queue=MessageQueue("T", "broker-a", 0), timeout=0.5)


async def test_a_consumer_goes_on_after_its_broker_restarts_and_nothing_is_lost(own_cluster: Cluster) -> None:
    await start(own_cluster, brokers=1)
    broker = own_cluster.brokers[0]
    seen: Counter[str] = Counter()

    async def handler(message: PushedMessage) -> None:
        seen[message.text] += 1

    async with (
        Admin(own_cluster.namesrv) as admin,
        Producer(own_cluster.namesrv) as producer,
        PushConsumer(own_cluster.namesrv, "g", from_where=FromWhere.FIRST) as consumer,
    ):
        await admin.create_topic("T", queues=2)
        await consumer.subscribe("T")
        run = asyncio.create_task(consumer.run(handler))
        for number in range(50):
            await producer.send(Message("T", str(number)))
        await eventually(lambda: len(seen) == 50)
        await asyncio.to_thread(broker.restart)
        for number in range(50, 100):
            await producer.send(Message("T", str(number)), timeout=PATIENCE)
        await eventually(lambda: len(seen) == 100)
        assert seen == Counter({str(number): 1 for number in range(100)})
        await consumer.stop()
        await run


async def test_queues_of_a_broker_that_is_away_are_kept_for_it_and_nothing_is_repeated(own_cluster: Cluster) -> None:
    await start(own_cluster, brokers=2)
    broker = own_cluster.brokers[0]
    async with (
        Admin(own_cluster.namesrv) as admin,
        Producer(own_cluster.namesrv) as producer,
        PushConsumer(own_cluster.namesrv, "g") as consumer,
    ):
        await admin.create_topic("T", queues=1)
        await consumer.subscribe("T")
        queue = MessageQueue("T", "broker-a", 0)
        await producer.send(Message("T", "before"), queue=queue)
        async with asyncio.timeout(PATIENCE):
            await (await consumer.receive()).ack()
            await asyncio.to_thread(broker.kill)  # so that what was acknowledged is not committed

            async def is_gone() -> bool:
                return "broker-a" not in (await consumer._member.instance.routes.refresh("T")).brokers

            await eventually(is_gone)
            await consumer._member.rebalance.once()
            assert queue in consumer.queues
            await asyncio.to_thread(broker.start)
            await producer.send(Message("T", "after"), queue=queue, timeout=PATIENCE)
            assert (await consumer.receive()).text == "after"


async def test_a_failed_message_of_a_dead_broker_comes_again_by_way_of_another(own_cluster: Cluster) -> None:
    await start(own_cluster, brokers=2)
    async with (
        Admin(own_cluster.namesrv) as admin,
        Producer(own_cluster.namesrv) as producer,
        PushConsumer(own_cluster.namesrv, "g") as consumer,
    ):
        await admin.create_topic("T", queues=1)
        await consumer.subscribe("T")
        await producer.send(Message("T", "x", tags="new"), queue=MessageQueue("T", "broker-a", 0))
        async with asyncio.timeout(PATIENCE):
            message = await consumer.receive()
            await asyncio.to_thread(own_cluster.brokers[0].kill)
            await message.retry(delay_level=1)
            again = await consumer.receive()
        assert (again.text, again.topic, again.tags, again.reconsume_times) == ("x", "T", "new", 1)
        assert (again.message_id, again.broker_name) == (message.message_id, "broker-b")


async def test_queues_of_a_new_broker_are_read(own_cluster: Cluster) -> None:
    await start(own_cluster, brokers=1)
    async with Admin(own_cluster.namesrv) as admin, PushConsumer(own_cluster.namesrv, "g") as consumer:
        await admin.create_topic("T", queues=2)
        await consumer.subscribe("T")
        await asyncio.to_thread(own_cluster.add_broker)
        await admin.create_topic("T", queues=2)
        await consumer._member.instance.routes.refresh("T")
        await eventually(lambda: len([queue for queue in consumer.queues if queue.topic == "T"]) == 4)


async def test_a_slave_is_read_when_its_master_is_gone(own_cluster: Cluster) -> None:
    def servers() -> None:
        own_cluster.add_namesrv()
        own_cluster.add_broker(slaveReadEnable="true")
        own_cluster.add_broker(brokerName="broker-a", brokerId="1", brokerRole="SLAVE", slaveReadEnable="true")

    await asyncio.to_thread(servers)
    async with (
        Producer(own_cluster.namesrv) as producer,
        PushConsumer(own_cluster.namesrv, "g", from_where=FromWhere.FIRST) as consumer,
        Admin(own_cluster.namesrv) as admin,
    ):
        await admin.create_topic("T", queues=1)
        await consumer.subscribe("T")
        await producer.send(Message("T", "first"))
        async with asyncio.timeout(PATIENCE):
            assert (await consumer.receive()).text == "first"

        async def is_copied() -> bool:
            runtime = [await admin.broker_runtime(broker.address) for broker in own_cluster.brokers]
            return runtime[0]["commitLogMaxOffset"] == runtime[1]["commitLogMaxOffset"]

        await producer.send(Message("T", "second"))
        await eventually(is_copied)
        own_cluster.brokers[0].kill()
        async with asyncio.timeout(PATIENCE):
            found = [(await consumer.receive()).text]
        assert found == ["second"]
