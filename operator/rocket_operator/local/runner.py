"""The level-based loop: observe everything, decide one step, do it, again; until nothing is wanted and nothing runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from rocket_operator.local.substrate import LocalSubstrate
from rocket_operator.objects.processes import Desired
from rocket_operator.rollout.processes import Observed, Patience, Phase, Verb, next_step, waits

_TICK_SECONDS = 1.0
_UNSETTLED_TICK_SECONDS = 0.1


class Watcher(Protocol):
    """Who shows a person what happens."""

    def said(self, sentence: str) -> None:
        """A step and its reason, or something that happened."""

    def seen(self, desired: Desired, observed: Mapping[str, Observed]) -> None:
        """The latest observation."""


class Runner:
    """Keeps one cluster as it is wanted. What is wanted may change while it runs."""

    def __init__(self, substrate: LocalSubstrate, desired: Desired, watcher: Watcher, patience: Patience) -> None:
        self._substrate = substrate
        self._desired = desired
        self._watcher = watcher
        self._patience = patience
        self._ready = asyncio.Event()
        self._waits: dict[str, str] = {}
        self._announced: set[str] = set()

    def want(self, desired: Desired) -> None:
        """From now on, this is wanted."""
        self._desired = desired
        self._ready.clear()
        self._substrate.woken.set()

    @property
    def stopping(self) -> bool:
        return not self._desired.processes

    def stop(self) -> None:
        """Nothing is wanted any more. Asked a second time, nothing is waited for."""
        if self.stopping:
            self._patience = replace(self._patience, stop_name_server=0.0, stop_broker=0.0)
        self.want(self._desired.stopped())

    async def until_ready(self) -> None:
        """Returns when everything that is wanted is ready. There is no deadline: the caller has one."""
        await self._ready.wait()

    async def run(self) -> None:
        """Returns when nothing is wanted and nothing runs: after `stop`."""
        while True:
            desired = self._desired
            self._substrate.woken.clear()
            observed = await self._substrate.observe()
            self._watcher.seen(desired, observed)
            if await self._advance(desired, observed):
                continue
            if not desired.processes and _idle(desired, observed):
                return
            settled = is_ready(desired, observed)
            if settled and desired is self._desired:
                self._ready.set()
            await self._pause(_TICK_SECONDS if settled else _UNSETTLED_TICK_SECONDS)

    async def _advance(self, desired: Desired, observed: Mapping[str, Observed]) -> bool:
        """Does the next step, if there is one to do now; else says, once, what is waited for."""
        now = self._substrate.now()
        step = next_step(desired, observed, now, self._patience)
        if step is None:
            waiting = {wait.name: wait.why for wait in waits(desired, observed, now, self._patience)}
            for name, why in waiting.items():
                if self._waits.get(name) != why:
                    self._watcher.said(why)
            self._waits |= waiting
            self._announced |= waiting.keys()
            return False
        if step.verb is not Verb.START or step.name not in self._announced:
            self._watcher.said(step.why)
        self._announced.discard(step.name)
        await self._substrate.act(step, desired)
        return True

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):  # time to look again
            await asyncio.wait_for(self._substrate.woken.wait(), seconds)


def is_ready(desired: Desired, observed: Mapping[str, Observed]) -> bool:
    """Whether everything wanted serves, with the wanted settings, and nothing else runs."""
    wanted = {process.name: process for process in desired.processes}
    served = [name for name in wanted if name in observed and observed[name].ready]
    current = all(observed[name].settings == wanted[name].settings for name in served)
    return len(served) == len(wanted) and current and not any(
        one.phase is not Phase.ENDED for name, one in observed.items()
        if name not in wanted and one.member.cluster == desired.cluster
    )  # fmt: skip


def _idle(desired: Desired, observed: Mapping[str, Observed]) -> bool:
    ours = [one for one in observed.values() if one.member.cluster == desired.cluster]
    return all(one.phase is Phase.ENDED for one in ours)
