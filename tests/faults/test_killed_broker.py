"""A master that is killed, frozen and restarted under load: what was acknowledged stays, where it was."""

from __future__ import annotations

import asyncio
import random

import pytest

from rocket_testing.cluster import Broker, Cluster
from rocket_testing.ledger import Ledger
from rocket_testing.senders import ClientSender, RawSender, Sender, acknowledged, sending, stored


def everybody(cluster: Cluster, broker: Broker, suffix: str = "") -> list[Sender]:
    """One of each kind of sender; each name sends in one run only."""
    return [
        RawSender(f"raw{suffix}", broker.address),
        RawSender(f"raw-batch{suffix}", broker.address, batch=5),
        ClientSender(f"client{suffix}", cluster.namesrv),
        ClientSender(f"client-once{suffix}", cluster.namesrv, retries=0),
        ClientSender(f"client-batch{suffix}", cluster.namesrv, batch=3),
    ]


async def kill_rounds(cluster: Cluster, broker: Broker, rounds: int, seed: int) -> Ledger:
    """Kills the broker again and again, at any moment, while everybody sends; then compares."""
    chance, ledger = random.Random(seed), Ledger()
    async with sending(ledger, *everybody(cluster, broker)):
        for _ in range(rounds):
            await acknowledged(ledger, more=50)
            await asyncio.sleep(chance.uniform(0, 0.4))
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
        await acknowledged(ledger, more=50)
    await assert_as_told(ledger, broker)
    return ledger


async def assert_as_told(ledger: Ledger, broker: Broker) -> None:
    """Everything is there now, and once more after a kill with nobody sending."""
    assert not ledger.faults(await stored(broker.address))
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    assert not ledger.faults(await stored(broker.address))
    assert "Traceback" not in broker.log.read_text()


async def test_a_master_killed_under_load_loses_nothing_acknowledged(cluster: Cluster, master: Broker) -> None:
    ledger = await kill_rounds(cluster, master, rounds=2, seed=1)
    assert set(ledger.statuses) == {0}
    assert {"ConnectionLost", "ConnectFailed"} & set(ledger.refusals)


@pytest.mark.slow
async def test_a_master_with_sync_flush_killed_under_load_loses_nothing(
    cluster: Cluster, small_files: dict[str, str]
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    master = await asyncio.to_thread(lambda: cluster.add_broker(**small_files, flushDiskType="SYNC_FLUSH"))
    await kill_rounds(cluster, master, rounds=1, seed=3)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("flush", ["ASYNC_FLUSH", "SYNC_FLUSH"])
async def test_a_master_killed_many_times_loses_nothing_acknowledged(
    cluster: Cluster, small_files: dict[str, str], flush: str
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    master = await asyncio.to_thread(lambda: cluster.add_broker(**small_files, flushDiskType=flush))
    ledger = await kill_rounds(cluster, master, rounds=30, seed=2)
    assert len(ledger.acknowledged) > 5000


async def kill_while_starting(cluster: Cluster, broker: Broker, rounds: int, seed: int) -> None:
    """Kills each of many starts at any moment of its recovery, with new messages in between."""
    chance, ledger = random.Random(seed), Ledger()
    for number in range(rounds):
        async with sending(ledger, *everybody(cluster, broker, suffix=str(number))):
            await acknowledged(ledger, more=200)
            await asyncio.to_thread(broker.kill)
        for _ in range(3):
            await asyncio.to_thread(broker.launch)
            await asyncio.sleep(chance.uniform(0.05, 0.6))
            await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        assert not ledger.faults(await stored(broker.address))
    await assert_as_told(ledger, broker)


async def test_a_master_killed_while_it_recovers_recovers_all_the_same(cluster: Cluster, master: Broker) -> None:
    await kill_while_starting(cluster, master, rounds=1, seed=4)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_master_killed_in_many_recoveries_recovers_all_the_same(cluster: Cluster, master: Broker) -> None:
    await kill_while_starting(cluster, master, rounds=12, seed=5)


async def test_a_frozen_master_goes_on_where_it_was(cluster: Cluster, master: Broker) -> None:
    ledger = Ledger()
    async with sending(ledger, *everybody(cluster, master)):
        await acknowledged(ledger, more=100)
        master.freeze()
        await asyncio.sleep(2.2)  # longer than a raw sender waits
        master.thaw()
        await acknowledged(ledger, more=100)
    assert "RequestTimeout" in ledger.refusals
    await assert_as_told(ledger, master)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_master_frozen_many_times_goes_on_where_it_was(cluster: Cluster, master: Broker) -> None:
    chance, ledger = random.Random(6), Ledger()
    async with sending(ledger, *everybody(cluster, master)):
        for _ in range(15):
            await acknowledged(ledger, more=30)
            master.freeze()
            await asyncio.sleep(chance.choice((0.05, 0.5, 2.2, 5.0)))
            master.thaw()
        await acknowledged(ledger, more=100)
    await assert_as_told(ledger, master)


async def restart_rounds(cluster: Cluster, broker: Broker, rounds: int) -> Ledger:
    """Stops (SIGTERM) and starts the broker again while everybody sends."""
    ledger = Ledger()
    async with sending(ledger, *everybody(cluster, broker)):
        for _ in range(rounds):
            await acknowledged(ledger, more=50)
            await asyncio.to_thread(broker.restart)
            assert "last stop was clean" in broker.run_log()
        await acknowledged(ledger, more=50)
    await assert_as_told(ledger, broker)
    return ledger


async def test_a_master_restarted_under_load_stops_clean_and_loses_nothing(cluster: Cluster, master: Broker) -> None:
    await restart_rounds(cluster, master, rounds=2)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_master_restarted_many_times_stops_clean_and_loses_nothing(cluster: Cluster, master: Broker) -> None:
    await restart_rounds(cluster, master, rounds=20)
