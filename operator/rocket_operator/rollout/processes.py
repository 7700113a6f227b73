"""The planner: what is wanted and what is seen in, the single next thing to do out, with the reason in a sentence.

Pure and without memory. Whoever drives it observes everything, asks for one step, does it, and asks again; so it does
not matter when it was started, or what it was doing when it was killed.

    1  what does not stop in time is killed; what an earlier run left behind is stopped
    2  what is wanted and does not run is started: name servers, then masters, then slaves; again and again, ever slower
    3  what a running member can take over as it runs is told to it
    4  what is not wanted is stopped: the highest group and ordinal first, a master after its slaves, name servers last
    5  what runs with settings that need a restart is restarted, one at a time, slaves first, while all else is ready

Nothing here deletes a folder: what a stopped member holds is there when the member is wanted again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rocket_operator.objects.members import Member, Role
from rocket_operator.objects.processes import Desired, Process
from rocket_operator.objects.settings import LIVE_KEYS


class Phase(StrEnum):
    """STOPPING was asked to end, KILLED was not asked; ENDED did so by itself, or could not be started."""

    RUNNING = "running"
    STOPPING = "stopping"
    KILLED = "killed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Observed:
    """One member as it is seen now. A member that is not there, or ended because it was asked to, is not observed."""

    member: Member
    phase: Phase
    since: float
    """When the phase began, in seconds of the same clock as `now`."""
    settings: Mapping[str, str]
    """What it runs with, or ran with."""
    answers: bool = False
    ready: bool = False
    left_over: bool = False
    """Started by an earlier run, which ended without stopping it."""
    failures: int = 0
    """How often it ended by itself without a stable time in between."""
    reason: str = ""
    """How it ended, such as "exited with 1"."""
    refused: frozenset[str] = frozenset()
    """Live keys that it did not take over as it ran."""
    pid: int = 0
    restarts: int = 0
    """For people to see; nothing is decided by it."""


class Verb(StrEnum):
    START = "start"
    STOP = "stop"
    KILL = "kill"
    CONFIGURE = "configure"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Step:
    """The next thing to do to one member, and why. CONFIGURE has the changed `settings`."""

    verb: Verb
    member: Member
    why: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.member.name


@dataclass(frozen=True, slots=True)
class Patience:
    """All times of the planner, in seconds."""

    first_restart: float = 0.5
    slowest_restart: float = 30.0
    stable: float = 30.0
    """A member that ran so long has left its earlier failures behind."""
    start: float = 10.0
    """So long a member is waited for before those who start after it go on without it."""
    stop_name_server: float = 10.0
    stop_broker: float = 30.0

    def restart_delay(self, failures: int) -> float:
        return min(self.slowest_restart, self.first_restart * 2.0 ** min(failures - 1, 30))

    def failures_after(self, failures: int, ran_seconds: float) -> int:
        """The count of failures in a row when a member with `failures` ends after `ran_seconds`."""
        return 1 if ran_seconds >= self.stable else failures + 1

    def stop(self, member: Member) -> float:
        return self.stop_name_server if member.role is Role.NAME_SERVER else self.stop_broker


Seen = Mapping[str, Observed]


def next_step(desired: Desired, observed: Seen, now: float, patience: Patience = Patience()) -> Step | None:
    """What to do next; None when nothing is to be done now. `observed`, by name, may hold other clusters' members."""
    view = _view(desired, observed, now, patience)
    decisions = (_kill, _stop_left_overs, _start, _configure, _stop_unwanted, _restart)
    return next((step for decide in decisions for step in decide(view)), None)


def waits(desired: Desired, observed: Seen, now: float, patience: Patience = Patience()) -> list[Step]:
    """What is not done now though it is wanted, each with what it waits for."""
    view = _view(desired, observed, now, patience)
    return [*_later_starts(view), *_later_restarts(view)]


def _view(desired: Desired, observed: Seen, now: float, patience: Patience) -> _View:
    seen = {name: one for name, one in observed.items() if one.member.cluster == desired.cluster}
    return _View({process.name: process for process in desired.processes}, seen, now, patience)


