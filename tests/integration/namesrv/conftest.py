"""A real name server on free ports, a real client, and a clock that stands until a test moves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from rocket_namesrv.server import NameServer
from rocket_namesrv.settings import NamesrvSettings
from rocket_net.client import Client
from rocket_net.properties_file import Configuration
from rocket_testing.clock import Clock

StartNameServer = Callable[..., Awaitable[NameServer]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def start_namesrv(tmp_path: Path, clock: Clock) -> AsyncIterator[StartNameServer]:
    """Starts a name server with these settings; `given` are the keys that count as chosen. Stopped with the test."""
    started: list[NameServer] = []

    async def start(folder: str = "namesrv", given: Iterable[str] = (), **settings: object) -> NameServer:
        paths = {
            "kv_config_path": str(tmp_path / folder / "kvConfig.json"),
            "config_store_path": str(tmp_path / folder / "namesrv.conf"),
        }
        chosen: dict[str, Any] = (
            {"listen_port": 0, "bind_address": "127.0.0.1", "metrics_prom_exporter_port": 0} | paths | settings
        )
        server = NameServer(Configuration(NamesrvSettings(**chosen), {}, frozenset(given)), clock)
        await server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        await server.stop()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    client = Client()
    yield client
    await client.close()
