"""Name servers: what they are told and when, and that none of them, however it fails, stops the broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from rocket_testing.broker_talk import DEADLINE, BrokerTalk
from rocket_testing.cluster import Broker, Cluster, Namesrv, OurServers, answers_ready
from rocket_testing.ports import free_port
from rocket_testing.waiting import eventually
from rocket_wire.bodies.route import ClusterInfo, TopicRouteData
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.headers.routes import GetRouteinfoByTopic
from rocket_wire.headers.topics import DeleteTopicInBroker, GetTopicConfig, UpdateAndCreateTopic

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Listen = Callable[[Talk], Awaitable[str]]


async def brokers(namesrv: Namesrv) -> dict[int, str]:
    """Addresses of broker-a by id, as this name server tells them."""
    async with BrokerTalk(namesrv.address) as talk:
        answer = await talk.must(RequestCode.GET_BROKER_CLUSTER_INFO)
    known = ClusterInfo.decode(answer.body).broker_addr_table.get("broker-a")
    return dict(known.broker_addrs) if known is not None else {}


async def knows(namesrv: Namesrv, topic: str) -> bool:
    async with BrokerTalk(namesrv.address) as talk:
        answer = await talk.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, GetRouteinfoByTopic(topic, True))
    return answer.code == 0 and bool(TopicRouteData.decode(answer.body).queue_datas)


async def create(broker: Broker, topic: str) -> None:
    async with BrokerTalk(broker.address) as talk:
        header = UpdateAndCreateTopic(topic, "TBW102", 4, 4, 6, "SINGLE_TAG")
        await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, header)


async def is_served(broker: Broker) -> bool:
    """Whether the broker takes a message."""
    async with BrokerTalk(broker.address) as talk:
        sent = await talk.send("T")
    return sent.code == 0


@pytest.fixture
async def stranger() -> AsyncIterator[Listen]:
    """`await stranger(talk)` listens where a name server should, and talks like that; returns its address."""
    servers: list[asyncio.Server] = []
    talks: set[asyncio.Task[None]] = set()

    async def listen(talk: Talk) -> str:
        async def until_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(talk(reader, writer))
            talks.add(task)
            await asyncio.wait([task])
            writer.close()

        servers.append(await asyncio.start_server(until_the_end, "127.0.0.1", 0))
        return f"127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}"

    yield listen
    for server in servers:
        server.close()
    for task in talks:
        task.cancel()
    await asyncio.gather(*talks, return_exceptions=True)
    await asyncio.sleep(0)


async def launched(tmp_path: Path, namesrv: str) -> Broker:
    """A broker that serves, whatever its name servers do."""
    broker = OurServers().broker(tmp_path, namesrv)
    await asyncio.to_thread(broker.launch)
    await eventually(lambda: "boot success" in broker.run_log(), DEADLINE)
    return broker


async def test_every_name_server_is_told(cluster: Cluster) -> None:
    for _ in range(2):
        await asyncio.to_thread(cluster.add_namesrv)
    broker = await asyncio.to_thread(cluster.add_broker)
    await create(broker, "New")
    for namesrv in cluster.namesrvs:
        assert await brokers(namesrv) == {0: broker.address}
        assert await knows(namesrv, "New")
        assert await knows(namesrv, "TBW102")


async def test_a_topic_made_by_a_send_is_told_at_once(cluster: Cluster) -> None:
    namesrv = await asyncio.to_thread(cluster.add_namesrv)
    broker = await asyncio.to_thread(cluster.add_broker)
    assert await is_served(broker)

    async def is_known() -> bool:
        return await knows(namesrv, "T")

    await eventually(is_known, DEADLINE)


async def test_a_broker_that_stops_leaves_the_name_servers_at_once(cluster: Cluster) -> None:
    namesrv = await asyncio.to_thread(cluster.add_namesrv)
    broker = await asyncio.to_thread(cluster.add_broker)
    await asyncio.to_thread(broker.stop)
    assert await brokers(namesrv) == {}


async def test_a_name_server_that_comes_back_is_told_everything(cluster: Cluster) -> None:
    """It keeps nothing over a restart."""
    namesrv = await asyncio.to_thread(cluster.add_namesrv)
    broker = await asyncio.to_thread(cluster.add_broker)
    await create(broker, "Before")
    await asyncio.to_thread(namesrv.kill)
    await asyncio.to_thread(namesrv.start)

    async def is_known() -> bool:
        return await knows(namesrv, "Before")

    await eventually(is_known, DEADLINE)
    assert await brokers(namesrv) == {0: broker.address}


async def test_a_broker_starts_without_its_name_servers_and_finds_them_later(cluster: Cluster, tmp_path: Path) -> None:
    port = free_port()
    broker = await launched(tmp_path / "early", f"127.0.0.1:{port}")
    cluster.brokers.append(broker)
    assert await is_served(broker)
    assert not await asyncio.to_thread(answers_ready, broker.http_port)
    namesrv = await asyncio.to_thread(lambda: cluster.add_namesrv(listenPort=str(port)))
    await asyncio.to_thread(broker.wait_ready)
    assert await brokers(namesrv) == {0: broker.address}
    complaints = [line for line in broker.run_log().splitlines() if "does not know this broker" in line]
    assert len(complaints) == 1


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Reads, and says nothing, ever."""
    while await reader.read(65536):
        pass


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"\xff" * 100)


