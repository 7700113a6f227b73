"""Who waits for the disk, and the one sync that serves them all (design section 5, "Acknowledge last").

Batches form while the disk works: a sync covers every position that was written when it began, and those who came
later share the next one. No timer. A sync that fails ends the process, because afterwards nobody can say what is on
the disk; no one who waits is answered.

Asynchronous flush does the same by a clock instead of for waiters, and more: queues, index and checkpoint.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Final

from rocket_wire.codes import ResponseCode

log = logging.getLogger("rocket.durability")

#: One for those who wait and one for the clock, so that neither waits for the other, nor for reads in other threads.
_THREADS: Final = 2


class Durability:
    """Waits for positions of the commit log to be on disk.

    `sync` makes everything written so far durable and returns up to where (bytes); it runs in a thread. `flush` is
    what the clock does instead, the same and more. `fatal` ends the process with one line.
    """

    def __init__(
        self, sync: Callable[[], int], fatal: Callable[[str], None], flush: Callable[[], int] | None = None
    ) -> None:
        self._sync = sync
        self._flush = flush or sync
        self._threads = ThreadPoolExecutor(_THREADS, "sync")
        self._fatal = fatal
        #: Position, when the time is over (the loop's clock), and who waits.
        self._waiting: list[tuple[int, float, asyncio.Future[ResponseCode]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._expires = inf
        self._flushed = 0
        self._cuts = 0
        self._task: asyncio.Task[None] | None = None

    def wait(self, position: int, seconds: float = inf) -> asyncio.Future[ResponseCode]:
        """SUCCESS once the log is on disk up to `position`; FLUSH_DISK_TIMEOUT where it takes longer than `seconds`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ResponseCode] = loop.create_future()
        if position <= self._flushed:
            future.set_result(ResponseCode.SUCCESS)
            return future
        deadline = loop.time() + seconds
        self._waiting.append((position, deadline, future))
        if deadline < self._expires:
            self._expire_at(deadline)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        return future

    def cut(self, position: int) -> None:
        """The log was cut at `position`: other bytes will stand behind it, and were never synced."""
        self._cuts += 1
        self._flushed = min(self._flushed, position)

    def _expire_at(self, deadline: float) -> None:
        """One timer for all who wait: a timer each would cost more than the wait."""
        if self._timer is not None:
            self._timer.cancel()
        self._expires = deadline
        self._timer = None if deadline == inf else asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        now = asyncio.get_running_loop().time()
        still = []
        for waiting in self._waiting:
            _, deadline, future = waiting
            if deadline > now:
                still.append(waiting)
            elif not future.done():
                future.set_result(ResponseCode.FLUSH_DISK_TIMEOUT)
        self._waiting = still
        self._expire_at(min((deadline for _, deadline, _ in still), default=inf))

    async def flush_every(self, seconds: Callable[[], float]) -> None:
        """Asynchronous flush: never returns."""
        while True:
            await asyncio.sleep(seconds())
            await self._in_thread(self._flush)

    async def _run(self) -> None:
        while self._waiting:
            await self._in_thread(self._sync)
            still = []
            for waiting in self._waiting:
                position, _, future = waiting
                if position > self._flushed:
                    still.append(waiting)
                elif not future.done():
                    future.set_result(ResponseCode.SUCCESS)
            self._waiting = still

    async def _in_thread(self, sync: Callable[[], int]) -> None:
        cuts = self._cuts
        try:
            flushed = await asyncio.get_running_loop().run_in_executor(self._threads, sync)
        except OSError as error:
            self._fatal(f"the store cannot be synced to disk ({error}): stopping, so that nothing more is acknowledged")
            await asyncio.Event().wait()  # the process ends; whoever waits must not be answered
            return
        if cuts == self._cuts:
            self._flushed = max(self._flushed, flushed)
