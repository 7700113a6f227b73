"""A group whose master is whoever holds the lease in a folder: real brokers, and what is true of them at the end."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

from rocket_testing.cluster import Broker, Cluster
from rocket_testing.ledger import Ledger
from rocket_testing.replicas import common_end, log_bytes
from rocket_testing.senders import stored
from rocket_testing.waiting import eventually

#: Times of a lease for tests, milliseconds; Apache's and ours by default are 15 s and more.
TIMES = {"leaseDuration": "1600", "leaseRenewDeadline": "1000", "leaseRetryPeriod": "200"}
NAME = "group"


class Group:
    """Members by number; the lease is in `lease`."""

    def __init__(self, cluster: Cluster, folder: Path, **properties: str) -> None:
        self.cluster = cluster
        self.lease = folder / "lease"
        self.members: list[Broker] = []
        self._properties = {
            "brokerName": NAME, "brokerRole": "SYNC_MASTER", "leaseStore": f"file:{self.lease}", **TIMES, **properties,
        }  # fmt: skip

    def add(self) -> Broker:
        """Starts one more member."""
        broker = self.cluster.add_broker(**self._properties, brokerId=str(len(self.members)))
        self.members.append(broker)
        return broker

    def record(self) -> dict[str, object]:
        """What the lease says; empty while there is none, or none in reach."""
        try:
            newest = max(name for name in os.listdir(self.lease) if name.isdecimal())
            found: dict[str, object] = json.loads((self.lease / newest).read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def holder(self) -> Broker | None:
        """The member that holds the lease."""
        name = str(self.record().get("holder", ""))
        return self.members[int(name.rpartition("-")[2])] if name else None

    def slave(self) -> Broker:
        """A member that does not hold it."""
        holder = self.holder()
        return next(member for member in self.members if member is not holder)

    async def led(self, *, other_than: Broker | None = None, within: float = 30.0) -> Broker:
        """The holder, once there is one, and not this one."""

        def other() -> Broker | None:
            found = self.holder()
            return found if found is not None and found is not other_than else None

        return await eventually(other, within)

    async def complete(self, within: float = 30.0) -> Broker:
        """The holder, once all members are in the sync set."""
        await eventually(lambda: len(self.sync_set()) == len(self.members), within)
        return await self.led()

    async def complete_without_the_dead(self, within: float = 30.0) -> Broker:
        """The holder, once all who run are in the sync set."""
        await eventually(lambda: len(self.sync_set()) == sum(each.is_running for each in self.members), within)
        return await self.led()

    def sync_set(self) -> Sequence[str]:
        found = self.record().get("sync_set", [])
        assert isinstance(found, list)
        return found

    def take_lease_away(self) -> None:
        """Nobody can read or write it."""
        self.lease.rename(self.lease.with_name("lease.away"))
        self.lease.touch()

    def bring_lease_back(self) -> None:
        """As it was."""
        if self.lease.is_file():
            self.lease.unlink()
            self.lease.with_name("lease.away").rename(self.lease)

    async def heal(self) -> None:
        """Everything runs, and the lease is there."""
        self.bring_lease_back()
        for member in self.members:
            if member.is_running:
                member.thaw()
            else:
                await asyncio.to_thread(member.start)

    async def assert_kept(self, ledger: Ledger) -> None:
        """What was acknowledged is where it was stored, on every member, and all logs are equal. Stops the group."""
        holder = await self.complete()
        end = await common_end(self.cluster.namesrv, self.members)
        faults = ledger.safe().faults(await stored(holder.address))
        assert not faults, faults
        logs = [log_bytes(member.store, end) for member in self.members]
        assert all(log == logs[0] for log in logs)
        for member in self.members:
            assert "Traceback" not in member.log.read_text(), member.log_tail(100)