@dataclass(frozen=True, slots=True)
class _View:
    wanted: Mapping[str, Process]
    seen: Seen
    now: float
    patience: Patience

    def due(self, process: Process) -> float:
        """When a wanted process that does not run may be started."""
        last = self.seen.get(process.name)
        if last is None or last.settings != process.settings:
            return self.now  # failures with other settings say nothing about these
        return last.since + self.patience.restart_delay(last.failures)

    def started(self, process: Process) -> bool:
        """Whether those who start after this one need not wait for it: it does its work, or it cannot for now."""
        last = self.seen.get(process.name)
        if last is None or last.phase is not Phase.RUNNING:
            return last is not None
        works = last.answers if process.member.role is Role.NAME_SERVER else last.ready
        return works or self.now - last.since >= self.patience.start

    def running(self) -> Iterator[tuple[Process, Observed]]:
        """The wanted processes that run."""
        for name, process in self.wanted.items():
            last = self.seen.get(name)
            if last is not None and last.phase is Phase.RUNNING and not last.left_over:
                yield process, last

    def unwanted(self) -> list[Observed]:
        """What runs or stops and is not wanted, in the order to stop it."""
        active = [one for name, one in self.seen.items() if name not in self.wanted and one.phase is not Phase.ENDED]
        return sorted(active, key=lambda one: _stop_rank(one.member))


def _kill(view: _View) -> Iterator[Step]:
    for one in view.seen.values():
        limit = view.patience.stop(one.member)
        if one.phase is Phase.STOPPING and view.now - one.since >= limit:
            why = f"it did not stop within {limit:.0f} s" if limit else "nothing is waited for any more"
            yield Step(Verb.KILL, one.member, f"killing {one.member.name}: {why}")


def _stop_left_overs(view: _View) -> Iterator[Step]:
    for one in view.seen.values():
        if one.left_over and one.phase is Phase.RUNNING:
            why = f"stopping {one.member.name}: it is left over from an earlier run that was killed"
            yield Step(Verb.STOP, one.member, why)


def _start(view: _View) -> Iterator[Step]:
    for process in view.wanted.values():
        last = view.seen.get(process.name)
        if last is not None and last.phase is not Phase.ENDED:
            continue
        if view.due(process) <= view.now and all(view.started(earlier) for earlier in _before(process, view)):
            yield Step(Verb.START, process.member, _why_start(process, last))


def _before(process: Process, view: _View) -> Iterator[Process]:
    """Those that a process needs: a broker registers with name servers, a slave finds its master through them."""
    if process.member.role is Role.NAME_SERVER:
        return
    own_master = process.member.master() if process.member.role is Role.SLAVE else None
    for other in view.wanted.values():
        if other.member.role is Role.NAME_SERVER or other.member == own_master:
            yield other


def _why_start(process: Process, last: Observed | None) -> str:
    member = process.member
    if last is not None:
        return f"restarting {member.name}: it {last.reason}"
    if member.group is None:
        return f"starting {member.name}: name server {member.ordinal}"
    what = process.role if process.role == Role.MASTER else f"{process.role} {member.ordinal}"
    return f"starting {member.name}: {what} of group {member.group}"


def _configure(view: _View) -> Iterator[Step]:
    is_moving = _a_name_server_moves(view)
    for process, last in view.running():
        changes = _changes(process, last)
        live = {key: value for key, value in changes.items() if value is not None and _is_live(key, process, last)}
        if (
            is_moving
        ):  # brokers stay with the addresses that still answer until all name servers are where they shall be
            live.pop("namesrvAddr", None)
        if live and last.answers:
            told = ", ".join(f"{key}={value}" for key, value in live.items())
            yield Step(Verb.CONFIGURE, process.member, f"telling {process.name} as it runs: {told}", live)


def _a_name_server_moves(view: _View) -> bool:
    """Whether a name server has yet to be restarted with other settings, its port perhaps."""
    return any(process.member.role is Role.NAME_SERVER and _changes(process, last) for process, last in view.running())


def _stop_unwanted(view: _View) -> Iterator[Step]:
    unwanted = view.unwanted()
    for one in unwanted:
        if one.phase is not Phase.RUNNING:
            continue
        if not any(_outlives(one.member, other.member) for other in unwanted) and not _is_named(one.member, view):
            yield Step(Verb.STOP, one.member, _why_stop(one.member, bool(view.wanted)))


