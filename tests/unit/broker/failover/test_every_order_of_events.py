"""Members, a lease store and a clock of the test's own, in random orders of events: nothing acknowledged is lost, and
no two act as master. Each rule of failover is needed: without it, some order breaks one of the two.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import pytest

from rocket_broker.failover import member
from rocket_broker.failover.member import Lease, Member, Timing, consistent_end

TICKS = Timing(lease=3, renew=2, retry=1)
NAMES = ("a", "b", "c")
STEPS = 200
WALKS = 2000


class Broken(AssertionError):
    """One of the two properties."""


@dataclass
class Replica:
    """A member with what its disk keeps."""

    member: Member
    log: list[int] = field(default_factory=list)
    epochs: dict[int, int] = field(default_factory=lambda: {1: 0})


Truncation = Callable[[Mapping[int, int], int, Mapping[int, int], int], int]


class World:
    """Three members, of which `a` leads in epoch 1, and the store. `walk` lets things happen, and checks after each."""

    def __init__(
        self,
        seed: int,
        kind: type[Member] = Member,
        truncation: Truncation = consistent_end,
        *,
        asks_for_one_master: bool = True,
    ) -> None:
        self.asks_for_one_master = asks_for_one_master
        self.random = random.Random(seed)
        self.kind = kind
        self.truncation = truncation
        self.now = 0
        self.entries = 0
        self.acknowledged: list[int] = []
        self.lease = Lease(holder="a", epoch=1, sync_set=frozenset(NAMES), change="0")
        self.changes = 0
        #: Writes that were sent and whose sender knows nothing of them: what they replace, and by what.
        self.in_flight: list[tuple[Lease, Lease]] = []
        self.replicas = {name: Replica(kind(name, TICKS, 1)) for name in NAMES}
        self.replicas["a"].member.took_over(self.lease, 0)
        self.told: list[str] = []

    def walk(self, steps: int = STEPS) -> None:
        # Each walk has its own mix, so that some have masters that renew in time and some have none that can.
        events = {
            self.tick: (2, 8), self.restart: (0, 2), self.land: (0, 2), self.look: (1, 8), self.take_over: (1, 4),
            self.renew: (0, 4), self.write: (1, 3), self.acknowledge: (1, 4), self.shrink: (0, 2), self.grow: (0, 3),
            self.release: (0, 1), self.replicate: (1, 9), self.report: (1, 6), self.promise: (0, 6),
        }  # fmt: skip
        mix = [self.random.randint(*bounds) for bounds in events.values()]
        for _ in range(steps):
            (event,) = self.random.choices(list(events), mix)
            name = self.random.choice(NAMES)
            self.told.append(f"{self.now} {event.__name__} {name}")
            event(name)
            self.check()

    def check(self) -> None:
        acting = [name for name, replica in self.replicas.items() if replica.member.acts(self.now)]
        if len(acting) > 1 and self.asks_for_one_master:
            raise Broken(f"two masters: {acting}")
        leaders = [self.lease.holder] if self.lease.holder else sorted(self.lease.sync_set)
        for name in leaders:
            if self.replicas[name].log[: len(self.acknowledged)] != self.acknowledged:
                raise Broken(f"{name} has {self.replicas[name].log}, acknowledged was {self.acknowledged}")

    # -- events ---------------------------------------------------------------------------------------------------

    def tick(self, name: str) -> None:
        self.now += 1

    def restart(self, name: str) -> None:
        if self.random.random() < 0.3:
            replica = self.replicas[name]
            replica.member = self.kind(name, TICKS, max(replica.epochs))

    def look(self, name: str) -> None:
        self.replicas[name].member.saw(self.lease, self.now)

    def take_over(self, name: str) -> None:
        replica = self.replicas[name]
        seen = self.lease
        replica.member.saw(seen, self.now)
        if replica.member.may_take_over(self.now) and self.write_lease(seen, wanted := replica.member.candidate()):
            replica.epochs[wanted.epoch] = len(replica.log)
            replica.member.took_over(wanted, self.now)

    def renew(self, name: str) -> None:
        replica = self.replicas[name]
        if not replica.member.is_master:
            return
        if (self.lease.holder, self.lease.epoch) != (name, replica.member.epoch):
            replica.member.steps_down()
        elif self.write_lease(self.lease, self.lease):
            replica.member.wrote(self.lease, self.now)

    def release(self, name: str) -> None:
        replica = self.replicas[name]
        if self.holds(name) and replica.member.pending is None and self.random.random() < 0.2:
            replica.member.steps_down()
            heir = self.random.choice(("", *NAMES))
            self.write_lease(self.lease, Lease(epoch=self.lease.epoch, sync_set=self.lease.sync_set, heir=heir))

    def shrink(self, name: str) -> None:
        if self.holds(name) and len(self.replicas[name].member.sync_set) > 1:
            master = self.replicas[name].member
            self.change(name, master.sync_set - {self.random.choice(sorted(master.sync_set - {name}))})

    def grow(self, name: str) -> None:
        if self.holds(name):
            replica = self.replicas[name]
            for other in NAMES:
                equal = self.replicas[other].member.epoch == replica.member.epoch
                if equal and other != name and replica.member._reported.get(other) == len(replica.log):
                    return self.change(name, replica.member.sync_set | {other})
        return None

    def change(self, name: str, sync_set: frozenset[str]) -> None:
        master = self.replicas[name].member
        if master.pending is not None:
            return
        master.changes(sync_set)
        wanted = Lease(holder=name, epoch=master.epoch, sync_set=sync_set)
        if self.write_lease(self.lease, wanted):
            master.wrote(wanted, self.now)

    def write(self, name: str) -> None:
        replica = self.replicas[name]
        if replica.member.is_master and len(replica.log) < len(self.acknowledged) + 3:
            self.entries += 1
            replica.log.append(self.entries)

    def acknowledge(self, name: str) -> None:
        replica = self.replicas[name]
        if replica.member.acts(self.now):
            confirmed = replica.log[: min(replica.member.confirmed(len(replica.log)), len(replica.log))]
            if len(confirmed) > len(self.acknowledged):
                if confirmed[: len(self.acknowledged)] != self.acknowledged:
                    raise Broken(f"{name} acknowledges {confirmed} after {self.acknowledged}")
                self.acknowledged = confirmed

    def replicate(self, name: str) -> None:
        master, to = self.replicas[name], self.replicas[self.random.choice(NAMES)]
        if not master.member.is_master or to is master or to.member.epoch > master.member.epoch:
            return
        if to.member.is_master and to.member.epoch == master.member.epoch:
            return
        keep = self.truncation(to.epochs, len(to.log), master.epochs, len(master.log))
        to.log = to.log[:keep] + master.log[keep : keep + 1]
        to.epochs = {epoch: begin for epoch, begin in master.epochs.items() if begin <= keep}
        to.epochs[master.member.epoch] = master.epochs[master.member.epoch]
        assert to.member.follows(master.member.epoch)

    def report(self, name: str) -> None:
        self.to_master(name, lambda follower, master: master.member.reported(follower.member.name, len(follower.log)))

    def promise(self, name: str) -> None:
        asked = self.now
        self.now += self.random.choice((0, 0, 1))
        self.to_master(name, partial(self._promise, asked))

    def _promise(self, asked: int, follower: Replica, master: Replica) -> None:
        if follower.member.promises(master.member.epoch, self.now) and self.random.random() < 0.8:
            master.member.promised(follower.member.name, asked)

    def to_master(self, name: str, act: Callable[[Replica, Replica], None]) -> None:
        follower = self.replicas[name]
        for other in self.replicas.values():
            if other.member.is_master and other.member.epoch == follower.member.epoch and other is not follower:
                act(follower, other)

    # -- the store ------------------------------------------------------------------------------------------------

    def holds(self, name: str) -> bool:
        master = self.replicas[name].member
        return master.is_master and (self.lease.holder, self.lease.epoch) == (name, master.epoch)

    def write_lease(self, seen: Lease, wanted: Lease) -> bool:
        """Whether the writer learns that it succeeded. What it does not learn of may happen now, later, or never."""
        self.changes += 1
        wanted = msgspec.structs.replace(wanted, change=f"{self.changes}")
        if self.random.random() < 0.25:
            self.in_flight.append((seen, wanted))
            return False
        self.lease = wanted
        return True

    def land(self, name: str) -> None:
        if self.in_flight:
            seen, wanted = self.in_flight.pop(self.random.randrange(len(self.in_flight)))
            if seen == self.lease:
                self.lease = wanted


def walk(
    seed: int,
    kind: type[Member] = Member,
    truncation: Truncation = consistent_end,
    *,
    asks_for_one_master: bool = True,
) -> None:
    world = World(seed, kind, truncation, asks_for_one_master=asks_for_one_master)
    try:
        world.walk()
    except Broken as broken:
        raise Broken(f"seed {seed}: {broken}\n" + "\n".join(world.told)) from None


def walk_many(seeds: range, kind: type[Member] = Member, truncation: Truncation = consistent_end) -> None:
    for seed in seeds:
        walk(seed, kind, truncation)


@pytest.mark.parametrize("start", range(0, WALKS, WALKS // 10))
def test_nothing_acknowledged_is_lost_and_no_two_members_act_as_master(start: int) -> None:
    walk_many(range(start, start + WALKS // 10))


def test_the_walks_come_to_what_matters() -> None:
    """Else they would prove nothing: masters change, and messages are acknowledged."""
    worlds = [World(seed) for seed in range(300)]
    for world in worlds:
        world.walk()
    assert sum(world.lease.epoch > 2 for world in worlds) > 20
    assert sum(len(world.acknowledged) > 2 for world in worlds) > 30
    assert sum(world.lease.epoch > 2 and len(world.acknowledged) > 2 for world in worlds) > 1


class AnyoneTakesOver(Member):
    def is_member(self, lease: Lease) -> bool:
        return True


class PromisesNothing(Member):
    def is_free_of_promises(self, now: float) -> bool:
        return True


class TakesAnotherOnesWordForTheLeasesAge(Member):
    def saw(self, lease: Lease, now: float) -> None:
        super().saw(lease, now if self._lease.change else now - TICKS.lease)


class HasNoDeadline(Member):
    def is_before_deadline(self, now: float) -> bool:
        return True


class CountsBeforeItIsWritten(Member):
    def changes(self, sync_set: frozenset[str]) -> None:
        super().changes(sync_set)
        self.sync_set, self.pending = sync_set, None


class ForgetsWhatItSent(Member):
    def needed(self) -> frozenset[str]:
        return self.sync_set if self.pending is None else self.pending


RULES: dict[str, type[Member]] = {
    "member": AnyoneTakesOver,
    "promise": PromisesNothing,
    "restart": TakesAnotherOnesWordForTheLeasesAge,
    "deadline": HasNoDeadline,
    "record": CountsBeforeItIsWritten,
    "larger": ForgetsWhatItSent,
}


@pytest.mark.parametrize("rule", RULES)
def test_without_this_rule_some_order_of_events_breaks_a_promise(rule: str) -> None:
    with pytest.raises(Broken):
        walk_many(range(10 * WALKS), RULES[rule])


@pytest.mark.parametrize("rule", ["promise", "restart", "deadline"])
def test_what_is_acknowledged_is_kept_even_where_clocks_lie(rule: str) -> None:
    """Those rules keep a single master. Durability rests on the sync set and the epoch alone."""
    for seed in range(WALKS):
        walk(seed, RULES[rule], asks_for_one_master=False)


def test_without_truncation_some_order_of_events_loses_a_message() -> None:
    with pytest.raises(Broken):
        walk_many(range(10 * WALKS), truncation=lambda own, end, masters, masters_end: end)


def test_every_rule_is_named_where_it_stands() -> None:
    text = Path(member.__file__).read_text()
    assert [rule for rule in (*RULES, "truncate") if f"ule *{rule}*" not in text] == []
