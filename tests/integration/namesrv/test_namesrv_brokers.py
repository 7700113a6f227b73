"""Brokers come and go over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from rocket_namesrv.server import NameServer
from rocket_net.client import Client
from rocket_testing.clock import Clock
from rocket_testing.peer import Peer
from rocket_wire.bodies.registration import RegisterBrokerBody
from rocket_wire.bodies.route import TopicRouteData
from rocket_wire.bodies.topics import TopicConfig, TopicConfigAndMappingSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command, request
from rocket_wire.headers.routes import (
    BrokerHeartbeat,
    GetRouteinfoByTopic,
    RegisterBroker,
    RegisterBrokerAnswer,
    UnregisterBroker,
)

DEADLINE = 10.0


def registration(address: str = "10.0.0.1:10911", broker_id: int = 0, **fields: Any) -> Command:
    header = RegisterBroker("broker-a", address, "C", "10.0.0.1:10912", broker_id, **fields)
    topics = {name: TopicConfig(name, 4, 4) for name in ("T", "TBW102")}
    body = RegisterBrokerBody(TopicConfigAndMappingSerializeWrapper(topics, DataVersion(0, 0, 1)))
    return request(RequestCode.REGISTER_BROKER, header, body.encode())


def route_request(topic: str = "T") -> Command:
    return request(RequestCode.GET_ROUTEINFO_BY_TOPIC, GetRouteinfoByTopic(topic))


def address_of(server: NameServer) -> str:
    return f"127.0.0.1:{server.port}"


async def addresses(client: Client, server: NameServer) -> dict[int, str]:
    """The brokers of topic T by id; empty if it has no route."""
    answer = await client.call(address_of(server), route_request())
    if answer.code == ResponseCode.TOPIC_NOT_EXIST:
        return {}
    answer.raise_for_code()
    return dict(TopicRouteData.decode(answer.body).broker_datas[0].broker_addrs)


async def until(condition: Callable[[], Any], expected: object) -> None:
    """Asks again until the answer is the expected one."""
    async with asyncio.timeout(DEADLINE):
        while True:
            if await condition() == expected:
                return
            await asyncio.sleep(0.01)


@pytest.fixture
async def namesrv(start_namesrv: Any) -> NameServer:
    server: NameServer = await start_namesrv()
    return server


async def test_a_broker_that_closes_its_connection_is_gone_at_once(namesrv: NameServer, client: Client) -> None:
    broker = Client()
    (await broker.call(address_of(namesrv), registration())).raise_for_code()
    assert await addresses(client, namesrv) == {0: "10.0.0.1:10911"}
    await broker.close()
    await until(lambda: addresses(client, namesrv), {})


async def test_a_broker_that_reconnected_survives_the_end_of_its_old_connection(
    namesrv: NameServer, client: Client
) -> None:
    old, new = Client(), Client()
    (await old.call(address_of(namesrv), registration())).raise_for_code()
    (await new.call(address_of(namesrv), registration())).raise_for_code()
    slave = registration("10.0.0.2:10911", 1)
    (await old.call(address_of(namesrv), slave)).raise_for_code()
    await old.close()
    await until(lambda: addresses(client, namesrv), {0: "10.0.0.1:10911"})
    await new.close()


async def test_a_silent_broker_is_dropped_and_its_connection_closed(
    namesrv: NameServer, client: Client, clock: Clock
) -> None:
    broker = await Peer.connect(namesrv.port)
    await broker.send(registration(heartbeat_timeout_millis=30_000))
    assert (await broker.receive()).code == ResponseCode.SUCCESS
    clock.advance(20)
    heartbeat = BrokerHeartbeat("C", "10.0.0.1:10911", "broker-a", 0)
    (await client.call(address_of(namesrv), request(RequestCode.BROKER_HEARTBEAT, heartbeat))).raise_for_code()
    clock.advance(20)
    namesrv.expire_silent_brokers()
    assert await addresses(client, namesrv) == {0: "10.0.0.1:10911"}
    clock.advance(11)
    namesrv.expire_silent_brokers()
    assert await addresses(client, namesrv) == {}
    with pytest.raises(ConnectionError):
        await broker.receive()
    broker.close()


async def test_silence_is_looked_for_again_and_again(start_namesrv: Any, client: Client, clock: Clock) -> None:
    namesrv = await start_namesrv(scan_not_active_broker_interval=10)
    witness = Client()
    for _ in range(2):
        (await client.call(address_of(namesrv), registration(heartbeat_timeout_millis=1000))).raise_for_code()
        lost = client.open_connection(address_of(namesrv))
        clock.advance(2)
        await until(lambda: addresses(witness, namesrv), {})
        async with asyncio.timeout(DEADLINE):
            while lost is not None and lost.is_open:
                await witness.call(address_of(namesrv), route_request())
    await witness.close()


async def test_a_slave_is_told_where_its_master_is(namesrv: NameServer, client: Client) -> None:
    await client.call(address_of(namesrv), registration())
    answer = await client.call(address_of(namesrv), registration("10.0.0.2:10911", 1))
    assert answer.header(RegisterBrokerAnswer) == RegisterBrokerAnswer("10.0.0.1:10912", "10.0.0.1:10911")


async def test_a_broker_that_leaves_is_gone(namesrv: NameServer, client: Client) -> None:
    await client.call(address_of(namesrv), registration())
    header = UnregisterBroker("broker-a", "10.0.0.1:10911", "C", 0)
    (await client.call(address_of(namesrv), request(RequestCode.UNREGISTER_BROKER, header))).raise_for_code()
    assert await addresses(client, namesrv) == {}


async def test_two_name_servers_know_only_what_each_was_told(start_namesrv: Any, client: Client) -> None:
    first, second = await start_namesrv("one"), await start_namesrv("two")
    await client.call(address_of(first), registration())
    assert await addresses(client, first) == {0: "10.0.0.1:10911"}
    assert await addresses(client, second) == {}
    await client.call(address_of(second), registration())
    await first.stop()
    assert await addresses(client, second) == {0: "10.0.0.1:10911"}


async def test_no_route_is_told_before_brokers_had_time_to_register(
    start_namesrv: Any, client: Client, clock: Clock
) -> None:
    namesrv = await start_namesrv(need_wait_for_service=True, wait_seconds_for_service=45)
    (await client.call(address_of(namesrv), registration())).raise_for_code()
    refused = await client.call(address_of(namesrv), route_request())
    assert (refused.code, refused.remark) == (ResponseCode.SYSTEM_ERROR, "name server not ready")
    clock.advance(45)
    assert await addresses(client, namesrv) == {0: "10.0.0.1:10911"}


async def test_a_client_of_one_zone_gets_its_zone(namesrv: NameServer, client: Client) -> None:
    near = registration()
    assert near.ext is not None
    near.ext["__ZONE_NAME"] = "z1"
    await client.call(address_of(namesrv), near)
    for zone, groups in (("z1", 1), ("z2", 0)):
        asked = route_request()
        assert asked.ext is not None
        asked.ext |= {"__ZONE_MODE": "true", "__ZONE_NAME": zone}
        answer = await client.call(address_of(namesrv), asked)
        assert len(TopicRouteData.decode(answer.body).broker_datas) == groups
