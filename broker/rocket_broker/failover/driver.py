"""Keeps a member in its role: renews or watches the lease, takes over, steps down (design section 6).

What may be done says `member.py`; this file asks it, does it, and tells it what came of it. One turn every retry
period, and at once when something happened. A lease store that does not answer stops nothing by itself: the master goes
on by its followers' promises, and they go on following.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from rocket_broker.config import LiveConfig
from rocket_broker.failover.confirmation import Confirmation
from rocket_broker.failover.epochs import Epochs
from rocket_broker.failover.leader import Leader
from rocket_broker.failover.lease import LeaseStore, LeaseUnavailable
from rocket_broker.failover.member import NOBODY, Lease, Member
from rocket_broker.replication.link import MasterLink
from rocket_broker.store.errors import StoreError
from rocket_broker.store.store import MessageStore
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError

log = logging.getLogger("rocket.failover")


@dataclass(slots=True, kw_only=True)
class Duties:
    """What the broker does when its role changes. `become_slave` returns when it does nothing of a master any more."""

    become_master: Callable[[int], Awaitable[None]]
    become_slave: Callable[[], Awaitable[None]]
    follow: Callable[[], Awaitable[None]]
    stop_following: Callable[[], Awaitable[None]]


class Driver:
    """Drives one member."""

    def __init__(
        self, config: LiveConfig, lease_store: LeaseStore, member: Member, store: MessageStore, epochs: Epochs,
        leader: Leader, confirmation: Confirmation, link: MasterLink, duties: Duties,
    ) -> None:  # fmt: skip
        self._member = member
        self._config = config
        self._lease_store = lease_store
        self._store = store
        self._epochs = epochs
        self._leader = leader
        self._confirmation = confirmation
        self._link = link
        self._duties = duties
        self._last = Lease()
        self._wake = asyncio.Event()
        #: The holder and the epoch that are followed, NOBODY's where a name server named them.
        self._followed: tuple[str, int] | None = None
        #: One turn, or the leaving, at a time.
        self._turns = asyncio.Lock()
        self._is_failing = False
        #: Set when a follower reported or promised.
        self.progress = asyncio.Event()
        self.is_leaving = False

    def heard(self, ha_address: str, address: str) -> None:
        """What a name server says of the master: followed only while the lease cannot be read and was never read."""
        if not self._followed and self._is_failing and ha_address != self._config.settings.ha_address:
            self._link.address, self._link.ha_address = address, ha_address

    def wake(self) -> None:
        """Something happened that may need another sync set: do not wait for the next turn."""
        self._wake.set()

    async def run(self) -> None:
        """Never returns."""
        while True:
            self._wake.clear()
            await self.turn()
            try:
                async with asyncio.timeout(self._config.settings.lease_retry_period / 1000):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def turn(self) -> None:
        """One look at the lease, and what follows from it."""
        async with self._turns:
            await self._turn()

    async def _turn(self) -> None:
        try:
            if self._member.is_master:
                await self._lead()
            else:
                await self._watch()
        except LeaseUnavailable as error:
            if not self._is_failing:
                log.warning(
                    "the lease at %s does not answer (%s): %s goes on as it is, as long as it may; trying on",
                    self._config.settings.lease_store, error, self._member.name,
                )  # fmt: skip
            self._is_failing = True
            if not self._followed and self._link.ha_address and not self._member.is_master:
                self._followed = (NOBODY, 0)
                await self._duties.follow()
        else:
            if self._is_failing:
                log.info("the lease answers again")
            self._is_failing = False

    # -- the master -------------------------------------------------------------------------------------------------

    async def _lead(self) -> None:
        self._leader.ask()
        self._confirmation.advance()
        member, asked = self._member, now()
        wanted = self._leader.wanted_set(asked) if member.pending is None else member.pending
        if member.pending is None and wanted != member.sync_set:
            log.info("sync set: from %s to %s", _names(member.sync_set), _names(wanted))
            member.changes(wanted)
        lease = Lease(holder=member.name, epoch=member.epoch, sync_set=wanted)
        written = await self._lease_store.write(self._with_addresses(lease), self._last)
        if written is None:
            await self._was_changed()
            return
        self._last = written
        member.wrote(written, asked)
        self._confirmation.advance()

    async def _was_changed(self) -> None:
        """Somebody else wrote the lease, or an earlier write of this master's landed late."""
        lease = await self._lease_store.read()
        if lease.holder == self._member.name and lease.epoch == self._member.epoch:
            self._last = lease
            self.wake()
        else:
            await self._step_down(f"{lease.holder or 'nobody'} holds the lease since epoch {lease.epoch}")

    def _with_addresses(self, lease: Lease) -> Lease:
        settings = self._config.settings
        return msgspec.structs.replace(lease, ha_address=settings.ha_address, address=settings.address)

    async def _step_down(self, why: str) -> None:
        """No master from here on."""
        log.warning("%s steps down: %s", self._member.name, why)
        self._stop_acting()
        await self._become_slave()

    def _stop_acting(self) -> None:
        self._member.steps_down()
        self._confirmation.give_up()

    async def _become_slave(self) -> None:
        await self._leader.stop()
        await self._duties.become_slave()
        self._followed = None

    # -- those who follow -------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        asked = now()
        lease = await self._lease_store.read()
        self._last = lease
        self._member.saw(lease, asked)
        if not self.is_leaving and (self._member.may_take_over(now()) or self._may_begin(lease)):
            await self._take_over(lease)
        elif lease.holder not in (NOBODY, self._member.name):
            await self._follow(lease)

    async def _follow(self, lease: Lease) -> None:
        if self._followed == (lease.holder, lease.epoch):
            return
        self._followed = (lease.holder, lease.epoch)
        self._link.address, self._link.ha_address = lease.address, lease.ha_address
        await self._duties.follow()

    def _may_begin(self, lease: Lease) -> bool:
        """The first master of a group that never had a lease: its member with number 0."""
        never = lease.epoch == 0 and not lease.sync_set
        return never and self._member.name.endswith("-0") and self._epochs.newest == 0

    async def _take_over(self, lease: Lease) -> None:
        await self._duties.stop_following()
        self._followed = None
        try:
            self._store.drop_partial()
        except StoreError as error:
            log.error("%s does not take over: %s", self._member.name, error)
            await self._duties.follow()
            return
        asked = now()
        written = await self._lease_store.write(self._with_addresses(self._member.candidate()), lease)
        if written is None:
            self.wake()
            return
        position = self._store.max_position
        log.warning(
            "%s is the master of epoch %d from position %d (before: %s)",
            self._member.name, written.epoch, position, lease.holder or "nobody",
        )  # fmt: skip
        self._last = written
        try:
            self._epochs.begin(written.epoch, position)
        except OSError as error:  # its log could not say which epoch is whose: another member may have room
            log.error("%s gives the lease back: its epoch cannot be saved: %s", self._member.name, error)
            await self._lease_store.write(Lease(epoch=written.epoch, sync_set=lease.sync_set), written)
            return
        self._member.took_over(written, asked)
        self._confirmation.advance()
        await self._duties.become_master(written.epoch)

    # -- leaving ----------------------------------------------------------------------------------------------------

    async def leave(self, seconds: float) -> None:
        """Before the process ends: a master lets the others have everything, then releases the lease."""
        self.is_leaving = True
        async with self._turns:
            if self._member.is_master:
                await self._equal(seconds, self._member.sync_set - {self._member.name})
                await self._release("it stops")

    async def hand_over(self, to: str, seconds: float) -> None:
        """Lets another member lead: `to`, or whichever is quickest. Raises RequestError, and then nothing has changed.

        Nothing is accepted until that one has everything; where that takes longer than `seconds`, it is given up.
        """
        async with self._turns:
            others = self._may_inherit(to)
            self.is_leaving = True
            try:
                if not await self._equal(seconds, others):
                    raise RequestError(
                        ResponseCode.SYSTEM_ERROR, f"{_names(others)} did not catch up within {seconds:g} s"
                    )
                await self._release(f"it hands over to {to or 'another member'}", to)
            finally:
                self.is_leaving = False

    def _may_inherit(self, to: str) -> frozenset[str]:
        member = self._member
        if not member.is_master:
            raise RequestError(ResponseCode.SYSTEM_ERROR, f"{member.name} is not the master: ask that one")
        if member.pending is not None:
            raise RequestError(ResponseCode.SYSTEM_ERROR, "a change of the sync set is not answered yet: try again")
        others = member.sync_set - {member.name}
        if to and to not in others:
            follower = self._leader.followers.get(to)
            lag = "does not follow" if follower is None else f"is {self._behind(follower.acknowledged)} bytes behind"
            remark = f"{to} is not in the sync set ({_names(member.sync_set)}): it {lag}"
            raise RequestError(ResponseCode.SYSTEM_ERROR, remark)
        if not others:
            raise RequestError(ResponseCode.SYSTEM_ERROR, f"{member.name} is alone in the sync set: nobody may lead")
        return frozenset((to,)) if to else others

    def _behind(self, position: int) -> int:
        return max(0, self._store.max_position - position)

    async def close(self) -> None:
        """Gives back what the lease's store holds."""
        await self._lease_store.close()

    async def _release(self, why: str, heir: str = NOBODY) -> None:
        """Gives the lease back, so that nobody has to wait until it runs out. Whoever follows hears of it at once."""
        sync_set, epoch = self._member.sync_set, self._member.epoch
        is_known = self._member.pending is None  # else nobody knows which sync set holds: the lease runs out
        log.warning("%s gives the lease back: %s", self._member.name, why)
        self._stop_acting()
        try:
            released = Lease(epoch=epoch, sync_set=sync_set, heir=heir)
            if is_known and await self._lease_store.write(released, self._last) is None:
                log.warning("the lease is not released: somebody else changed it")
        except LeaseUnavailable as error:
            log.warning("the lease is not released, it runs out: %s", error)
        await self._become_slave()

    async def _equal(self, seconds: float, others: frozenset[str]) -> bool:
        """Waits until one of `others` has the whole log; False where that takes longer, or there is none."""
        if not others:
            return False
        followers = self._leader.followers
        try:
            async with asyncio.timeout(seconds):
                while all(self._behind(followers[name].acknowledged) for name in others & followers.keys()):
                    self.progress.clear()
                    await self.progress.wait()
        except TimeoutError:
            return False
        return True


def now() -> float:
    """The clock of all members of this process: the loop's, seconds."""
    return asyncio.get_running_loop().time()


def _names(members: frozenset[str]) -> str:
    return ", ".join(sorted(members)) or "nobody"
