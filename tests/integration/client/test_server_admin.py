"""Administration of single servers by address, against real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rocket_client import (
    Backlog,
    Message,
    NoAnswer,
    Producer,
    PushConsumer,
    ServerAdmin,
    SubscriptionGroupConfig,
    TopicConfig,
)
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.waiting import eventually
from rocket_wire.headers.routes import UnregisterBroker


@pytest.fixture
async def servers() -> AsyncIterator[ServerAdmin]:
    async with ServerAdmin() as admin:
        yield admin


@pytest.fixture
def master(cluster: Cluster) -> Broker:
    cluster.add_namesrv()
    return cluster.add_broker()


@pytest.fixture
def cluster(tmp_path: Path) -> object:
    with Cluster(tmp_path) as found:
        yield found


async def test_topics_are_made_changed_and_deleted_on_one_broker(servers: ServerAdmin, master: Broker) -> None:
    wanted = [TopicConfig("a", 3, 2), TopicConfig("b", 1, 1, 4)]
    await servers.update_topics(master.address, wanted)
    found = await servers.topics(master.address)
    assert [found["a"].write_queue_nums, found["b"].perm] == [2, 4]
    assert "TBW102" in found
    await servers.delete_topic(master.address, "a")
    assert "a" not in await servers.topics(master.address)


async def test_consumer_groups_are_made_changed_and_deleted_on_one_broker(servers: ServerAdmin, master: Broker) -> None:
    await servers.update_groups(master.address, [SubscriptionGroupConfig("g", retry_max_times=3)])
    assert (await servers.groups(master.address))["g"].retry_max_times == 3
    await servers.delete_group(master.address, "g")
    assert "g" not in await servers.groups(master.address)


async def test_a_setting_is_changed_and_read_back(servers: ServerAdmin, master: Broker) -> None:
    await servers.update_broker_config(master.address, {"brokerPermission": "4"})
    assert (await servers.broker_config(master.address))["brokerPermission"] == "4"


async def test_what_nobody_has_read_is_told_with_an_empty_group_and_what_a_group_lacks_with_its_name(
    servers: ServerAdmin, master: Broker
) -> None:
    namesrv = master.properties["namesrvAddr"]
    await servers.update_topics(master.address, [TopicConfig("orders", 2, 2), TopicConfig("unread", 1, 1)])
    assert await servers.backlog(master.address) == []
    async with Producer(namesrv) as producer:
        for topic in ("orders", "orders", "orders", "unread"):
            await producer.send(Message(topic, "x"))
        assert sorted(await servers.backlog(master.address), key=str) == [
            Backlog("orders", "", 3), Backlog("unread", "", 1),
        ]  # fmt: skip
        async with PushConsumer(namesrv, group="billing") as consumer:
            await consumer.subscribe("orders")
            reading = asyncio.create_task(_read_all(consumer))
            await eventually(lambda: _is_backlog(servers, master, [Backlog("unread", "", 1)]))
            reading.cancel()
        await producer.send(Message("orders", "y"))
    assert Backlog("orders", "billing", 1) in await servers.backlog(master.address)


async def _read_all(consumer: PushConsumer) -> None:
    async for _ in consumer:
        pass


async def _is_backlog(servers: ServerAdmin, master: Broker, expected: list[Backlog]) -> bool:
    return await servers.backlog(master.address) == expected


async def test_a_message_in_a_queue_that_its_topic_no_longer_has_is_told(servers: ServerAdmin, master: Broker) -> None:
    await servers.update_topics(master.address, [TopicConfig("orders", 2, 2)])
    async with Producer(master.properties["namesrvAddr"]) as producer:
        for _ in range(2):
            await producer.send(Message("orders", "x"))
    await servers.update_topics(master.address, [TopicConfig("orders", 1, 1)])
    assert await servers.backlog(master.address) == [Backlog("orders", "", 2)]


async def test_a_message_that_waits_for_its_time_is_told(servers: ServerAdmin, master: Broker) -> None:
    async with Producer(master.properties["namesrvAddr"]) as producer:
        await producer.send(Message("orders", "later", delay_level=18))
    assert await servers.backlog(master.address) == [Backlog("SCHEDULE_TOPIC_XXXX", "delay level 18", 1)]


async def test_a_retry_that_its_group_has_not_begun_to_read_is_that_groups(
    servers: ServerAdmin, master: Broker
) -> None:
    async with Producer(master.properties["namesrvAddr"]) as producer:
        await servers.update_topics(
            master.address, [TopicConfig("%RETRY%billing", 1, 1), TopicConfig("%RETRY%gone", 1, 1)]
        )
        await servers.update_groups(master.address, [SubscriptionGroupConfig("billing")])
        await producer.send(Message("%RETRY%billing", "again"))
        await servers.update_groups(master.address, [SubscriptionGroupConfig("gone")])
        await producer.send(Message("%RETRY%gone", "never"))
    await servers.delete_group(master.address, "gone")
    assert sorted(await servers.backlog(master.address), key=str) == [
        Backlog("%RETRY%billing", "billing", 1), Backlog("%RETRY%gone", "", 1),
    ]  # fmt: skip


async def test_a_delayed_message_that_is_delivered_during_the_look_is_told(
    servers: ServerAdmin, master: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here after the topics were looked at: its topic is empty still, and no level holds it any more."""
    await servers.update_topics(master.address, [TopicConfig("orders", 1, 1)])
    async with Producer(master.properties["namesrvAddr"]) as producer:
        await producer.send(Message("orders", "soon", delay_level=1))
    look = ServerAdmin._ends

    async def delivered_after_the_look(self: ServerAdmin, address: str, topic: str) -> object:
        ends = await look(self, address, topic)
        if topic == "orders" and ends[0].max_offset == 0:
            await eventually(lambda: _is_delivered(servers, master))
        return ends

    async def _is_delivered(servers: ServerAdmin, master: Broker) -> bool:
        return await ServerAdmin._delayed(servers, master.address) == []

    monkeypatch.setattr(ServerAdmin, "_ends", delivered_after_the_look)
    assert await servers.backlog(master.address) == [Backlog("SCHEDULE_TOPIC_XXXX", "delay level 1", 1)]


async def test_a_master_tells_its_slaves_and_what_they_lack(servers: ServerAdmin, cluster: Cluster) -> None:
    cluster.add_namesrv()
    master = cluster.add_broker(brokerName="pair")
    assert await servers.slaves(master.address) == []
    slave = cluster.add_broker(brokerName="pair", brokerId="1", brokerRole="SLAVE")
    async with Producer(master.properties["namesrvAddr"]) as producer:
        await producer.send(Message("orders", "x"))

    async def caught_up() -> bool:
        found = await servers.slaves(master.address)
        return [(each.behind, each.in_sync) for each in found] == [(0, True)]

    await eventually(caught_up)
    assert await servers.slaves(slave.address) == []


async def test_one_name_server_is_asked_and_made_to_forget(servers: ServerAdmin, master: Broker) -> None:
    namesrv = master.properties["namesrvAddr"]
    known = await servers.known_brokers(namesrv)
    (name,) = known.broker_addr_table
    header = UnregisterBroker(name, master.address, known.broker_addr_table[name].cluster, 0)
    await servers.unregister_broker(namesrv, header)
    assert name not in (await servers.known_brokers(namesrv)).broker_addr_table


async def test_a_server_that_is_not_there_is_no_answer(servers: ServerAdmin) -> None:
    with pytest.raises(NoAnswer):
        await servers.broker_config("127.0.0.1:1")
