"""Work beside requests: tasks that run until they are ended, and whose failure ends the process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

log = logging.getLogger("rocket.broker")


class Background:
    """Tasks that begin and end together. `fatal` ends the process with one line."""

    def __init__(self, fatal: Callable[[str], None]) -> None:
        self._fatal = fatal
        self._tasks: list[asyncio.Task[None]] = []

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Begins work that does not end by itself."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def every(self, name: str, seconds: Callable[[], float], act: Callable[[], None]) -> None:
        """Begins to call `act` again and again."""

        async def run() -> None:
            while True:
                await asyncio.sleep(seconds())
                act()

        self.spawn(name, run())

    async def end(self) -> None:
        """Ends all of it, and returns when it has ended."""
        ending, self._tasks = self._tasks, []
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background work %r failed", task.get_name(), exc_info=error)
            self._fatal(f"{task.get_name()} failed ({error}): stopping rather than going on half")
