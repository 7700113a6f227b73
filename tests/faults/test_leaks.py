"""What must not grow: descriptors, memory and held requests, however often clients come and go; and idle costs nothing.

Measured from outside, in /proc. Bounds are wide: they catch what grows with each client, not what a version costs more.
"""

from __future__ import annotations

import asyncio
import urllib.request
from functools import partial

import pytest

from rocket_net.client import Client
from rocket_testing.broker_talk import BrokerTalk, pull_header
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.peer import Peer
from rocket_testing.process import Server
from rocket_testing.usage import cpu_seconds, descriptors, memory
from rocket_testing.waiting import eventually
from rocket_wire.codes import RequestCode
from rocket_wire.command import request
from rocket_wire.headers.routes import GetRouteinfoByTopic


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
        await eventually(partial(has_sockets, server, fds))
        grown = memory(server) - resident
        assert grown < 4_000_000 + 3000 * clients, f"{server.name} has grown by {grown} bytes with {clients} clients"


def gauge(broker: Broker, name: str) -> float:
    """What the broker tells Prometheus."""
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/metrics", timeout=5) as answer:
        lines = [line for line in answer.read().decode().splitlines() if line.startswith(f"{name}{{")]
    return float(lines[0].rpartition(" ")[2])


def has_sockets(server: Server, count: int) -> bool:
    """Whether it has no more sockets than this."""
    return descriptors(server, "socket") <= count


async def settled(server: Server) -> int:
    """How many sockets are left once all clients' are closed."""
    least = descriptors(server, "socket")
    for _ in range(10):
        await asyncio.sleep(0.02)
        least = min(least, descriptors(server, "socket"))
    return least


async def test_clients_that_come_and_go_leave_nothing_behind(cluster: Cluster, master: Broker) -> None:
    await grow_nothing(cluster, master, clients=200)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_thousand_clients_that_come_and_go_leave_nothing_behind(cluster: Cluster, master: Broker) -> None:
    await grow_nothing(cluster, master, clients=3000)


async def test_held_pulls_end_with_the_clients_that_vanish(cluster: Cluster, master: Broker) -> None:
    talk = BrokerTalk(master.address)
    await talk.send("T")
    pull = request(RequestCode.PULL_MESSAGE, pull_header("T", 1, 0, suspend_ms=60_000))
    peers = [await Peer.connect(master.port) for _ in range(20)]
    for peer in peers:
        for _ in range(50):
            await peer.send(pull)
    await eventually(lambda: gauge(master, "rocketmq_held_pulls") == 1000)
    for number, peer in enumerate(peers):
        peer.reset() if number % 2 else peer.close()
    await eventually(lambda: gauge(master, "rocketmq_held_pulls") == 0)
    sent = await talk.send("T", queue_id=1)
    assert (await talk.pull("T", 1, sent.queue_offset)).bodies == [b"body"]
    await talk.close()


async def test_five_hundred_topics_cost_little_and_are_there_after_a_restart(cluster: Cluster, master: Broker) -> None:
    talk = BrokerTalk(master.address)
    await talk.send("Before")
    before, fds = memory(master), descriptors(master)
    for first in range(0, 500, 100):
        await asyncio.gather(*(talk.send(f"T-{number}", b"%d" % number) for number in range(first, first + 100)))
    assert memory(master) - before < 10_000_000
    assert descriptors(master) - fds < 600
    await talk.close()
    await asyncio.to_thread(master.restart)
    again = BrokerTalk(master.address)
    for number in range(1, 500, 50):
        assert (await again.pull(f"T-{number}", 0, 0)).bodies == [b"%d" % number]
    await again.close()


@pytest.mark.slow
async def test_servers_without_work_use_no_processor(cluster: Cluster, master: Broker) -> None:
    talk = BrokerTalk(master.address)
    for number in range(100):
        await talk.send(f"T-{number}")
    servers: list[Server] = [master, cluster.namesrvs[0]]
    await asyncio.sleep(3)
    before = [cpu_seconds(server) for server in servers]
    await asyncio.sleep(10)
    used = {server.name: cpu_seconds(server) - begin for server, begin in zip(servers, before, strict=True)}
    await talk.close()
    assert max(used.values()) < 0.3, f"seconds of processor time in 10 s: {used}"
