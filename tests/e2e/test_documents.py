"""What README, examples and schema promise, tried word by word."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from rocket_testing.e2e import images
from rocket_testing.e2e.cluster import cluster
from rocket_testing.e2e.images import PROJECT
from rocket_testing.e2e.kubernetes import CommandFailed, Kubernetes
from rocket_testing.e2e.operator import Operator

EXAMPLES = sorted(PROJECT.glob("examples/**/*.yaml"))


def readme_commands() -> list[str]:
    """The kubectl and helm commands of README's chapter on Kubernetes, in order."""
    chapter = (PROJECT / "README.md").read_text().partition("## On Kubernetes")[2].partition("\n## ")[0]
    lines = [line.strip() for line in chapter.splitlines() if line.startswith("    ")]
    return [line for line in lines if line.startswith(("kubectl ", "helm "))]


def test_the_commands_of_the_readme_do_what_it_says(kubernetes: Kubernetes, operator: Operator) -> None:
    commands = readme_commands()
    assert len(commands) >= 9
    for name in images.NAMES:
        image = f"{images.PREFIX}/rocket-{name}"
        kubernetes.container_runtime("images", "tag", "--force", f"{image}:{images.tag()}", f"{image}:0.1.0")
    operator.uninstall()
    try:
        for command in commands:
            environment = f"cd {shlex.quote(str(PROJECT))}; export IMAGE_PREFIX={images.PREFIX}"
            kubernetes.run("sh", "-c", f"{environment}; {command}")
        assert kubernetes.get("default", "rkt", "quickstart") is None
    finally:
        operator.install()
        kubernetes.kubectl("delete", "pvc", "-n", "default", "--all", "--wait=false")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_each_example_comes_to_rest(kubernetes: Kubernetes, namespace: str, file: Path) -> None:
    if file.name == "topics.yaml":
        kubernetes.kubectl("apply", "-n", namespace, "-f", str(PROJECT / "examples" / "kubernetes" / "orders.yaml"))
    kubernetes.kubectl("apply", "-n", namespace, "--validate=strict", "-f", str(file))
    for document in yaml.safe_load_all(file.read_text()):
        condition = "Stable" if document["kind"] == "RocketCluster" else "Ready"
        kubernetes.wait(namespace, f"{document['kind']}/{document['metadata']['name']}", condition, 120)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"broker": {"groups": 0}}, "spec.broker.groups"),
    ({"broker": {"slavesPerGroup": 0, "replication": {"mode": "Sync"}}}, "replication.mode Sync needs slavesPerGroup"),
    ({"broker": {"config": {"brokerId": "1"}}}, "the cluster sets this key itself"),
    ({"broker": {"config": {"flushDiskType": "SYNC_FLUSH"}}}, "spec.broker.flush says it"),
    (
        {"broker": {"config": {"mapedFileSizeCommitLog": "1"}}},
        'unknown field "spec.broker.config.mapedFileSizeCommitLog"',
    ),
    (
        {"broker": {"config": {"enableDLegerCommitLog": "true"}}},
        'unknown field "spec.broker.config.enableDLegerCommitLog"',
    ),
    ({"broker": {"config": {"fileReservedTime": "2d"}}}, "spec.broker.config.fileReservedTime"),
    ({"broker": {"config": {"regionId": "a //b"}}}, "may not contain ' //'"),
    ({"nameServer": {"config": {"listenPort": "1"}}}, "the cluster sets this key itself"),
    ({"nameServer": {"replicas": 0}}, "spec.nameServer.replicas"),
    ({"broker": {"resources": {"limits": {"memory": "much"}}}}, "spec.broker.resources.limits.memory"),
    ({"broker": {"storage": {"size": "large"}}}, "spec.broker.storage.size"),
    (
        {"broker": {"groupOverrides": [{"group": 1, "config": {"brokerName": "x"}}]}},
        "the cluster sets this key itself",
    ),
    ({"broker": {"port": 5557}}, "5557 has metrics and health"),
    ({"broker": {"port": 5559}}, "5557 has metrics and health"),
    ({"nameServer": {"port": 5557}}, "5557 has metrics and health"),
    (
        {"broker": {"config": {"mappedFileSizeConsumeQueue": "7"}}},
        "spec.broker.config.mappedFileSizeConsumeQueue",
    ),
    ({"failover": {"renewDeadlineSeconds": 15}}, "a renewal must be trusted for two tries at least"),
    (
        {"broker": {"replication": {"mode": "Sync", "minInSyncReplicas": 2}}},
        "minInSyncReplicas above 1 needs replication.mode Sync and failover.mode Automatic",
    ),
    (
        {"broker": {"replication": {"mode": "Sync", "minInSyncReplicas": 3}}, "failover": {"mode": "Automatic"}},
        "a group has no more members than slavesPerGroup",
    ),
    ({"mode": "Asleep"}, "spec.mode"),
    ({"clusterName": "a b"}, "spec.clusterName"),
    ({"version": "!"}, "spec.version"),
]


