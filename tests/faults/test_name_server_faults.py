"""Name servers that die, freeze, fall silent or forget: brokers come back to them, and clients hardly notice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from rocket_client import Admin, Message, Producer, TopicNotFound
from rocket_testing.broker_talk import BrokerTalk
from rocket_testing.cluster import Broker, Cluster, Namesrv, OurServers, answers_ready
from rocket_testing.ledger import Ledger
from rocket_testing.senders import ClientSender, acknowledged, sending, stored
from rocket_testing.waiting import eventually
from rocket_wire.codes import RequestCode
from rocket_wire.headers.routes import UnregisterBroker

#: A broker's own topic, which a name server knows only from a whole registration.
BUILT_IN = "TBW102"


async def has_topic(address: str, topic: str) -> bool:
    """Whether this name server knows the topic."""
    async with Admin(address, timeout=2.0) as admin:
        try:
            await admin.route(topic)
        except TopicNotFound:
            return False
        return True


async def learns(address: str, topic: str, within: float) -> None:
    """Returns once this name server knows the topic; it must within so many seconds."""
    await eventually(partial(has_topic, address, topic), within)


async def two_namesrvs(cluster: Cluster) -> tuple[Namesrv, Namesrv]:
    return await asyncio.to_thread(lambda: (cluster.add_namesrv(), cluster.add_namesrv()))


async def test_both_name_servers_restart_and_nobody_stops_sending(cluster: Cluster) -> None:
    first, second = await two_namesrvs(cluster)
    broker = await asyncio.to_thread(cluster.add_broker)
    ledger = Ledger()
    async with sending(ledger, ClientSender("client", cluster.namesrv, retries=0)):
        await acknowledged(ledger, more=20)
        for each in (first, second):
            await asyncio.to_thread(each.kill)
        await acknowledged(ledger, more=50)
        await asyncio.gather(*(asyncio.to_thread(each.start) for each in (first, second)))
        for each in (first, second):
            await learns(each.address, BUILT_IN, within=8)
        await acknowledged(ledger, more=20)
    assert not ledger.refusals
    assert not ledger.faults(await stored(broker.address))
    async with Producer(cluster.namesrv) as fresh:
        await fresh.send(Message("Fresh", "x"))


async def test_a_broker_starts_beside_a_frozen_name_server_which_learns_of_it_later(
    cluster: Cluster, tmp_path: Path
) -> None:
    frozen, _ = await two_namesrvs(cluster)
    frozen.freeze()
    broker = OurServers().broker(tmp_path, cluster.namesrv)
    cluster.brokers.append(broker)
    broker.launch()
    await eventually(lambda: answers_ready(broker.http_port), within=10)
    async with Producer(cluster.namesrv) as producer:
        await producer.send(Message("First", "x"))
    frozen.thaw()
    for topic in (BUILT_IN, "First"):
        await learns(frozen.address, topic, within=10)
    await asyncio.to_thread(broker.stop)


async def test_a_name_server_that_freezes_later_keeps_nobody_waiting(cluster: Cluster) -> None:
    frozen, live = await two_namesrvs(cluster)
    broker = await asyncio.to_thread(cluster.add_broker)
    ledger = Ledger()
    async with sending(ledger, ClientSender("old", cluster.namesrv, retries=0)):
        await acknowledged(ledger, more=20)
        frozen.freeze()
        talk = BrokerTalk(broker.address)
        await talk.send("Made")
        await talk.close()
        await learns(live.address, "Made", within=2)
        async with sending(ledger, ClientSender("new", cluster.namesrv, retries=0)):
            await acknowledged(ledger, more=40)
    assert not ledger.refusals
    assert not ledger.faults(await stored(broker.address))


# -- topics that must become known -------------------------------------------------------------------------------------


async def test_a_broker_that_was_forgotten_with_two_topics_new_at_once_is_whole_again(
    cluster: Cluster, master: Broker
) -> None:
    """Its connection stands, so it hears nothing of that; one new topic is refused, but two look like all it has."""
    namesrv = cluster.namesrvs[0].address
    sender = BrokerTalk(master.address)
    await sender.send("Zero")
    await learns(namesrv, "Zero", within=5)
    talk = BrokerTalk(namesrv)
    gone = UnregisterBroker(master.broker_name, master.address, "DefaultCluster", 0)
    await talk.must(RequestCode.UNREGISTER_BROKER, gone)
    await talk.close()
    assert not await has_topic(namesrv, BUILT_IN)
    await asyncio.gather(sender.send("One"), sender.send("Other"))
    await sender.close()
    for topic in ("One", "Other", "Zero", BUILT_IN):
        await learns(namesrv, topic, within=5)


async def test_two_brokers_with_one_name_and_id_are_named_by_the_name_server(cluster: Cluster, tmp_path: Path) -> None:
    namesrv = await asyncio.to_thread(cluster.add_namesrv)
    first, second = await asyncio.to_thread(
        lambda: (cluster.add_broker(brokerName="same"), cluster.add_broker(brokerName="same"))
    )
    assert f"at {second.address} takes the place of {first.address}" in namesrv.run_log()


class Passage:
    """A way to a server that can lose what goes through it, as a firewall does that forgot a connection."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._lost: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def lose_connections(self) -> None:
        """Those that are open now stay so, and pass nothing on any more."""
        self._lost |= self._open

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, far_writer}
        for source, target in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while content := await source.read(65536):
                if target not in self._lost:
                    target.write(content)
        if target not in self._lost:
            target.close()

    def close(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def passage(target: int) -> AsyncIterator[Passage]:
    way = Passage(target)
    server = await asyncio.start_server(way.connected, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        server.close()
        way.close()


@pytest.mark.slow
async def test_a_topic_is_known_soon_although_the_connection_to_the_name_server_is_silently_lost(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Not only with the next whole registration, or when the registration's own time (24 s) is over."""
    namesrv = await asyncio.to_thread(cluster.add_namesrv)
    async with passage(namesrv.port) as way:
        broker = OurServers().broker(tmp_path, f"127.0.0.1:{way.port}")
        cluster.brokers.append(broker)
        await asyncio.to_thread(broker.start)
        talk = BrokerTalk(broker.address)
        await talk.send("Before")
        await learns(namesrv.address, "Before", within=5)
        way.lose_connections()
        await talk.send("After")
        await talk.close()
        await learns(namesrv.address, "After", within=10)
        await asyncio.to_thread(broker.kill)
