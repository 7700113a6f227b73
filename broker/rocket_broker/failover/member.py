"""One member of a group: may it take over, may it act as master, what may it acknowledge. No I/O, no clock.

The seven rules of failover (design section 6), each in one place here, under its name:

    member     only a member of the sync set that the lease records takes over; it records itself alone, one epoch up
    record     the sync set shrinks in the lease before the smaller set may acknowledge
    larger     from sending a change of the sync set until its answer is known, the larger of both must have a message
    truncate   a follower first drops what its new master does not have; only then its length says what it has
    deadline   a master acts only before a deadline that is counted from before its last renewal was sent, or
    promise    while every member of the sync set has promised not to take over
    restart    a restarted member, which forgot its promises, waits a full lease duration before it takes over

A master that releases the lease has stopped acting: promises made to it hold nobody up then. One that restarts as the
whole sync set takes its own lease back at once.

Times are seconds of a monotonic clock; positions are bytes of the commit log.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

import msgspec

NOBODY: Final = ""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. Others wait `lease`; the master trusts a renewal for `renew`; it tries again every `retry`."""

    lease: float = 15.0
    renew: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.retry <= self.renew - self.retry < self.renew <= self.lease - self.retry:
            raise ValueError(
                f"lease {self.lease:g} s, renew {self.renew:g} s, retry {self.retry:g} s: a renewal must be trusted "
                "for two tries at least, and others must wait a try longer than it is trusted"
            )

    @property
    def rely(self) -> float:
        """How long the master relies on a promise, which is kept for `lease`."""
        return self.lease - self.retry


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """What the lease store records of a group. `change` differs from one write to the next.

    The addresses, `host:port`, are the holder's, for those who follow it: its log, and its tables. `heir` is whom a
    holder that released it wants to lead; the others leave it to that one for a lease duration.
    """

    holder: str = NOBODY
    epoch: int = 0
    sync_set: frozenset[str] = frozenset()
    ha_address: str = ""
    address: str = ""
    heir: str = NOBODY
    change: str = ""


