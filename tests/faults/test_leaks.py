"""What must not grow: descriptors, memory and held requests, however often clients come and go; and idle costs nothing.

Measured from outside, in /proc. Bounds are wide: they catch what grows with each client, not what a version costs more.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from rocket_client import Message, Producer, PushConsumer
from rocket_net.client import Client
from rocket_testing.broker_talk import BrokerTalk, pull_header
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.peer import Peer
from rocket_testing.process import Server
from rocket_testing.waiting import eventually
from rocket_wire.codes import RequestCode
from rocket_wire.command import request
from rocket_wire.headers.routes import GetRouteinfoByTopic

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def descriptors(server: Server) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def memory(server: Server) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * _PAGE


def cpu_seconds(server: Server) -> float:
    """Processor time that the process has used so far."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def come_and_go(cluster: Cluster, broker: Broker, number: int) -> None:
    """One client of each kind: it works, and leaves, well or badly."""
    talk = BrokerTalk(broker.address)
    await talk.beat(f"group-{number % 7}", "T", client_id=f"client@{number}")
    await talk.send("T")
    await talk.close()
    peer = await Peer.connect(broker.port)
    await peer.send(request(RequestCode.PULL_MESSAGE, pull_header("T", 0, 1 << 40, suspend_ms=60_000)))
    await peer.send(request(RequestCode.PULL_MESSAGE, pull_header("T", 1, 0, suspend_ms=60_000)))
    peer.reset() if number % 2 else peer.close()
    net = Client()
    await net.call(cluster.namesrvs[0].address, request(RequestCode.GET_ROUTEINFO_BY_TOPIC, GetRouteinfoByTopic("T")))
    await net.close()


async def grow_nothing(cluster: Cluster, broker: Broker, clients: int) -> None:
    servers: list[Server] = [broker, cluster.namesrvs[0]]
    for number in range(100):
        await come_and_go(cluster, broker, number)
    before = {server.name: (await settled(server), memory(server)) for server in servers}
    for number in range(clients):
        await come_and_go(cluster, broker, number)
    for server in servers:
        fds, resident = before[server.name]
        await eventually(lambda server=server, fds=fds: descriptors(server) <= fds + 3)
        grown = memory(server) - resident
        assert grown < 4_000_000 + 3000 * clients, f"{server.name} has grown by {grown} bytes with {clients} clients"


async def settled(server: Server) -> int:
    """How many descriptors are left once all connections are closed."""
    least = descriptors(server)
    for _ in range(10):
        await asyncio.sleep(0.02)
        least = min(least, descriptors(server))
    return least


async def test_clients_that_come_and_go_leave_nothing_behind(cluster: Cluster, master: Broker) -> None:
    await grow_nothing(cluster, master, clients=200)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_thousand_clients_that_come_and_go_leave_nothing_behind(cluster: Cluster, master: Broker) -> None:
    await grow_nothing(cluster, master, clients=3000)
