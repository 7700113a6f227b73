"""Master and slave, one of which fails: the slave catches up, and what was acknowledged as copied is copied."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest

from rocket_client import Admin
from rocket_testing.broker_talk import BrokerTalk
from rocket_testing.cluster import Broker, Cluster, OurServers, write_properties
from rocket_testing.ledger import Ledger
from rocket_testing.replicas import common_end, log_bytes
from rocket_testing.senders import QUEUES, TOPIC, ClientSender, RawSender, Sender, acknowledged, sending, stored
from rocket_testing.small_disk import small_disk
from rocket_testing.usage import memory
from rocket_testing.waiting import eventually
from rocket_wire.codes import RequestCode
from rocket_wire.headers.topics import GetTopicConfig


async def pair(cluster: Cluster, **properties: str) -> tuple[Broker, Broker]:
    """A master and its slave, which follows it and knows the ledger's topic."""

    def start() -> tuple[Broker, Broker]:
        cluster.add_namesrv()
        master = cluster.add_broker(**properties)
        own = {"brokerName": master.broker_name, "brokerId": "1", "brokerRole": "SLAVE", "slaveReadEnable": "true"}
        return master, cluster.add_broker(**{**properties, **own})

    master, slave = await asyncio.to_thread(start)
    async with Admin(cluster.namesrv) as admin:
        await admin.create_topic(TOPIC, queues=QUEUES)
    await eventually(lambda: knows(slave, TOPIC))
    return master, slave


async def knows(broker: Broker, topic: str) -> bool:
    talk = BrokerTalk(broker.address)
    try:
        return (await talk.ask(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))).code == 0
    finally:
        await talk.close()


def everybody(cluster: Cluster, master: Broker) -> list[Sender]:
    return [
        RawSender("raw", master.address),
        RawSender("raw-batch", master.address, batch=5),
        ClientSender("client", cluster.namesrv),
    ]


async def assert_equal(ledger: Ledger, cluster: Cluster, master: Broker, slave: Broker) -> None:
    """Both have the same bytes, and a reader of either finds what the ledger says."""
    end = await common_end(cluster.namesrv, (master, slave))
    assert log_bytes(master.store, end) == log_bytes(slave.store, end)
    for broker in (master, slave):
        assert not ledger.faults(await stored(broker.address))
        assert "Traceback" not in broker.log.read_text()


async def kill_slave_rounds(cluster: Cluster, properties: dict[str, str], rounds: int) -> None:
    master, slave = await pair(cluster, **properties)
    chance, ledger = random.Random(rounds), Ledger()
    async with sending(ledger, *everybody(cluster, master)):
        for _ in range(rounds):
            await acknowledged(ledger, more=100)
            await asyncio.to_thread(slave.kill)
            await acknowledged(ledger, more=chance.randrange(20, 500))
            await asyncio.to_thread(slave.start)
    assert set(ledger.statuses) == {0}
    await assert_equal(ledger, cluster, master, slave)


async def test_a_slave_killed_under_load_catches_up_to_the_byte(cluster: Cluster, small_files: dict[str, str]) -> None:
    await kill_slave_rounds(cluster, small_files, rounds=1)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_slave_killed_many_times_catches_up_to_the_byte(cluster: Cluster, small_files: dict[str, str]) -> None:
    await kill_slave_rounds(cluster, small_files, rounds=20)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_master_and_slave_killed_in_turns_agree_in_the_end(cluster: Cluster, small_files: dict[str, str]) -> None:
    master, slave = await pair(cluster, **small_files)
    chance, ledger = random.Random(8), Ledger()
    async with sending(ledger, *everybody(cluster, master)):
        for _ in range(15):
            await acknowledged(ledger, more=50)
            victim = chance.choice((master, slave))
            await asyncio.to_thread(victim.kill)
            await asyncio.sleep(chance.uniform(0, 0.5))
            await asyncio.to_thread(victim.start)
    await assert_equal(ledger, cluster, master, slave)


async def test_a_synchronous_master_tells_that_its_slave_is_gone_and_that_it_is_back(
    cluster: Cluster, small_files: dict[str, str]
) -> None:
    properties = {**small_files, "brokerRole": "SYNC_MASTER", "inSyncReplicas": "2", "slaveTimeout": "500"}
    master, slave = await pair(cluster, **properties)
    ledger = Ledger()
    async with sending(ledger, *everybody(cluster, master)):
        await acknowledged(ledger, more=50)
        assert set(ledger.statuses) == {0}
        slave.freeze()
        await eventually(lambda: ledger.statuses[12])
        await asyncio.to_thread(slave.kill)
        await eventually(lambda: ledger.statuses[11])
        await asyncio.to_thread(slave.start)
        before = ledger.statuses[0]
        await eventually(lambda: ledger.statuses[0] > before + 20)
    assert set(ledger.statuses) == {0, 11, 12}
    await assert_equal(ledger, cluster, master, slave)


