"""Asks a process over HTTP whether it is ready (GET /readyz), as a kubelet does."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple, Self

import aiohttp

from rocket_operator.objects.ports import HTTP
from rocket_operator.objects.processes import LOOPBACK, Process


class Answer(NamedTuple):
    """Whether there was an answer at all, and whether it was yes."""

    answers: bool
    ready: bool


class Readiness:
    """Keeps the HTTP session. Use it with `async with`."""

    def __init__(self, timeout_seconds: float = 1.0) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, process: Process) -> Answer:
        try:
            async with self._session.get(f"http://{LOOPBACK}:{process.ports[HTTP]}/readyz") as response:
                return Answer(True, response.status == 200)
        except (aiohttp.ClientError, TimeoutError):
            return Answer(False, False)
