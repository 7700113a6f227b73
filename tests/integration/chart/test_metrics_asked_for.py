"""Alerts and dashboard ask for what real processes tell: a name server, a master and its slave, and the operator.

Their metrics get the labels that the monitors give them, as Prometheus would store them. Then every selector of an
alert must find something, and every query of the dashboard must have an answer.
"""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from rocket_client import Message, Producer, PushConsumer
from rocket_operator.objects import monitoring
from rocket_operator.rollout.view import Blocker
from rocket_testing.alerts import CHART, NAMESPACE, OPERATORS_NAMESPACE, alerts, cluster, promtool, selectors
from rocket_testing.cluster import Cluster
from rocket_testing.fake_brokers import FakeBrokers
from rocket_testing.kubernetes import Kubernetes
from rocket_testing.ports import free_port
from rocket_testing.waiting import eventually
from rocket_testing.whole_operator import SETTINGS, get, running, write_kubeconfig

ALERTS = alerts()
DASHBOARD = json.loads((CHART / "dashboards" / "rocketcluster.json").read_text())
#: A healthy cluster has others; that these exist at all is compared with the source elsewhere.
VALUES_OF_THE_MOMENT = ("type", "status", "state", "reason")


class Sample(NamedTuple):
    metric: str
    labels: Mapping[str, str]
    value: float

    def written(self) -> str:
        return self.metric + "{" + ", ".join(f"{name}={json.dumps(value)}" for name, value in self.labels.items()) + "}"


class Scraped(NamedTuple):
    """One process: what it told, and the labels that its target has."""

    told: list[Sample]
    target: Mapping[str, str]

    def stored(self) -> Iterator[Sample]:
        """As Prometheus stores it where labels are honoured; the others must not meet (a test says so)."""
        for sample in self.told:
            yield Sample(sample.metric, {**self.target, **sample.labels}, sample.value)
        yield Sample("up", self.target, 1)


def read(text: str) -> list[Sample]:
    families = text_string_to_metric_families(text)
    return [Sample(each.name, each.labels, each.value) for family in families for each in family.samples]


