"""Who waits for the disk, and the one sync that serves them all (design section 5, "Acknowledge last").

Batches form while the disk works: a sync covers every position that was written when it began, and those who came
later share the next one. No timer. A sync that fails ends the process, because afterwards nobody can say what is on
the disk; no one who waits is answered.

Asynchronous flush uses the same path from a clock instead of from waiters.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

log = logging.getLogger("rocket.durability")


class Durability:
    """Waits for positions of the commit log to be on disk.

    `sync` makes everything written so far durable and returns up to where (bytes); it runs in a thread. `fatal` ends
    the process with one line.
    """

    def __init__(self, sync: Callable[[], int], fatal: Callable[[str], None]) -> None:
        self._sync = sync
        self._fatal = fatal
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._flushed = 0
        self._task: asyncio.Task[None] | None = None

    async def wait(self, position: int) -> None:
        """Returns once the log is on disk up to `position`."""
        if position <= self._flushed:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((position, future))
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        await future

    async def flush_every(self, seconds: Callable[[], float]) -> None:
        """Asynchronous flush: never returns."""
        while True:
            await asyncio.sleep(seconds())
            await self._sync_once()

    async def _run(self) -> None:
        while self._waiting:
            await self._sync_once()
            still = []
            for position, future in self._waiting:
                if position > self._flushed:
                    still.append((position, future))
                elif not future.done():
                    future.set_result(None)
            self._waiting = still

    async def _sync_once(self) -> None:
        try:
            flushed = await asyncio.to_thread(self._sync)
        except OSError as error:
            self._fatal(f"the store cannot be synced to disk ({error}): stopping, so that nothing more is acknowledged")
            await asyncio.Event().wait()  # the process ends; whoever waits must not be answered
            return
        self._flushed = max(self._flushed, flushed)
