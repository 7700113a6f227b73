"""The chart as helm makes it, held against a real API server that checks it and stores nothing."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import yaml

from rocket_operator.objects import monitoring
from rocket_testing.alerts import NAMESPACE, chart, cluster
from rocket_testing.e2e.kubernetes import KINDS, CommandFailed, Kubernetes

pytestmark = [pytest.mark.chart, pytest.mark.timeout(240)]

CHART = Path(__file__).resolve().parents[3] / "charts" / "rocketcluster"
SWITCHES = (
    "replicas=2", "watchNamespaces={shop,billing}", "cluster.create=true", "monitoring.dashboard.enabled=true",
    "userRoles.create=false",
)  # fmt: skip


def combinations() -> list[tuple[str, ...]]:
    return [chosen for size in range(len(SWITCHES) + 1) for chosen in itertools.combinations(SWITCHES, size)]


def render(kubernetes: Kubernetes, *values: str) -> str:
    options = [word for value in values for word in ("--set", value)]
    return kubernetes.helm("template", "demo", str(CHART), "--namespace", "default", *options)


def test_helm_finds_no_fault(api_server: Kubernetes) -> None:
    assert "0 chart(s) failed" in api_server.helm("lint", "--strict", str(CHART))


@pytest.mark.parametrize("values", combinations(), ids=lambda chosen: ",".join(chosen) or "plain")
def test_the_api_server_takes_every_combination(api_server: Kubernetes, values: tuple[str, ...]) -> None:
    documents = [each for each in yaml.safe_load_all(render(api_server, *values)) if each]
    for namespace in ("shop", "billing"):
        api_server.run("sh", "-c", f"kubectl create namespace {namespace} 2>/dev/null || true")
    text = "---\n".join(yaml.safe_dump(each) for each in documents)
    api_server.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", text=text)


@pytest.mark.parametrize("value", ["replicas=0", "image.pullPolicy=Sometimes", "cluster.name=Big", "no.such=1"])
def test_a_value_that_cannot_be_is_refused_by_its_path(api_server: Kubernetes, value: str) -> None:
    with pytest.raises(CommandFailed, match=value.partition("=")[0].split(".")[-1].split("{")[0] + "|additional"):
        render(api_server, value)


def test_confined_to_namespaces_nothing_is_granted_beyond_them(api_server: Kubernetes) -> None:
    documents = list(yaml.safe_load_all(render(api_server, "watchNamespaces={shop,billing}", "userRoles.create=false")))
    kinds = [each["kind"] for each in documents if each]
    assert "ClusterRole" not in kinds
    assert "ClusterRoleBinding" not in kinds
    places = {each["metadata"]["namespace"] for each in documents if each and each["kind"] == "Role"}
    assert places == {"shop", "billing", "default"}


def test_the_kinds_stay_when_the_release_goes(api_server: Kubernetes) -> None:
    kinds = [
        each for each in yaml.safe_load_all(render(api_server)) if each and each["kind"] == "CustomResourceDefinition"
    ]
    assert len(kinds) == 3
    assert {each["metadata"]["annotations"]["helm.sh/resource-policy"] for each in kinds} == {"keep"}


def test_the_prometheus_operator_takes_what_is_made_for_it(api_server: Kubernetes) -> None:
    """Its kinds are much too large for kubectl's annotation of what was applied last."""
    files = sorted(KINDS.glob("monitoring.coreos.com_*.yaml"))
    assert len(files) == 3
    for file in files:
        api_server.kubectl("apply", "--server-side", "-f", str(file))
    for name in ("podmonitors", "servicemonitors", "prometheusrules"):
        api_server.kubectl("wait", f"crd/{name}.monitoring.coreos.com", "--for=condition=Established", "--timeout=30s")
    made = [monitoring.pod_monitor(cluster()), monitoring.prometheus_rule(cluster())]
    text = "---\n".join(yaml.safe_dump(each) for each in (*chart(), *made))
    for namespace in {each["metadata"]["namespace"] for each in chart()} | {NAMESPACE}:
        api_server.run("sh", "-c", f"kubectl create namespace {namespace} 2>/dev/null || true")
    api_server.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", text=text)
