"""Which cluster is looked at when: at once when something happened to it, after a while when nothing did.

Every cluster has a task of its own, so a slow or broken one keeps no other waiting. What happens during a look leads to
another one after it. A look that fails is repeated with growing pauses, which only another spec cuts short.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable

from rocket_operator.cluster.api import ApiError
from rocket_operator.cluster.metrics import Key, Metrics
from rocket_operator.cluster.reconciler import Outcome

log = logging.getLogger("rocket.operator")

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
#: Events come in swarms: a look waits so long for the rest of them.
_GATHER_SECONDS = 0.05


class Queue:
    """The clusters that are known, and when each is looked at."""

    def __init__(self, look: Callable[[Key], Awaitable[Outcome]], metrics: Metrics, resync: float) -> None:
        """`look` reconciles one cluster. `resync`: seconds after which each is looked at though nothing happened."""
        self._look = look
        self._metrics = metrics
        self._resync = resync
        self._woken: dict[Key, asyncio.Event] = {}
        self._changed: dict[Key, asyncio.Event] = {}
        self._generations: dict[Key, int] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self.last_end: dict[Key, float] = {}

    def wake(self, key: Key, generation: int | None = None) -> None:
        """Something happened to this cluster. `generation`: its spec's number, where that is what is told."""
        if key not in self._tasks:
            self._woken[key], self._changed[key] = asyncio.Event(), asyncio.Event()
            self.last_end[key] = time.monotonic()
            self._tasks[key] = asyncio.create_task(self._run(key), name=f"cluster {key[0]}/{key[1]}")
        if generation is not None and self._generations.get(key) != generation:
            self._generations[key] = generation
            self._changed[key].set()
        self._woken[key].set()

    def depth(self) -> float:
        """How many clusters were woken and are not looked at yet."""
        return float(sum(woken.is_set() for woken in self._woken.values()))

    def oldest_look_seconds(self) -> float:
        """How long ago the cluster that waits longest was looked at last; 0 without any."""
        return max((time.monotonic() - last for last in self.last_end.values()), default=0.0)

    async def stop(self) -> None:
        """Ends all tasks; a look that is under way is cut at its next wait."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: Key) -> None:
        failures = 0
        woken, changed = self._woken[key], self._changed[key]
        while True:
            woken.clear()
            changed.clear()
            outcome = await self._one(key)
            self.last_end[key] = time.monotonic()
            if not outcome.exists:
                if not woken.is_set():
                    self._forget(key)
                    return
                continue
            failures = failures + 1 if outcome.retry else 0
            if failures:
                failures = 0 if await _comes_within(changed, _retry_pause(outcome, failures)) else failures
            else:
                await self._rest(woken, outcome)

    async def _one(self, key: Key) -> Outcome:
        begun = time.monotonic()
        try:
            outcome = await self._look(key)
        except ApiError as error:
            log.warning("%s/%s cannot be looked at: %s", *key, error)
            outcome = Outcome(retry=True, retry_after=error.retry_after)
        except Exception:
            log.exception("%s/%s cannot be looked at: a fault of the operator", *key)
            outcome = Outcome(retry=True)
        self._metrics.looked(key, outcome, time.monotonic() - begun)
        return outcome

    async def _rest(self, woken: asyncio.Event, outcome: Outcome) -> None:
        limit = self._resync * random.uniform(0.9, 1.1)
        if await _comes_within(woken, min(limit, outcome.again if outcome.again is not None else limit)):
            await asyncio.sleep(_GATHER_SECONDS)

    def _forget(self, key: Key) -> None:
        del self._tasks[key], self._woken[key], self._changed[key], self.last_end[key]
        self._generations.pop(key, None)
        self._metrics.forget(key)


def _retry_pause(outcome: Outcome, failures: int) -> float:
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 10)) * random.uniform(0.8, 1.2)
    return max(pause, outcome.retry_after or 0.0)


async def _comes_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
