"""The master's side of replication: sends its log to each slave and knows how far each has come (section 5.1).

A slave with nothing yet is sent the log from its very first byte (Apache's master would start at its last file, and
lose the rest).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from rocket_broker.config import LiveConfig
from rocket_broker.replication.log_connection import LogConnection, Sender
from rocket_broker.replication.protocol import REPORT, TRANSFER, ReportReader
from rocket_broker.store.store import MessageStore

log = logging.getLogger("rocket.replication")


class Master(Sender):
    """Listens for slaves and counts who has what."""

    def __init__(self, config: LiveConfig, store: MessageStore) -> None:
        super().__init__(config, store)
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SlaveConnection(self), host, port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def run(self) -> None:
        """Heartbeats and housekeeping; never returns."""
        settings = self.config.settings
        while True:
            await asyncio.sleep(min(settings.ha_send_heartbeat_interval / 1000, 5))
            for slave in list(self.connections):
                slave.heartbeat(settings.ha_housekeeping_interval / 1000)

    async def stop(self) -> None:
        """Sends what is left to those who keep up, then closes."""
        if self._server is None:
            return
        self._server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self.wait(self.store.max_position, len(self.connections))
        for slave in list(self.connections):
            slave.close()
        await self._server.wait_closed()

    def positions(self) -> list[tuple[str, int]]:
        """Each slave's address and how far it has the log."""
        return [(slave.peer, slave.acknowledged) for slave in self.connections]

    def in_reach(self, position: int) -> int:
        """How many slaves are connected and at most `haMaxGapNotInSync` behind `position`."""
        gap = self.config.settings.ha_max_gap_not_in_sync
        return sum(1 for slave in self.connections if slave.is_following and position - slave.acknowledged <= gap)

    async def wait(self, position: int, count: int) -> None:
        """Returns when `count` slaves have the log up to `position`."""
        if self._having(position) >= count:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (position, count, future)
        self._waiting.append(entry)
        try:
            await future
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(entry)

    def acknowledged(self) -> None:
        """A slave came further: those who wait for it go on."""
        still = []
        for entry in self._waiting:
            position, count, future = entry
            if self._having(position) >= count:
                if not future.done():
                    future.set_result(None)
            else:
                still.append(entry)
        self._waiting = still

    def _having(self, position: int) -> int:
        return sum(1 for slave in self.connections if slave.acknowledged >= position)


class SlaveConnection(LogConnection):
    """One slave of the plain stream."""

    def __init__(self, master: Master) -> None:
        super().__init__(master)
        self._master = master
        self._reports = ReportReader()

    def received(self, data: bytes) -> None:
        for position in self._reports.feed(data):
            if self.sent < 0:
                self._begin(position)
            else:
                self.acknowledged = max(self.acknowledged, min(position, self.sent))
        self._master.acknowledged()

    def head(self, size: int) -> bytes:
        return TRANSFER.pack(self.sent, size)

    def _begin(self, position: int) -> None:
        store = self._master.store
        if position > store.max_position:
            log.error(
                "slave %s has the log up to %d, this master to %d only: it holds what this master does not. Where this "
                "master lost its disk, stop it and let the slave take its place (brokerId=0 in the slave's file); else "
                "empty the slave's store directory, and it copies anew",
                self.peer, position, store.max_position,
            )  # fmt: skip
            return self.close()
        if position and position < store.min_position:
            log.error(
                "slave %s has the log up to %d, this master's begins at %d: it was away for too long; empty its store "
                "directory, and it copies anew",
                self.peer, position, store.min_position,
            )  # fmt: skip
            return self.close()
        self.sent = position or store.min_position
        self.acknowledged = self.sent
        log.info("slave %s follows from position %d", self.peer, self.sent)
        return None


def report(position: int) -> bytes:
    """A slave's report of how far it has come."""
    return REPORT.pack(position)
