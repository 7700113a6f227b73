"""With minInSyncReplicas nothing is acknowledged that fewer members have: neither new sends nor those under way."""

from __future__ import annotations

import asyncio
from pathlib import Path

from rocket_client import Admin
from rocket_testing.broker_talk import BrokerTalk, send_header
from rocket_testing.cluster import Cluster
from rocket_testing.group import Group
from rocket_testing.waiting import eventually
from rocket_wire.codes import RequestCode, ResponseCode


async def test_a_master_alone_takes_no_message_and_acknowledges_none_until_its_slave_is_back(
    cluster: Cluster, tmp_path: Path, small_files: dict[str, str]
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    group = Group(cluster, tmp_path, **small_files, minInSyncReplicas="2", slaveTimeout="20000")
    for _ in range(2):
        await asyncio.to_thread(group.add)
    master, slave = await group.complete(), group.slave()
    async with Admin(cluster.namesrv) as admin:
        await admin.create_topic("Kept", queues=1)
    async with BrokerTalk(master.address) as talk:
        assert (await talk.send("Kept")).code == ResponseCode.SUCCESS
        await asyncio.to_thread(slave.kill)
        under_way = await talk.send("Kept", b"under way")
        assert under_way.code == ResponseCode.SLAVE_NOT_AVAILABLE
        refused = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header("Kept", 0), b"refused")
        assert (refused.code, refused.remark) == (
            ResponseCode.SYSTEM_ERROR, "in-sync replicas not enough: 1 of minInSyncReplicas=2",
        )  # fmt: skip
        await asyncio.to_thread(slave.start)
        await group.complete()

        async def is_taken() -> bool:
            answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header("Kept", 0), b"taken")
            return answer.code == ResponseCode.SUCCESS

        await eventually(is_taken)