def _stop_rank(member: Member) -> tuple[bool, int, int]:
    """The highest group and ordinal first, name servers last."""
    return member.group is None, -(member.group or 0), -member.ordinal


def _outlives(member: Member, other: Member) -> bool:
    """Whether `member` may only stop when `other` has: a master its slaves, a name server all brokers."""
    if member.role is Role.NAME_SERVER:
        return other.role is not Role.NAME_SERVER
    return member.role is Role.MASTER and other.role is Role.SLAVE and other.master() == member


def _is_named(member: Member, view: _View) -> bool:
    """Whether a broker that stays still has the name server in its settings: it has yet to be told, or restarted."""
    if member.role is not Role.NAME_SERVER:
        return False
    return any(
        last.settings.get("namesrvAddr") != process.settings.get("namesrvAddr") for process, last in view.running()
    )


def _why_stop(member: Member, others_stay: bool) -> str:
    if not others_stay:
        return f"stopping {member.name}"
    if member.role is Role.NAME_SERVER:
        return f"stopping {member.name}: name server {member.ordinal} is no longer wanted"
    if member.role is Role.SLAVE:
        return f"stopping {member.name}: slave {member.ordinal} is no longer wanted; its folder stays"
    kept = "its folder stays, and the messages in it come back when the group is added again"
    return f"stopping {member.name}: group {member.group} is no longer wanted; {kept}"


def _restart(view: _View) -> Iterator[Step]:
    for process, last, why in _stale(view):
        if not last.ready or not _not_ready(view):
            yield Step(Verb.STOP, process.member, why)


def _later_restarts(view: _View) -> Iterator[Step]:
    others = _not_ready(view)
    for process, last, why in _stale(view):
        if last.ready and others:
            yield Step(Verb.WAIT, process.member, f"{why}; not before {', '.join(others)} is ready")


def _stale(view: _View) -> list[tuple[Process, Observed, str]]:
    """What runs with settings that need a restart, and why; what does not serve comes first: nobody is disturbed."""
    stale = [(process, last, keys) for process, last in view.running() if (keys := _restart_keys(process, last))]
    stale.sort(key=lambda one: (one[1].ready, _restart_rank(one[0].member)))
    return [
        (process, last, f"restarting {process.name}: {', '.join(keys)} {'changes' if len(keys) == 1 else 'change'}")
        for process, last, keys in stale
    ]


def _not_ready(view: _View) -> list[str]:
    """Who is wanted and does not serve."""
    ready = {process.name for process, last in view.running() if last.ready}
    return [name for name in view.wanted if name not in ready]


def _restart_rank(member: Member) -> tuple[bool, int, int]:
    """Group by group, in each the slaves before the master; name servers last."""
    return member.group is None, member.group or 0, -member.ordinal


def _restart_keys(process: Process, last: Observed) -> list[str]:
    changes = _changes(process, last)
    return [key for key, value in changes.items() if value is None or not _is_live(key, process, last)]


def _changes(process: Process, last: Observed) -> dict[str, str | None]:
    """Keys whose value is not the wanted one → the wanted value; None for a key that shall go."""
    keys = {**process.settings, **last.settings}
    values = {key: process.settings.get(key) for key in keys}
    return {key: value for key, value in values.items() if value != last.settings.get(key)}


def _is_live(key: str, process: Process, last: Observed) -> bool:
    return process.member.role is not Role.NAME_SERVER and key in LIVE_KEYS and key not in last.refused


def _later_starts(view: _View) -> Iterator[Step]:
    """Restarts that are not due yet, the next one first."""
    waiting = [(view.due(process), process) for process in view.wanted.values()]
    for due, process in sorted(waiting, key=lambda one: one[0]):
        last = view.seen.get(process.name)
        if last is not None and last.phase is Phase.ENDED and due > view.now:
            delay = view.patience.restart_delay(last.failures)
            often = f", {last.failures} times in a row" if last.failures > 1 else ""
            when = f"in {delay:.1f} s: it {last.reason}{often}"
            if delay == view.patience.slowest_restart:
                when = f"every {delay:.0f} s: it {last.reason} each time"  # one sentence, however often it fails
            yield Step(Verb.WAIT, process.member, f"restarting {process.name} {when}")
