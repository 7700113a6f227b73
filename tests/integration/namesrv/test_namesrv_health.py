"""What Prometheus and Kubernetes see of a name server."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from rocket_namesrv.server import NameServer
from rocket_net.client import Client
from rocket_net.server import AddressInUse
from rocket_testing.clock import Clock
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command, request
from rocket_wire.headers.routes import GetRouteinfoByTopic, RegisterBroker


async def get(namesrv: NameServer, path: str, **headers: str) -> tuple[int, str]:
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"http://127.0.0.1:{namesrv.http_port}{path}", headers=headers) as response,
    ):
        return response.status, await response.text()


def registration() -> Command:
    return request(RequestCode.REGISTER_BROKER, RegisterBroker("broker-a", "h:1", "C", "h:2", 0))


async def test_a_name_server_that_listens_is_alive_and_ready(start_namesrv: Any, client: Client) -> None:
    namesrv = await start_namesrv()
    assert await get(namesrv, "/healthz") == (200, "ok\n")
    assert await get(namesrv, "/readyz") == (200, "ready, brokers registered: 0\n")
    await client.call(f"127.0.0.1:{namesrv.port}", registration())
    assert await get(namesrv, "/readyz") == (200, "ready, brokers registered: 1\n")


async def test_a_name_server_that_waits_for_brokers_is_alive_and_not_ready(start_namesrv: Any, clock: Clock) -> None:
    namesrv = await start_namesrv(need_wait_for_service=True, wait_seconds_for_service=30)
    assert (await get(namesrv, "/healthz"))[0] == 200
    status, reason = await get(namesrv, "/readyz")
    assert (status, "30 s more" in reason) == (503, True)
    clock.advance(30)
    assert (await get(namesrv, "/readyz"))[0] == 200


async def test_a_name_server_is_ready_once_every_expected_broker_has_registered(
    start_namesrv: Any, client: Client
) -> None:
    namesrv = await start_namesrv(expected_brokers="broker-a;broker-b")
    assert await get(namesrv, "/readyz") == (503, "waiting for broker-a, broker-b to register (expectedBrokers)\n")
    await client.call(f"127.0.0.1:{namesrv.port}", registration())
    assert await get(namesrv, "/readyz") == (503, "waiting for broker-b to register (expectedBrokers)\n")
    slave = RegisterBroker("broker-b", "h:3", "C", "h:4", 1)
    await client.call(f"127.0.0.1:{namesrv.port}", request(RequestCode.REGISTER_BROKER, slave))
    assert (await get(namesrv, "/readyz"))[0] == 503, "a slave tells of no topic"
    master = RegisterBroker("broker-b", "h:5", "C", "h:6", 0)
    await client.call(f"127.0.0.1:{namesrv.port}", request(RequestCode.REGISTER_BROKER, master))
    assert await get(namesrv, "/readyz") == (200, "ready, brokers registered: 3\n")


async def test_a_name_server_does_not_wait_for_ever_for_an_expected_broker(start_namesrv: Any, clock: Clock) -> None:
    namesrv = await start_namesrv(expected_brokers="broker-a", wait_seconds_for_service=30)
    assert (await get(namesrv, "/readyz"))[0] == 503
    clock.advance(30)
    assert (await get(namesrv, "/readyz"))[0] == 200


async def test_metrics_tell_brokers_topics_registrations_and_route_requests(start_namesrv: Any, client: Client) -> None:
    namesrv = await start_namesrv()
    address = f"127.0.0.1:{namesrv.port}"
    await client.call(address, registration())
    await client.call(address, request(RequestCode.GET_ROUTEINFO_BY_TOPIC, GetRouteinfoByTopic("T")))
    _, text = await get(namesrv, "/metrics")
    for line in (
        'rocketmq_namesrv_brokers{cluster="C"} 1.0',
        "rocketmq_namesrv_topics 0.0",
        "rocketmq_namesrv_connections 1.0",
        'rocketmq_namesrv_registrations_total{result="accepted"} 1.0',
        'rocketmq_namesrv_route_requests_total{result="missing"} 1.0',
        'rocketmq_namesrv_route_requests_total{result="found"} 0.0',
    ):
        assert line in text


async def test_metrics_come_in_the_format_that_is_asked_for(start_namesrv: Any) -> None:
    namesrv = await start_namesrv()
    _, text = await get(namesrv, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")


async def test_the_loop_delay_is_measured(start_namesrv: Any) -> None:
    namesrv = await start_namesrv()
    async with asyncio.timeout(10):
        while True:
            _, text = await get(namesrv, "/metrics")
            if "rocketmq_event_loop_delay_seconds_count 0.0" not in text:
                return
            await asyncio.sleep(0.05)


async def test_a_metrics_port_that_was_chosen_and_is_taken_stops_the_start(start_namesrv: Any) -> None:
    first = await start_namesrv("one")
    with pytest.raises(AddressInUse, match="metricsPromExporterPort"):
        await start_namesrv("two", given={"metricsPromExporterPort"}, metrics_prom_exporter_port=first.http_port)


async def test_a_metrics_port_that_nobody_chose_and_is_taken_is_replaced(start_namesrv: Any) -> None:
    first = await start_namesrv("one")
    second = await start_namesrv("two", metrics_prom_exporter_port=first.http_port)
    assert second.http_port != first.http_port
    assert (await get(second, "/healthz"))[0] == 200


async def test_a_port_in_use_leaves_the_metrics_port_free(start_namesrv: Any, tmp_path: Any) -> None:
    first = await start_namesrv("one")
    await first.stop()
    blocker = await start_namesrv("two", listen_port=first.port)
    with pytest.raises(AddressInUse, match=str(first.port)):
        await start_namesrv(
            "three", listen_port=blocker.port, given={"metricsPromExporterPort"},
            metrics_prom_exporter_port=first.http_port,
        )  # fmt: skip
    again = await start_namesrv("four", given={"metricsPromExporterPort"}, metrics_prom_exporter_port=first.http_port)
    assert again.http_port == first.http_port
