"""A listening server: accepts connections, bounds them, closes the idle ones, and stops without dropping answers.

Graceful stop: no more accepting; what is under way is answered; a client that knows GO_AWAY (5.3.2 and later) gets it
for each new request, so that it moves on by itself; then the connections close.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable

from rocket_net.connection import Connection
from rocket_net.dispatch import Table
from rocket_net.limits import Limits
from rocket_wire.frame import SerializeType

log = logging.getLogger("rocket.net")


class AddressInUse(OSError):
    """The port is taken. The text says which, and what to do."""


class Server:
    """Listens on one address and answers by one table."""

    def __init__(
        self,
        table: Table,
        limits: Limits | None = None,
        serialize: SerializeType = SerializeType.JSON,
        on_close: Callable[[Connection], None] | None = None,
    ) -> None:
        self.connections: set[Connection] = set()
        self._table = table
        self._limits = limits or Limits()
        self._serialize = serialize
        self._on_close = on_close
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._refused = 0
        self._unread = self._limits.write_buffer_bytes
        self._stopping = False
        self._empty = asyncio.Event()

    async def start(self, host: str, port: int) -> int:
        """Listens; port 0 takes a free one. Returns the port. Raises AddressInUse."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._connection, host, port, backlog=1024, reuse_address=True)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                text = f"port {port} on {host} is in use: another server runs there; stop it or choose another port"
                raise AddressInUse(errno.EADDRINUSE, text) from None
            raise
        self._stopping = False
        self._sweep()
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stops accepting, waits for answers under way (bounded), then closes every connection."""
        if self._server is None:
            return
        self._stopping = True
        self._server.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in self.connections:
            connection.draining = True
        deadline = asyncio.get_running_loop().time() + self._limits.shutdown_seconds
        while any(connection.in_flight for connection in self.connections):
            if asyncio.get_running_loop().time() > deadline:
                log.warning("stopping with %d requests unanswered", sum(c.in_flight for c in self.connections))
                break
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.close()
        if self.connections:  # bounded: a connection whose peer does not read is cut a while after `close`
            await self._empty.wait()
        await self._server.wait_closed()
        self._server = None

    def _connection(self) -> Connection:
        return Connection(self._table, self._limits, self._serialize, self._opened, self._closed)

    def _opened(self, connection: Connection) -> None:
        if self._stopping:  # accepted just before; `stop` would wait for it in vain
            connection.abort()
            return
        if len(self.connections) >= self._limits.max_connections:
            self._refused += 1
            if self._refused & (self._refused - 1) == 0:  # a flood of connections must not become a flood of lines
                log.warning(
                    "connection from %s refused: %d are open, the limit (%d refused so far)",
                    connection.peer, len(self.connections), self._refused,
                )  # fmt: skip
            connection.abort()
            return
        self.connections.add(connection)
        self._empty.clear()
        self._share_out(connection)

    def _closed(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.discard(connection)
            if not self.connections:
                self._empty.set()
            if self._on_close is not None:
                self._on_close(connection)

    def _share_out(self, newest: Connection) -> None:
        """How much each connection may leave unread depends on how many there are."""
        limits = self._limits
        share = max(limits.least_write_buffer_bytes, limits.write_buffers_bytes // len(self.connections))
        share = min(limits.write_buffer_bytes, share)
        if share <= self._unread // 2 or share >= self._unread * 2:
            self._unread = share
            for connection in self.connections:
                connection.limit_unread(share)
        else:
            newest.limit_unread(self._unread)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._limits.idle_seconds
        for connection in list(self.connections):
            if connection.is_open and connection.last_active < oldest:
                log.info("connection %s closed: silent for %g s", connection.peer, self._limits.idle_seconds)
                connection.close()
        self._sweeper = loop.call_later(min(5.0, self._limits.idle_seconds / 4), self._sweep)