def http(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def pod_target(pod: str, role: str) -> dict[str, str]:
    """What the PodMonitor and Prometheus itself put on each series of a pod."""
    own = {"rocketcluster.dev/cluster": "orders", "rocketcluster.dev/group": "0", "rocketcluster.dev/role": role}
    chosen = monitoring.pod_monitor(cluster())["spec"]["podTargetLabels"]
    ours = {re.sub(r"[^a-zA-Z0-9_]", "_", label): own[label] for label in chosen}
    prometheus = {"job": "shop/orders", "instance": f"{pod}:5557", "container": "broker", "endpoint": "http"}
    return {"namespace": NAMESPACE, "pod": pod} | prometheus | ours


async def use(namesrv: str) -> None:
    """Two messages, one of them consumed."""
    async with Producer(namesrv, group="shop") as producer:
        await producer.send(Message("pay", "one"))
        await producer.send(Message("pay", "two"))
    async with PushConsumer(namesrv, group="settle") as consumer:
        await consumer.subscribe("pay")
        async for _ in consumer:
            break


async def scrape_cluster(folder: Path) -> list[Scraped]:
    with Cluster(folder) as servers:
        port = free_port()
        servers.add_namesrv(metricsPromExporterPort=str(port))
        master = servers.add_broker(brokerName="orders-broker-0")
        slave = servers.add_broker(brokerName="orders-broker-0", brokerId="1", brokerRole="SLAVE")
        await use(servers.namesrv)

        def follows() -> bool:
            return "rocketmq_slave_behind_bytes{" in http(master.http_port) and "settle" in http(master.http_port)

        await eventually(follows)
        return [
            Scraped(read(http(port)), pod_target("orders-namesrv-7d9c-abcde", "")),
            Scraped(read(http(master.http_port)), pod_target("orders-broker-0-0", "master")),
            Scraped(read(http(slave.http_port)), pod_target("orders-broker-0-1", "slave")),
        ]


async def scrape_operator(folder: Path) -> Scraped:
    """While it drains a group."""
    namespace, name = "default", "orders"
    with pytest.MonkeyPatch.context() as patch:
        async with Kubernetes() as kubernetes:
            write_kubeconfig(kubernetes, folder / "kubeconfig")
            patch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
            brokers = FakeBrokers(kubernetes.store, kubernetes.faults)
            manifest = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster"}
            metadata = {"metadata": {"name": name, "namespace": namespace}}
            kubernetes.store.create({**manifest, **metadata, "spec": {"broker": {"groups": 2}}})
            async with running(kubernetes, replace(SETTINGS, resync=0.3), brokers) as operator:

                async def tells(line: str) -> bool:
                    return operator.http_port != 0 and line in (await get(operator, "/metrics"))[1]

                await eventually(
                    lambda: tells('rocket_cluster_groups{name="orders",namespace="default",state="Active"} 2')
                )
                brokers.groups[1].backlog = (Blocker("pay", "settle", 7),)
                kubernetes.store.patch(("RocketCluster", namespace, name), {"spec": {"broker": {"groups": 1}}})
                await eventually(lambda: tells("rocket_cluster_drain_remaining_messages{"))
                told = read((await get(operator, "/metrics"))[1])
    target = {
        "namespace": OPERATORS_NAMESPACE, "service": "rocketcluster-metrics", "pod": "rocketcluster-5f-abcde",
        "job": "rocketcluster-metrics", "instance": "10.0.0.1:8080", "container": "operator", "endpoint": "http",
    }  # fmt: skip
    return Scraped(told, target)


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> list[Scraped]:
    return asyncio.run(scrape_cluster(tmp_path_factory.mktemp("servers")))


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Scraped:
    return asyncio.run(scrape_operator(tmp_path_factory.mktemp("operator")))


@pytest.fixture(scope="module")
def stored(pods: list[Scraped], operator: Scraped) -> list[Sample]:
    return [sample for one in (*pods, operator) for sample in one.stored()]


def test_no_label_of_a_metric_meets_one_that_prometheus_sets(pods: list[Scraped], operator: Scraped) -> None:
    def meeting(one: Scraped) -> set[str]:
        return {label for sample in one.told for label in sample.labels.keys() & one.target.keys()}

    assert [meeting(one) for one in pods] == [set()] * 3
    assert meeting(operator) == {"namespace"}  # the cluster's: that is what honorLabels is for


def test_alerts_ask_for_what_is_told(stored: list[Sample]) -> None:
    assert {alert: lacks for alert, rule in ALERTS.items() if (lacks := lacking(rule, stored))} == {}


def lacking(rule: dict[str, Any], stored: list[Sample]) -> list[object]:
    """Selectors of an alert that find nothing, and labels of it that nothing has."""
    asked = [each.without_values_of(*VALUES_OF_THE_MOMENT) for each in selectors(rule["expr"])]
    assert asked
    found = [[sample for sample in stored if each.matches(sample.metric, sample.labels)] for each in asked]
    aggregated = re.findall(r"\b(?:by|on) \(([^)]*)\)", rule["expr"])
    named = {label.strip() for labels in aggregated for label in labels.split(",") if label.strip()}
    named |= set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    there = {label for samples in found for sample in samples for label in sample.labels}
    return [*(each for each, samples in zip(asked, found, strict=True) if not samples), *(named - there)]


def test_the_dashboards_variables_offer_what_is_told(stored: list[Sample]) -> None:
    queries = [each["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
    assert len(queries) == 2
    for query in queries:
        ((metric, label),) = re.findall(r"^label_values\((\w+)(?:\{.*\})?, (\w+)\)$", query)
        assert any(sample.metric == metric and sample.labels.get(label) for sample in stored)


@pytest.mark.chart
def test_every_panel_of_the_dashboard_shows_something_and_its_legend_names_it(
    built: None, stored: list[Sample], tmp_path: Path
) -> None:
    """With every namespace and every cluster chosen."""
    targets = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
    checks = []
    for target in targets:
        query = re.sub(r"\$(namespace|cluster)\b", ".+", target["expr"])
        labels = re.findall(r"\{\{ *(\w+) *\}\}", target["legendFormat"])
        assert labels
        for label in labels:  # vector(1) has no label, so it takes away what lacks this one
            shown = f"count(({query}) unless on ({label}) vector(1)) > bool 0"
            checks.append({"expr": shown, "eval_time": "10m", "exp_samples": [{"labels": "{}", "value": 1}]})
    series = [{"series": each.written(), "values": f"{each.value:f}x20"} for each in stored]
    test = {"interval": "30s", "input_series": series, "promql_expr_test": checks}
    (tmp_path / "dashboard.yaml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    promtool("test", "rules", "dashboard.yaml", folder=tmp_path)


@pytest.mark.chart
@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: str(panel["title"]))
def test_prometheus_takes_the_queries_of_a_panel(built: None, tmp_path: Path, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        promtool("--experimental", "promql", "format", target["expr"], folder=tmp_path)