async def lose_the_master(cluster: Cluster, properties: dict[str, str], seed: int) -> None:
    """The master's machine is lost under load, and its slave takes its place by its properties file."""
    properties = {**properties, "brokerRole": "SYNC_MASTER", "inSyncReplicas": "2"}
    master, slave = await pair(cluster, **properties)
    ledger = Ledger()
    async with sending(ledger, *everybody(cluster, master)):
        await acknowledged(ledger, more=random.Random(seed).randrange(50, 400))
        await asyncio.to_thread(master.kill)
        shutil.rmtree(master.store)
    assert set(ledger.statuses) == {0}
    assert not ledger.faults(await stored(slave.address)), "read from the slave while there is no master"
    await asyncio.to_thread(slave.stop)
    promote(slave)
    await asyncio.to_thread(slave.start)
    async with sending(ledger, ClientSender("later", cluster.namesrv)):
        await acknowledged(ledger, more=20)
    assert not ledger.faults(await stored(slave.address))


def promote(slave: Broker) -> None:
    """By its properties file, at its next start."""
    file = slave.store.parent / "broker.properties"
    write_properties(file, {**slave.properties, "brokerId": "0", "brokerRole": "ASYNC_MASTER"})


@pytest.mark.slow
async def test_what_a_synchronous_master_acknowledged_outlives_its_disk(
    cluster: Cluster, small_files: dict[str, str]
) -> None:
    await lose_the_master(cluster, small_files, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(2, 10))
async def test_what_a_synchronous_master_acknowledged_outlives_its_disk_always(
    cluster: Cluster, small_files: dict[str, str], seed: int
) -> None:
    await lose_the_master(cluster, small_files, seed)


async def test_a_topic_made_just_before_its_master_died_is_on_the_slave(
    cluster: Cluster, small_files: dict[str, str]
) -> None:
    """Its messages were acknowledged as copied; the slave has not asked for the master's topics since."""
    master, slave = await pair(cluster, **small_files, brokerRole="SYNC_MASTER", inSyncReplicas="2")
    ledger, sender = Ledger(), RawSender("raw", master.address, topic="Sudden")
    for _ in range(QUEUES):
        await sender.send_once(ledger)
    await sender.close()
    await asyncio.to_thread(master.kill)
    assert ledger.statuses == {0: QUEUES}
    assert not ledger.faults(await stored(slave.address, ["Sudden"]))
    await asyncio.to_thread(slave.stop)
    promote(slave)
    await asyncio.to_thread(slave.start)
    assert not ledger.faults(await stored(slave.address, ["Sudden"]))


@pytest.mark.slow
async def test_a_master_beside_a_frozen_slave_goes_on_and_stops_in_time(
    cluster: Cluster, small_files: dict[str, str]
) -> None:
    """What the slave does not read is not kept in memory, and does not hold up the end."""
    master, slave = await pair(cluster, **small_files)
    slave.freeze()
    ledger = Ledger()
    before = memory(master)
    async with sending(ledger, RawSender("raw", master.address, size=200_000, rest=0)):
        await acknowledged(ledger, more=200)
    assert memory(master) - before < 30_000_000
    master.patience = 15
    await asyncio.to_thread(master.stop)
    await asyncio.to_thread(master.start)
    slave.thaw()
    await assert_equal(ledger, cluster, master, slave)


@pytest.mark.slow
async def test_a_slave_whose_disk_was_full_catches_up_to_the_byte(
    cluster: Cluster, small_files: dict[str, str], tmp_path: Path
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    master = await asyncio.to_thread(lambda: cluster.add_broker(**small_files))
    ledger = Ledger()
    with small_disk(tmp_path / "disk", megabytes=24) as disk:
        store = disk.folder / "store"
        own = {"brokerName": master.broker_name, "brokerId": "1", "slaveReadEnable": "true"}
        folders = {"storePathRootDir": str(store), "storePathCommitLog": str(store / "commitlog")}
        slave = disk.moved(OurServers().broker(tmp_path, cluster.namesrv, **{**small_files, **own, **folders}))
        cluster.brokers.append(slave)
        await asyncio.to_thread(slave.start)
        slave.store = disk.inside / "store"
        async with sending(ledger, RawSender("raw", master.address, size=50_000)):
            await acknowledged(ledger, more=20)
            with disk.filled():
                await eventually(lambda: "No space left on device" in slave.run_log())
                await acknowledged(ledger, more=20)
            await acknowledged(ledger, more=20)
        await assert_equal(ledger, cluster, master, slave)
        await asyncio.to_thread(slave.kill)


@pytest.mark.slow
async def test_an_empty_master_does_not_lead_a_slave_that_has_the_messages(
    cluster: Cluster, small_files: dict[str, str]
) -> None:
    """It came back without its disk; its log says what to do, and doing so loses nothing."""
    master, slave = await pair(cluster, **small_files, brokerRole="SYNC_MASTER", inSyncReplicas="2")
    ledger = Ledger()
    async with sending(ledger, *everybody(cluster, master)):
        await acknowledged(ledger, more=100)
    await asyncio.to_thread(master.kill)
    shutil.rmtree(master.store)
    await asyncio.to_thread(master.start)
    await eventually(lambda: "let the slave take its place" in master.run_log(), within=10)
    for broker in (master, slave):
        await asyncio.to_thread(broker.stop)
    promote(slave)
    await asyncio.to_thread(slave.start)
    assert not ledger.faults(await stored(slave.address))
