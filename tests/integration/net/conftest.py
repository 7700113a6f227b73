"""Servers, clients and peers that are gone when the test ends; each test runs on asyncio's loop and on uvloop's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvloop

from rocket_net.client import Client
from rocket_net.limits import Limits
from rocket_net.server import Server
from rocket_testing.peer import Peer


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def listen() -> AsyncIterator[Callable[[Server], Awaitable[int]]]:
    """`await listen(server)` starts it on a free port, which it returns."""
    servers: list[Server] = []

    async def listen(server: Server) -> int:
        servers.append(server)
        return await server.start("127.0.0.1", 0)

    yield listen
    for server in servers:
        for connection in list(server.connections):
            connection.abort()
        await server.stop()


@pytest.fixture
async def dial() -> AsyncIterator[Callable[..., Awaitable[Peer]]]:
    """`await dial(port)` connects a peer."""
    peers: list[Peer] = []

    async def dial(port: int, receive_buffer: int | None = None) -> Peer:
        peers.append(await Peer.connect(port, receive_buffer))
        return peers[-1]

    yield dial
    for peer in peers:
        peer.close()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    client = Client(limits=Limits(shutdown_seconds=0.2))
    yield client
    await client.close()
