"""Administration against a real cluster."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from rocket_client import (
    Admin,
    BrokerError,
    FromWhere,
    InvalidMessage,
    Message,
    Producer,
    PullConsumer,
    PushConsumer,
    TopicNotFound,
)
from rocket_testing.waiting import eventually
from rocket_wire.bodies.connections import ProducerConnection

PATIENCE = 30


async def test_a_topic_is_made_changed_and_deleted(namesrv: str, topic: str) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=3)
        assert topic in await admin.topics()
        assert len((await admin.route(topic)).queues_to_write) == 3
        (address,) = await admin.masters()
        config = await admin.topic_config(address, topic)
        assert (config.read_queue_nums, config.write_queue_nums, config.perm) == (3, 3, 6)
        await admin.update_topic(address, msgspec.structs.replace(config, write_queue_nums=2))
        assert (await admin.topic_config(address, topic)).write_queue_nums == 2
        await admin.delete_topic(topic)
        with pytest.raises(TopicNotFound, match="create it"):
            await admin.route(topic)
        assert topic not in await admin.topics()


async def test_topic_statistics_tell_each_queues_ends(namesrv: str, topic: str) -> None:
    async with Admin(namesrv) as admin, Producer(namesrv) as producer:
        await admin.create_topic(topic, queues=2)
        queue = (await producer.queues(topic))[1]
        for _ in range(3):
            await producer.send(Message(topic, "x"), queue=queue)
        stats = await admin.topic_stats(topic)
        ends = {each.queue_id: (offset.min_offset, offset.max_offset) for each, offset in stats.items()}
        assert ends == {0: (0, 0), 1: (0, 3)}
        assert abs(stats[queue].last_update_timestamp - time.time() * 1000) < 60_000


async def test_a_group_is_made_found_and_deleted(namesrv: str, group: str) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_group(group)
        assert (await admin.groups())[group].retry_max_times == 16
        await admin.delete_group(group)
        assert group not in await admin.groups()


async def test_progress_members_and_state_of_a_group(namesrv: str, topic: str, group: str) -> None:
    async with Admin(namesrv) as admin, Producer(namesrv) as producer:
        await admin.create_topic(topic, queues=2)
        for _ in range(6):
            await producer.send(Message(topic, "x"))
        async with PullConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
            await consumer.subscribe(topic)
            async with asyncio.timeout(PATIENCE):
                assert len(await consumer.poll(PATIENCE, max_messages=1)) == 1
            await consumer.commit()
            assert (await admin.consumer_progress(group, topic)).lag == 5
            members = await admin.consumers(group)
            assert list(members.subscription_table) == [topic]
            (member,) = members.connection_set
            assert (member.language, member.client_id.split("@")[1].count("#")) == ("PYTHON", 2)
            state = await admin.consumer_status(group, member.client_id)
            assert {queue.queue_id for queue in state.mq_table} == {0, 1}
            assert group in await admin.consumer_groups_of(topic)


async def test_a_group_without_members_says_so(namesrv: str, group: str) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_group(group)
        with pytest.raises(BrokerError, match="CONSUMER_NOT_ONLINE 206"):
            await admin.consumers(group)


async def test_offsets_that_are_reset_are_taken_by_a_running_consumer(namesrv: str, topic: str, group: str) -> None:
    async with Admin(namesrv) as admin, Producer(namesrv) as producer, PushConsumer(namesrv, group) as consumer:
        await admin.create_topic(topic, queues=1)
        await consumer.subscribe(topic)
        for number in range(3):
            await producer.send(Message(topic, str(number)))
        seen: list[str] = []
        async with asyncio.timeout(PATIENCE):
            async for message in consumer:
                seen.append(message.text)
                if len(seen) == 3:
                    await message.ack()
                    assert set((await admin.reset_offsets(group, topic, 0)).values()) == {0}
                    await producer.send(Message(topic, "3"))  # a broker may tell it with the answer to the next pull
                if len(seen) >= 6:
                    break
        assert seen[3:6] in (["0", "1", "2"], ["3", "0", "1"])


async def test_messages_are_found_by_id_and_by_key(namesrv: str, topic: str) -> None:
    async with Admin(namesrv) as admin, Producer(namesrv) as producer:
        result = await producer.send(Message(topic, "x", keys=["order-17", "north"]))
        await producer.send(Message(topic, "y", keys=["order-18"]))
        assert (await admin.message(topic, result.offset_message_id)).text == "x"
        found = await eventually(lambda: admin.messages_by_key(topic, "order-17"))
        assert [message.text for message in found] == ["x"]
        assert [message.text for message in await admin.messages_by_key(topic, result.message_id)] == ["x"]
        with pytest.raises(InvalidMessage, match="hexadecimal"):
            await admin.message(topic, "no id")


async def test_a_brokers_configuration_is_read_and_changed(namesrv: str) -> None:
    async with Admin(namesrv) as admin:
        (address,) = await admin.masters()
        before = await admin.broker_config(address)
        assert before["brokerName"] == "broker-a"
        await admin.update_broker_config(address, {"fileReservedTime": "48"})
        assert (await admin.broker_config(address))["fileReservedTime"] == "48"
        await admin.update_broker_config(address, {"fileReservedTime": before["fileReservedTime"]})
        assert "msgPutTotalTodayNow" in await admin.broker_runtime(address)


async def test_the_cluster_lists_its_brokers(namesrv: str) -> None:
    async with Admin(namesrv) as admin:
        known = await admin.cluster()
        assert known.cluster_addr_table == {"DefaultCluster": frozenset({"broker-a"})}
        assert list(known.broker_addr_table["broker-a"].broker_addrs) == [0]


async def test_producers_of_a_group_are_listed(namesrv: str, topic: str, group: str) -> None:
    async with Admin(namesrv) as admin, Producer(namesrv, group=group) as producer:
        await producer.send(Message(topic, "x"))

        async def members() -> ProducerConnection | None:
            try:
                return await admin.producers(group, topic)
            except BrokerError:
                return None

        members_known = await eventually(members)
        assert members_known is not None
        assert [member.language for member in members_known.connection_set] == ["PYTHON"]