@pytest.mark.parametrize(("spec", "told"), REFUSED)
def test_the_api_server_itself_refuses_what_cannot_be(
    kubernetes: Kubernetes, namespace: str, spec: dict[str, Any], told: str
) -> None:
    body = cluster("orders") | {"spec": spec}
    with pytest.raises(CommandFailed, match=told.replace("(", r"\(")):
        kubernetes.apply(namespace, body)


def test_the_api_server_refuses_a_name_that_members_cannot_carry(kubernetes: Kubernetes, namespace: str) -> None:
    with pytest.raises(CommandFailed, match=r"metadata\.name"):
        kubernetes.apply(namespace, cluster("a" * 41))


CHANGES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"clusterName": "A"}, {"clusterName": "B"}, "clusterName cannot change"),
    ({}, {"clusterName": "B"}, "clusterName cannot be added or removed"),
    (
        {"broker": {"storage": {"size": "2Gi"}}},
        {"broker": {"storage": {"size": "1Gi"}}},
        "volumes can grow, not shrink",
    ),
    (
        {"broker": {"storage": {"storageClassName": "a"}}},
        {"broker": {"storage": {"storageClassName": "b"}}},
        "storageClassName cannot change",
    ),
    ({}, {"broker": {"storage": {"storageClassName": "b"}}}, "storageClassName cannot be added or removed"),
    ({"failover": {"mode": "Automatic"}}, {"failover": {"mode": "Disabled"}}, "failover cannot be switched off"),
]


@pytest.mark.parametrize(("before", "after", "told"), CHANGES)
def test_the_api_server_itself_refuses_what_cannot_change(
    kubernetes: Kubernetes, namespace: str, before: dict[str, Any], after: dict[str, Any], told: str
) -> None:
    body = cluster("orders") | {"spec": {"managementPolicy": "Paused", **before}}
    kubernetes.apply(namespace, body)
    with pytest.raises(CommandFailed, match=told):
        kubernetes.patch(namespace, "rkt", "orders", {"spec": after})


def test_a_misspelt_field_is_refused_by_name(kubernetes: Kubernetes, namespace: str) -> None:
    with pytest.raises(CommandFailed, match="slavesPergroup"):
        kubernetes.apply(namespace, cluster("orders") | {"spec": {"broker": {"slavesPergroup": 1}}})


@pytest.mark.parametrize(
    ("kind", "spec", "told"),
    [
        ("RocketTopic", {"topicName": "TBW102"}, "belongs to RocketMQ itself"),
        ("RocketTopic", {"queues": {"read": 1, "write": 2}}, "read must be at least write"),
        ("RocketConsumerGroup", {"retries": {"max": -1}}, "spec.retries.max"),
    ],
)
def test_topics_and_consumer_groups_that_cannot_be_are_refused(
    kubernetes: Kubernetes, namespace: str, kind: str, spec: dict[str, Any], told: str
) -> None:
    body = {
        "apiVersion": "rocketcluster.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"},
        "spec": {"clusterRef": {"name": "orders"}, **spec},
    }  # fmt: skip
    with pytest.raises(CommandFailed, match=told):
        kubernetes.apply(namespace, body)