async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def another_protocol(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def strange_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every frame with a header that is none."""
    header = b'{"code":0,"flag":1,"opaque":1,"extFields":{"masterAddr":5,"haServerAddr":[]}}'
    while content := await reader.read(65536):
        assert content
        writer.write((4 + len(header)).to_bytes(4, "big") + len(header).to_bytes(4, "big") + header)


async def test_name_servers_that_are_none_keep_no_other_waiting(
    cluster: Cluster, tmp_path: Path, stranger: Listen
) -> None:
    bad = [await stranger(talk) for talk in (silent, garbage, hangs_up, another_protocol, strange_answers)]
    good = await asyncio.to_thread(cluster.add_namesrv)
    broker = await launched(tmp_path / "bothered", ";".join([*bad, good.address]))
    cluster.brokers.append(broker)

    async def is_known() -> bool:
        return await brokers(good) == {0: broker.address}

    await eventually(is_known, DEADLINE)
    assert await is_served(broker)
    await asyncio.wait_for(create(broker, "New"), DEADLINE)
    assert await knows(good, "New")
    complaints = [line for line in broker.run_log().splitlines() if "does not know this broker" in line]
    assert [address for address in bad if len([line for line in complaints if address in line]) > 1] == []
    assert "Traceback" not in broker.run_log()
    await asyncio.wait_for(asyncio.to_thread(broker.stop), DEADLINE)
    assert await brokers(good) == {}


async def test_an_address_that_is_none_is_said_and_stops_nothing(cluster: Cluster, tmp_path: Path) -> None:
    broker = await launched(tmp_path / "lost", "nonsense;no-such-host.invalid:9876")
    cluster.brokers.append(broker)
    assert await is_served(broker)
    await eventually(lambda: "'nonsense' is no address" in broker.run_log(), DEADLINE)


async def test_name_servers_may_change_while_the_broker_runs(cluster: Cluster) -> None:
    broker = await asyncio.to_thread(cluster.add_broker)
    namesrv = await asyncio.to_thread(cluster.add_namesrv)
    assert await brokers(namesrv) == {}
    async with BrokerTalk(broker.address) as talk:
        await talk.must(RequestCode.UPDATE_BROKER_CONFIG, None, f"namesrvAddr={namesrv.address}".encode())

        async def is_known() -> bool:
            return await brokers(namesrv) == {0: broker.address}

        await eventually(is_known, DEADLINE)


async def test_a_deleted_topic_is_not_registered_again(cluster: Cluster) -> None:
    namesrv = await asyncio.to_thread(cluster.add_namesrv)
    broker = await asyncio.to_thread(cluster.add_broker)
    await create(broker, "Doomed")
    async with BrokerTalk(broker.address) as talk:
        await talk.must(RequestCode.DELETE_TOPIC_IN_BROKER, DeleteTopicInBroker("Doomed"))
    await asyncio.to_thread(namesrv.restart)

    async def is_back() -> bool:
        return await brokers(namesrv) == {0: broker.address}

    await eventually(is_back, DEADLINE)
    assert not await knows(namesrv, "Doomed")
    assert (await ask_topic(broker, "Doomed")) == ResponseCode.TOPIC_NOT_EXIST


async def ask_topic(broker: Broker, topic: str) -> int:
    async with BrokerTalk(broker.address) as talk:
        answer = await talk.ask(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))
    return answer.code
