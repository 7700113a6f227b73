"""Observe and act on one machine. Every decision is rollout.py's.

What it remembers is only about its own children: an end is seen by the parent alone. When it is killed, its children
are asked to stop by the kernel (launch.py), and those that are still there when it is started again are found by their
pid files.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from rocket_operator.local import listeners
from rocket_operator.local.child import Child, find_program
from rocket_operator.local.folder import DataFolder
from rocket_operator.local.readiness import Readiness
from rocket_operator.objects.members import Member
from rocket_operator.objects.processes import Desired, Process
from rocket_operator.problems import CannotStart
from rocket_operator.rollout.processes import Observed, Patience, Phase, Step, Verb

Report = Callable[[str], None]
Configure = Callable[[Process, Mapping[str, str]], Awaitable[None]]
"""Makes a running broker take over settings; raises ValueError when it does not."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where mqnamesrv and mqbroker are found, and how they are told settings as they run."""

    configure: Configure
    folder: Path | None = None


@dataclass(slots=True)
class _LeftOver:
    process: psutil.Process
    since: float
    phase: Phase = Phase.RUNNING


class LocalSubstrate:
    """The processes of one folder. Use it with `async with`, while the folder is locked."""

    def __init__(self, folder: DataFolder, programs: Programs, report: Report, patience: Patience) -> None:
        self.woken = asyncio.Event()
        self._folder = folder
        self._programs = programs
        self._report = report
        self._patience = patience
        self._readiness = Readiness()
        self._children: dict[str, Child] = {}
        self._ended: dict[str, Observed] = {}
        self._starts: dict[str, int] = {}
        self._said: dict[str, str] = {}
        self._left_overs: dict[Member, _LeftOver] = {}
        self._waiting: set[asyncio.Task[None]] = set()

    @staticmethod
    def now() -> float:
        return time.monotonic()

    async def __aenter__(self) -> Self:
        await self._readiness.__aenter__()
        found = self._folder.left_overs()
        self._left_overs = {member: _LeftOver(process, self.now()) for member, process in found.items()}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children.values():
            child.kill()  # none is left after an orderly stop
        await asyncio.gather(*self._waiting)
        await self._readiness.__aexit__(kind, error, trace)

    def check(self, desired: Desired) -> None:
        """Raises CannotStart when a program is missing, or with a line for each port that somebody else has."""
        for name in sorted({process.program for process in desired.processes}):
            find_program(name, self._programs.folder)
        if self._left_overs:
            return  # they may hold the ports, and are given time to go
        if sentences := [sentence for process in desired.processes for sentence in listeners.conflicts(process)]:
            raise CannotStart("\n".join(sentences))

    async def observe(self) -> dict[str, Observed]:
        """Every member of this folder that runs, stops, or ended without being asked to."""
        self._collect_ended()
        running = list(self._children.values())
        answers = await asyncio.gather(*(self._readiness.ask(child.process) for child in running))
        seen = {member.name: _observed_left_over(member, one) for member, one in self._left_overs.items()}
        seen |= self._ended
        for child, answer in zip(running, answers, strict=True):
            seen[child.process.name] = Observed(
                child.process.member, child.phase, child.since,
                child.process.settings, answer.answers, answer.ready, refused=frozenset(child.refused),
                pid=child.handle.pid, restarts=self._starts[child.process.name] - 1,
            )  # fmt: skip
        return seen

    async def act(self, step: Step, desired: Desired) -> None:
        """Does what a step says. What goes wrong is seen by the next observation."""
        if step.verb is Verb.START:
            await self._start(next(process for process in desired.processes if process.name == step.name))
        elif step.verb is Verb.STOP:
            self._stop(step.member)
        elif step.verb is Verb.KILL:
            self._kill(step.member)
        elif step.verb is Verb.CONFIGURE:
            await self._tell(self._children[step.name], step.settings)

    async def _start(self, process: Process) -> None:
        self._starts[process.name] = self._starts.get(process.name, 0) + 1
        try:
            if sentences := listeners.conflicts(process):
                raise CannotStart("; ".join(sentences))
            program = find_program(process.program, self._programs.folder)
            child = await Child.start(process, program, self._folder, self.now())
        except (CannotStart, OSError) as error:
            self._note_end(process, 0.0, f"could not start: {error}")
            return
        self._children[process.name] = child
        task = asyncio.create_task(self._wake_at_end(child))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _wake_at_end(self, child: Child) -> None:
        await child.handle.wait()
        self.woken.set()

    def _stop(self, member: Member) -> None:
        if child := self._children.get(member.name):
            child.ask_to_stop(self.now())
        elif left_over := self._left_overs.get(member):
            left_over.phase, left_over.since = Phase.STOPPING, self.now()
            _send(left_over.process, signal.SIGTERM)

    def _kill(self, member: Member) -> None:
        if child := self._children.get(member.name):
            child.kill()
        elif left_over := self._left_overs.get(member):
            left_over.phase = Phase.KILLED
            _send(left_over.process, signal.SIGKILL)

    async def _tell(self, child: Child, settings: Mapping[str, str]) -> None:
        try:
            await self._programs.configure(child.process, settings)
        except ValueError as error:
            child.refused |= settings.keys()
            self._report(f"{child.process.name} does not take {', '.join(settings)} over as it runs: {error}")
            return
        child.process = replace(child.process, settings={**child.process.settings, **settings})
        self._folder.write_configuration(child.process)

    def _collect_ended(self) -> None:
        for name, child in list(self._children.items()):
            if child.ended:
                del self._children[name]
                self._folder.forget_pid(name)
                if child.phase is not Phase.RUNNING:
                    self._ended.pop(name, None)
                else:
                    self._note_end(child.process, self.now() - child.since, child.how_it_ended)
        for member, left_over in list(self._left_overs.items()):
            if not _runs(left_over.process):
                del self._left_overs[member]
                self._folder.forget_pid(member.name)

    def _note_end(self, process: Process, ran_seconds: float, reason: str) -> None:
        before = self._ended.get(process.name)
        failures = self._patience.failures_after(before.failures if before else 0, ran_seconds)
        self._ended[process.name] = Observed(
            process.member, Phase.ENDED, self.now(), process.settings, failures=failures, reason=reason,
            restarts=self._starts[process.name] - 1,
        )  # fmt: skip
        words = self._folder.last_words(process.name)
        said = f"{process.name} {reason}" + (f"; its log ends: {words}" if words else "")
        if (
            failures == 1 or self._said.get(process.name) != said
        ):  # what fails in the same way again and again is told once
            self._said[process.name] = said
            self._report(said)


def _observed_left_over(member: Member, one: _LeftOver) -> Observed:
    return Observed(member, one.phase, one.since, {}, left_over=True, pid=one.process.pid)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now
        process.send_signal(number)
