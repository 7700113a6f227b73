"""A master that is killed, frozen and restarted under load: what was acknowledged stays, where it was."""

from __future__ import annotations

import asyncio
import random

import pytest

from rocket_testing.cluster import Broker, Cluster
from rocket_testing.ledger import Ledger
from rocket_testing.senders import ClientSender, RawSender, Sender, acknowledged, sending, stored


def everybody(cluster: Cluster, broker: Broker) -> list[Sender]:
    """One of each kind of sender."""
    return [
        RawSender("raw", broker.address),
        RawSender("raw-batch", broker.address, batch=5),
        ClientSender("client", cluster.namesrv),
        ClientSender("client-once", cluster.namesrv, retries=0),
        ClientSender("client-batch", cluster.namesrv, batch=3),
    ]


async def kill_rounds(cluster: Cluster, broker: Broker, rounds: int, seed: int) -> Ledger:
    """Kills the broker again and again while everybody sends; compares after each round."""
    chance, ledger = random.Random(seed), Ledger()
    async with sending(ledger, *everybody(cluster, broker)):
        for _ in range(rounds):
            await acknowledged(ledger, more=50)
            await asyncio.sleep(chance.uniform(0, 0.4))
            await asyncio.to_thread(broker.kill)
            assert await asyncio.to_thread(lambda: broker.start()) is None
        await acknowledged(ledger, more=50)
    assert not ledger.faults(await stored(broker.address))
    return ledger


async def test_a_master_killed_under_load_loses_nothing_acknowledged(cluster: Cluster, master: Broker) -> None:
    ledger = await kill_rounds(cluster, master, rounds=2, seed=1)
    assert set(ledger.statuses) == {0}
    assert "ConnectionLost" in ledger.refusals or "ConnectFailed" in ledger.refusals
    await asyncio.to_thread(master.kill)
    await asyncio.to_thread(master.start)
    assert not ledger.faults(await stored(master.address)), "after one more kill, with nobody sending"
