"""Requests to any number of servers: one connection an address, made when first needed and kept.

No retries here: whether a request may be sent again, and where, is its caller's decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rocket_net.connection import Connection
from rocket_net.dispatch import Table
from rocket_net.errors import ConnectFailed, RequestTimeout
from rocket_net.limits import Limits
from rocket_wire.command import Command
from rocket_wire.frame import SerializeType


class Client:
    """Calls servers by `host:port`. Answers requests that servers send back by `table`.

    Use inside one event loop; `close` when done.
    """

    def __init__(
        self,
        table: Table | None = None,
        limits: Limits | None = None,
        serialize: SerializeType = SerializeType.JSON,
        on_close: Callable[[str], None] | None = None,
    ) -> None:
        self._table = table or {}
        self._limits = limits or Limits()
        self._serialize = serialize
        self._on_close = on_close
        self._connections: dict[str, asyncio.Task[Connection]] = {}
        self._closed = False

    async def call(self, address: str, request: Command, timeout: float = 3.0) -> Command:
        """The answer of the server at `address`, whatever its code; connecting counts towards `timeout` seconds.

        Raises ConnectFailed, ConnectionLost or RequestTimeout (all TransportError).
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        connection = await self.connection(address, timeout)
        sent = loop.time()
        try:
            return await connection.call(request, max(0.001, deadline - sent))
        except RequestTimeout:
            if connection.last_heard <= sent:  # perhaps its host is gone; the next call shall not wait for that as well
                connection.abort()
            raise

    async def tell(self, address: str, request: Command, timeout: float = 3.0) -> None:
        """Sends a one-way request; waits while the server does not read. Raises as `call` does."""
        connection = await self.connection(address, timeout)
        await connection.drain(timeout)
        connection.tell(request)

    async def connection(self, address: str, timeout: float = 3.0) -> Connection:
        """The open connection to `address`, made if there is none; several callers share one attempt."""
        if self._closed:
            raise ConnectFailed(f"{address}: this client is closed")
        task = self._connections.get(address)
        if task is not None and task.done() and _is_open(task):
            return task.result()
        if task is None or task.done():
            task = asyncio.ensure_future(self._connect(address, timeout))
            self._connections[address] = task
        try:
            async with asyncio.timeout(timeout):
                await asyncio.wait([task])
        except TimeoutError:
            raise ConnectFailed(f"{address}: no connection within {timeout:g} s") from None
        if task.cancelled():
            raise ConnectFailed(f"{address}: this client is closed")
        return task.result()

    def open_connection(self, address: str) -> Connection | None:
        """The connection to `address` if one is open now."""
        task = self._connections.get(address)
        return task.result() if task is not None and task.done() and _is_open(task) else None

    async def close(self) -> None:
        """Closes every connection; calls under way raise ConnectionLost."""
        self._closed = True
        tasks = list(self._connections.values())
        self._connections.clear()
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Connection):
                outcome.close()

    async def _connect(self, address: str, timeout: float) -> Connection:
        host, port = split_address(address)
        loop = asyncio.get_running_loop()

        def lost(_: Connection) -> None:
            if self._on_close is not None:
                self._on_close(address)

        try:
            async with asyncio.timeout(timeout):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._table, self._limits, self._serialize, on_close=lost), host, port
                )
        except TimeoutError:
            raise ConnectFailed(f"{address}: no connection within {timeout:g} s") from None
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(f"{address}: {error}") from None
        connection.dialled = True
        return connection


def split_address(address: str) -> tuple[str, int]:
    """(host, port) of `host:port` or `[v6]:port`. Raises ConnectFailed."""
    host, _, port = address.strip().rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConnectFailed(f"{address!r} is no address: host:port is expected")
    return host.strip("[]"), int(port)


def _is_open(task: asyncio.Task[Connection]) -> bool:
    return not task.cancelled() and task.exception() is None and task.result().is_open
