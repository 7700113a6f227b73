"""Heartbeats: a broker knows a client, its groups and subscriptions from them alone (protocol section 3.8).

One to every broker concerned each 30 s. A broker forgets a client when the connection closes, so a lost connection is
followed by a heartbeat at once, and by others every few seconds until the broker answers again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from rocket_client.errors import RocketError
from rocket_client.instance import Instance
from rocket_wire.bodies.heartbeat import HeartbeatData
from rocket_wire.codes import RequestCode
from rocket_wire.command import request

log = logging.getLogger("rocket.client")

PERIOD: Final = 30.0
#: How soon a failed one is repeated, at first and at last, seconds.
_FIRST_RETRY: Final = 0.5
_LAST_RETRY: Final = 3.0


class Heartbeat:
    """The heartbeats of one client. `content` says what they tell, `addresses` whom."""

    def __init__(
        self, instance: Instance, content: Callable[[], HeartbeatData], addresses: Callable[[], set[str]]
    ) -> None:
        self._instance = instance
        self._content = content
        self._addresses = addresses
        self._reached: set[str] = set()
        self._tried: set[str] = set()
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        instance.on_connection_lost.append(self._lost)

    def start(self) -> None:
        """Begins to beat."""
        self._task = self._instance.background.start(self._run(), "heartbeat")

    def stop(self) -> None:
        """Beats no more."""
        if self._task is not None:
            self._task.cancel()

    def knows(self, addresses: set[str]) -> bool:
        """Whether all of these were sent one already."""
        return addresses <= self._tried

    def soon(self) -> None:
        """One is due now: something changed."""
        self._due.set()

    async def beat(self) -> bool:
        """One heartbeat to everybody. True where all answered."""
        addresses = self._addresses()
        self._tried |= addresses
        content = self._content().encode()
        results = await asyncio.gather(*(self._tell(address, content) for address in addresses))
        return all(results)

    async def _run(self) -> None:
        retry = _FIRST_RETRY
        while True:
            self._due.clear()
            everybody = await self.beat()
            retry = _FIRST_RETRY if everybody else min(retry * 2, _LAST_RETRY)
            await self._pause(PERIOD if everybody else retry)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._due.wait()
        except TimeoutError:
            return
        await asyncio.sleep(0.05)  # several reasons often come together

    async def _tell(self, address: str, content: bytes) -> bool:
        try:
            await self._instance.ask(address, request(RequestCode.HEART_BEAT, body=content))
        except RocketError as error:
            level = logging.WARNING if address in self._reached else logging.DEBUG
            self._reached.discard(address)
            log.log(level, "heartbeat: %s", error)
            return False
        self._reached.add(address)
        return True

    def _lost(self, address: str) -> None:
        if address in self._addresses():
            self._due.set()
