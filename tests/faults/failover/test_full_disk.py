"""A member that cannot save which epoch it leads does not lead: it gives the lease back, and somebody who can does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rocket_client import Admin
from rocket_testing.cluster import Cluster, OurServers
from rocket_testing.group import Group
from rocket_testing.ledger import Ledger
from rocket_testing.senders import QUEUES, TOPIC, ClientSender, acknowledged, sending
from rocket_testing.small_disk import small_disk
from rocket_testing.waiting import eventually


@pytest.mark.slow
async def test_a_slave_without_room_for_its_epoch_gives_the_lease_back_and_leads_once_there_is(
    cluster: Cluster, tmp_path: Path, small_files: dict[str, str]
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    group = Group(cluster, tmp_path, **small_files)
    master = await asyncio.to_thread(group.add)
    with small_disk(tmp_path / "disk", megabytes=24) as disk:
        store = disk.folder / "store"
        folders = {"storePathRootDir": str(store), "storePathCommitLog": str(store / "commitlog")}
        properties = {**master.properties, "brokerId": "1", **folders}
        del properties["listenPort"], properties["metricsPromExporterPort"], properties["namesrvAddr"]
        slave = disk.moved(OurServers().broker(tmp_path, cluster.namesrv, **properties))
        cluster.brokers.append(slave)
        group.members.append(slave)
        await asyncio.to_thread(slave.start)
        slave.store = disk.inside / "store"
        await group.complete()
        async with Admin(cluster.namesrv) as admin:
            await admin.create_topic(TOPIC, queues=QUEUES)
        ledger = Ledger()
        async with sending(ledger, ClientSender("one", cluster.namesrv)):
            await acknowledged(ledger, 20)
            with disk.filled():
                await asyncio.to_thread(master.kill)
                await eventually(lambda: "its epoch cannot be saved" in slave.run_log())
                assert group.sync_set() != ["group-1"]
            assert await group.led(other_than=master) is slave
            await acknowledged(ledger, 20)
            await asyncio.to_thread(master.start)
            await group.complete()
        await group.assert_kept(ledger)
        await asyncio.to_thread(slave.kill)