class Member:
    """What one member knows. The caller tells it what happened, with the time, and asks."""

    def __init__(self, name: str, timing: Timing, epoch: int) -> None:
        """A process that just started; `epoch` is the newest one that its log knows."""
        self.name = name
        self.epoch = epoch
        self.is_master = False
        self.sync_set: frozenset[str] = frozenset()
        #: A change of the sync set that was sent and not answered yet.
        self.pending: frozenset[str] | None = None
        self._timing = timing
        self._promised_until = -inf
        self._deadline = -inf
        self._relies_until: dict[str, float] = {}
        self._reported: dict[str, int] = {}
        self._lease = Lease()
        self._unchanged_since = inf

    # -- the lease, as everybody sees it ----------------------------------------------------------------------------

    def saw(self, lease: Lease, now: float) -> None:
        """The lease as it was read; the read was begun at `now`."""
        if lease != self._lease or self._unchanged_since == inf:
            self._lease = lease
            self._unchanged_since = now

    def may_take_over(self, now: float) -> bool:
        """Whether to try: the store compares, and one of those who try gets it."""
        lease = self._lease
        if self.is_master or not self.is_member(lease):
            return False
        if lease.holder == NOBODY:
            return lease.heir in (NOBODY, self.name) or self.has_run_out(now)
        return self.is_sole_holder(lease) or (self.has_run_out(now) and self.is_free_of_promises(now))

    def candidate(self) -> Lease:
        """What to record in order to take over."""
        epoch = max(self._lease.epoch, self.epoch) + 1  # a lease that was lost counts from 0; the log knows better
        return Lease(holder=self.name, epoch=epoch, sync_set=frozenset((self.name,)))

    # -- rules of those who follow ----------------------------------------------------------------------------------

    def is_member(self, lease: Lease) -> bool:
        """Rule *member*."""
        return self.name in lease.sync_set

    def is_sole_holder(self, lease: Lease) -> bool:
        """Whether it led the lease's epoch before it restarted, and nobody else may take over: nobody is to be awaited.

        One whose taking over was recorded unnoticed knows no such epoch; it may have promised another master since.
        """
        return lease.holder == self.name and lease.sync_set == {self.name} and lease.epoch == self.epoch

    def is_free_of_promises(self, now: float) -> bool:
        """Rule *promise*, the follower's half."""
        return now >= self._promised_until

    def has_run_out(self, now: float) -> bool:
        """Whether the lease is over: this very process saw it unchanged for its whole duration (rule *restart*)."""
        return now - self._unchanged_since >= self._timing.lease

    def follows(self, epoch: int) -> bool:
        """The master of `epoch` leads, and the log has nothing any more that it does not have (rule *truncate*).

        False where a newer one is known: whoever says that is no master any more.
        """
        if epoch < self.epoch or (epoch == self.epoch and self.is_master):
            return False
        self.epoch = epoch
        self._become(is_master=False)
        return True

    def promises(self, epoch: int, now: float) -> bool:
        """Whether it promises the master of `epoch` not to take over for a lease duration."""
        if epoch != self.epoch or self.is_master:
            return False
        self._promised_until = now + self._timing.lease
        return True

    # -- the master -------------------------------------------------------------------------------------------------

    def took_over(self, lease: Lease, asked: float) -> None:
        """The store recorded `lease`, this member's `candidate`; it was asked at `asked`."""
        self.epoch = lease.epoch
        self._become(is_master=True)
        self.wrote(lease, asked)

    def wrote(self, lease: Lease, asked: float) -> None:
        """The store recorded `lease`, a renewal or a change of this master's; it was asked at `asked`.

        Only a write that succeeded says which sync set holds: one that was sent before it cannot be carried out any
        more, while one that was sent before a mere read still can.
        """
        self.sync_set = lease.sync_set
        self.pending = None
        self._deadline = max(self._deadline, asked + self._timing.renew)

    def promised(self, by: str, asked: float) -> None:
        """A follower promised; it was asked at `asked`."""
        self._relies_until[by] = max(self._relies_until.get(by, -inf), asked + self._timing.rely)

    def reported(self, by: str, position: int) -> None:
        """A follower of this epoch has the log up to `position`; less than before where its disk lost something."""
        self._reported[by] = position

    def changes(self, sync_set: frozenset[str]) -> None:
        """A change of the sync set is about to be sent. It counts once it is written (rule *record*)."""
        if self.name not in sync_set or self.pending is not None:
            raise ValueError(f"{self.name} cannot record the sync set {sorted(sync_set)} now")
        self.pending = sync_set

    def steps_down(self) -> None:
        """It is no master any more: it released the lease, or learnt that another one holds it."""
        self._become(is_master=False)

    def needed(self) -> frozenset[str]:
        """Who must have a message before it is acknowledged (rule *larger*)."""
        return self.sync_set if self.pending is None else self.sync_set | self.pending

    def acts(self, now: float) -> bool:
        """Whether it may act as master now: acknowledge, grant queue locks, answer reads."""
        return self.is_master and (self.is_before_deadline(now) or self.is_promised(now))

    def is_before_deadline(self, now: float) -> bool:
        """Rule *deadline*."""
        return now < self._deadline

    def is_promised(self, now: float) -> bool:
        """Rule *promise*, the master's half. A master that is its whole sync set promises itself."""
        return all(now < self._relies_until.get(other, -inf) for other in self.needed() - {self.name})

    def confirmed(self, end: int) -> int:
        """Up to where the log is at all who are needed; this member's own log ends at `end`."""
        return min((self._reported.get(other, 0) for other in self.needed() - {self.name}), default=end)

    def _become(self, *, is_master: bool) -> None:
        self.is_master = is_master
        self.sync_set = frozenset()
        self.pending = None
        self._deadline = -inf
        self._relies_until.clear()
        self._reported.clear()


def consistent_end(own: Mapping[int, int], own_end: int, masters: Mapping[int, int], masters_end: int) -> int:
    """Rule *truncate*: up to where a follower's log is surely the master's; what is behind must go.

    Both logs by their epochs: number to the position where it begins. The newest epoch that both know and that begins
    at the same position for both gives the point: the smaller of both ends of that epoch. 0 where there is none.
    """
    for epoch in sorted(own, reverse=True):
        if masters.get(epoch) == own[epoch]:
            return min(end_of(epoch, own, own_end), end_of(epoch, masters, masters_end))
    return 0


def end_of(epoch: int, epochs: Mapping[int, int], end: int) -> int:
    """Where an epoch of a log ends: at the beginning of the next one, or with the log."""
    return min((begin for number, begin in epochs.items() if number > epoch), default=end)
