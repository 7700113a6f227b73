"""One fault at a time in a group with a lease, while senders are at work: nothing acknowledged is lost.

Each scenario is data: what is done, and how soon writes go on. The short form of a few runs in `make test`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest

from rocket_client import RocketError, ServerAdmin
from rocket_testing.cluster import Cluster
from rocket_testing.group import NAME, TIMES, Group
from rocket_testing.ledger import Ledger
from rocket_testing.senders import ClientSender, acknowledged, sending
from rocket_testing.waiting import eventually

LEASE_SECONDS = int(TIMES["leaseDuration"]) / 1000


@dataclass(frozen=True)
class Scenario:
    """`inject` breaks something and returns when it wants writes to go on, within so many seconds."""

    name: str
    inject: Callable[[Group], Awaitable[None]]
    writes_within: float = 20.0
    members: int = 2
    is_short: bool = False


async def kill_master(group: Group) -> None:
    master = await group.led()
    await asyncio.to_thread(master.kill)
    await group.led(other_than=master)


async def stop_master(group: Group) -> None:
    master = await group.led()
    await asyncio.to_thread(master.stop)
    await group.led(other_than=master)


async def hand_over(group: Group) -> None:
    master, heir = await group.led(), group.slave()
    async with ServerAdmin() as servers:
        await servers.hand_over(master.address, f"{NAME}-{group.members.index(heir)}")
    assert await group.led(other_than=master) is heir


async def kill_slave(group: Group) -> None:
    await asyncio.to_thread(group.slave().kill)


async def kill_all(group: Group) -> None:
    for member in group.members:
        await asyncio.to_thread(member.kill)
    for member in group.members:
        await asyncio.to_thread(member.start)


async def freeze_master(group: Group) -> None:
    master = await group.led()
    master.freeze()
    await group.led(other_than=master)
    master.thaw()


async def freeze_slave(group: Group) -> None:
    group.slave().freeze()


async def take_lease_away(group: Group) -> None:
    """For longer than anybody could go on by a renewal."""
    group.take_lease_away()
    await asyncio.sleep(3 * LEASE_SECONDS)  # the fault itself, which lasts that long


async def take_lease_away_while_a_slave_dies(group: Group) -> None:
    group.take_lease_away()
    await asyncio.to_thread(group.slave().kill)
    await asyncio.sleep(2 * LEASE_SECONDS)  # the fault itself, as above
    group.bring_lease_back()


async def kill_master_and_its_successor(group: Group) -> None:
    await kill_master(group)
    second = await group.complete_without_the_dead()
    await asyncio.to_thread(second.kill)
    await group.led(other_than=second)


async def kill_name_servers(group: Group) -> None:
    for server in group.cluster.namesrvs:
        await asyncio.to_thread(server.kill)
    for server in group.cluster.namesrvs:
        await asyncio.to_thread(server.start)


SCENARIOS = [
    Scenario("the master is killed", kill_master),
    Scenario("the master stops in order", stop_master),
    Scenario("the master hands over", hand_over, members=3, is_short=True),
    Scenario("a slave is killed", kill_slave),
    Scenario("everybody is killed", kill_all),
    Scenario("the master is frozen until another one leads", freeze_master, is_short=True),
    Scenario("a slave is frozen", freeze_slave),
    Scenario("the lease cannot be read or written", take_lease_away),
    Scenario("the lease is away while a slave dies", take_lease_away_while_a_slave_dies),
    Scenario("the master is killed, then its successor", kill_master_and_its_successor, members=3),
    Scenario("a slave of two is frozen", freeze_slave, members=3),
    Scenario("all name servers are gone for a moment", kill_name_servers),
]


def marked() -> Iterator[object]:
    for scenario in SCENARIOS:
        marks = [] if scenario.is_short else [pytest.mark.slow]
        yield pytest.param(scenario, id=scenario.name.replace(" ", "-"), marks=marks)


@pytest.mark.parametrize("scenario", list(marked()))
async def test_nothing_acknowledged_is_lost_when(
    scenario: Scenario, group_of: Callable[[int], Awaitable[Group]], cluster: Cluster
) -> None:
    group = await group_of(scenario.members)
    ledger = Ledger()
    senders = [ClientSender("one", cluster.namesrv), ClientSender("batches", cluster.namesrv, batch=4)]
    async with sending(ledger, *senders):
        await acknowledged(ledger, 60)
        await scenario.inject(group)
        began = time.monotonic()
        await acknowledged(ledger, 40, within=scenario.writes_within)
        print(f"{scenario.name}: writes go on after {time.monotonic() - began:.2f} s; refusals {ledger.refusals}")
        await group.heal()
        await group.complete()
        await acknowledged(ledger, 40)
    await group.assert_kept(ledger)


async def test_a_member_that_is_behind_is_refused_as_the_next_master(
    group_of: Callable[[int], Awaitable[Group]], cluster: Cluster
) -> None:
    group = await group_of(2)
    master, slave = await group.led(), group.slave()
    name = f"{NAME}-{group.members.index(slave)}"
    slave.freeze()
    await eventually(lambda: len(group.sync_set()) == 1)
    async with ServerAdmin() as servers:
        with pytest.raises(RocketError, match="is not in the sync set"):
            await servers.hand_over(master.address, name)
        with pytest.raises(RocketError, match="alone in the sync set"):
            await servers.hand_over(master.address)
        slave.thaw()
        await group.complete()
        with pytest.raises(RocketError, match="is not the master"):
            await servers.hand_over(slave.address)
    assert group.holder() is master
