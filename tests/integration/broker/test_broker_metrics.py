"""A broker as its operators see it: metrics under Apache's names, health, readiness."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rocket_testing.broker_talk import BrokerTalk
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.waiting import eventually
from rocket_wire.codes import RequestCode
from rocket_wire.headers.offsets import GetMaxOffset

NAMES = {
    "rocketmq_messages_in", "rocketmq_throughput_in", "rocketmq_messages_out", "rocketmq_throughput_out",
    "rocketmq_put_latency_seconds", "rocketmq_consumer_lag_messages", "rocketmq_storage_size_bytes",
    "rocketmq_storage_flush_behind_bytes", "rocketmq_connections", "rocketmq_topic_number", "rocketmq_disk_free_bytes",
    "rocketmq_consumer_group_number", "rocketmq_producer_connections", "rocketmq_consumer_connections",
    "rocketmq_broker_permission", "rocketmq_event_loop_delay_seconds", "rocketmq_slave_behind_bytes",
}  # fmt: skip


def read(broker: Broker, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}{path}", timeout=10) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def metrics(broker: Broker) -> dict[tuple[str, str | None], float]:
    """Samples by name and topic."""
    status, text = await asyncio.to_thread(read, broker, "/metrics")
    assert status == 200
    families = list(text_string_to_metric_families(text))
    assert {family.name for family in families} >= NAMES
    return {(sample.name, sample.labels.get("topic")): sample.value for one in families for sample in one.samples}


async def test_what_goes_in_and_out_is_measured_by_topic(
    broker: Broker, talk: BrokerTalk, topic: str, group: str
) -> None:
    for _ in range(5):
        await talk.send(topic)
    await talk.pull(topic, 0, 0, group=group, max_messages=3)
    await talk.beat(group, topic)
    await talk.commit(group, topic, 0, 3)
    found = await metrics(broker)
    assert found["rocketmq_messages_in_total", topic] == 5
    assert found["rocketmq_messages_out_total", topic] == 3
    assert found["rocketmq_throughput_in_total", topic] > found["rocketmq_throughput_out_total", topic] > 3 * 88
    assert found["rocketmq_consumer_lag_messages", topic] == 2
    assert found["rocketmq_put_latency_seconds_count", None] >= 5
    assert found["rocketmq_connections", None] >= 1


async def test_pulls_that_wait_are_measured(broker: Broker, talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic)
    pulling = asyncio.ensure_future(talk.pull(topic, 0, 1, suspend_ms=60_000))
    await talk.must(RequestCode.GET_MAX_OFFSET, GetMaxOffset(topic, 0))
    assert (await metrics(broker))["rocketmq_held_pulls", None] >= 1
    await talk.send(topic)
    await pulling


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/elsewhere", 404)])
async def test_health_and_readiness_are_told(broker: Broker, path: str, status: int) -> None:
    assert (await asyncio.to_thread(read, broker, path))[0] == status


async def test_a_broker_without_its_name_server_is_healthy_and_not_ready(cluster: Cluster) -> None:
    namesrv = await asyncio.to_thread(cluster.add_namesrv)
    broker = await asyncio.to_thread(cluster.add_broker)
    await asyncio.to_thread(namesrv.kill)

    async def is_not_ready() -> bool:
        return await asyncio.to_thread(read, broker, "/readyz") == (503, "no name server knows this broker yet\n")

    await eventually(is_not_ready)
    assert (await asyncio.to_thread(read, broker, "/healthz"))[0] == 200
