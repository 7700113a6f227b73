"""A consumer that waits at a master gets a message once the sync set has it: not before, and no later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rocket_client import Admin
from rocket_testing.broker_talk import BrokerTalk, send_header
from rocket_testing.group import Group
from rocket_wire import properties
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.record import BatchItem, join_batch


@pytest.mark.parametrize("kind", ["SimpleCQ", "BatchCQ"])
async def test_a_held_pull_is_answered_when_the_batch_is_confirmed(
    group_of: Callable[[int], Awaitable[Group]], kind: str
) -> None:
    group = await group_of(2)
    master, slave = await group.led(), group.slave()
    topic = f"Waited{kind}"
    async with Admin(group.cluster.namesrv) as admin:
        await admin.create_topic(topic, queues=1, attributes={"queue.type": kind})
    items = [BatchItem(body, properties.encode({"UNIQ_KEY": body.decode()})) for body in (b"a", b"b")]
    async with BrokerTalk(master.address) as reader, BrokerTalk(master.address) as sender:
        slave.freeze()
        pull = asyncio.create_task(reader.pull(topic, 0, 0, suspend_ms=8_000))
        header = send_header(topic, 0, UNIQ_KEY="whole")
        sending = asyncio.create_task(sender.must(RequestCode.SEND_BATCH_MESSAGE, header, join_batch(items)))
        try:
            pulled = await pull
        finally:
            slave.thaw()
        await sending
    assert pulled.code == ResponseCode.SUCCESS
    assert pulled.messages
