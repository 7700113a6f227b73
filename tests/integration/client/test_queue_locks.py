"""The locks behind orderly consumption, between two members of one group on a real broker."""

from __future__ import annotations

import asyncio

from rocket_client import Admin, MessageQueue
from rocket_client.broker_calls import BrokerCalls
from rocket_client.instance import Instance
from rocket_client.queue_locks import TRUST_SECONDS, QueueLocks


async def test_a_queue_belongs_to_the_member_that_locked_it_until_it_is_released(
    namesrv: str, topic: str, group: str
) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=2)
    first, second = Instance(namesrv), Instance(namesrv)
    await first.start()
    await second.start()
    mine, other = (MessageQueue(topic, "broker-a", number) for number in range(2))
    one, two = QueueLocks(BrokerCalls(first), group), QueueLocks(BrokerCalls(second), group)
    try:
        now = asyncio.get_running_loop().time()
        until = (await one.acquire([mine]))[mine]
        assert until is not None
        assert now + TRUST_SECONDS <= until <= now + TRUST_SECONDS + 10
        held = await two.acquire([mine, other])
        assert held[mine] is None
        assert held[other] is not None
        await one.release([mine])
        assert (await two.acquire([mine]))[mine] is not None
    finally:
        await first.close()
        await second.close()


async def test_a_queue_whose_broker_is_unknown_is_left_out(namesrv: str, topic: str, group: str) -> None:
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=1)
    instance = Instance(namesrv)
    await instance.start()
    try:
        assert await QueueLocks(BrokerCalls(instance), group).acquire([MessageQueue(topic, "broker-z", 0)]) == {}
    finally:
        await instance.close()
