"""A group whose master is whoever holds its Lease: pods that go, processes that die, an operator that is away."""

from __future__ import annotations

from rocket_testing.e2e.cluster import cluster, endpoint
from rocket_testing.e2e.kubernetes import Kubernetes
from rocket_testing.e2e.operator import Operator
from rocket_testing.e2e.traffic import traffic

#: Shorter than by default, for the test's sake.
FAILOVER = {"mode": "Automatic", "leaseDurationSeconds": 6, "renewDeadlineSeconds": 4, "retryPeriodSeconds": 1}


def started(kubernetes: Kubernetes, namespace: str) -> None:
    """A group of two, in which each acknowledged message is at both."""
    manifest = cluster("orders", broker={"replication": {"mode": "Sync"}})
    manifest["spec"]["failover"] = FAILOVER
    kubernetes.apply(namespace, manifest)
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    kubernetes.until(lambda: len(lease(kubernetes, namespace)[1]) == 2, 60, namespace)


def lease(kubernetes: Kubernetes, namespace: str) -> tuple[str, list[str]]:
    """Who holds the group's Lease, and its sync set."""
    found = kubernetes.get(namespace, "lease", "orders-broker-0") or {}
    annotations = found.get("metadata", {}).get("annotations") or {}
    members = [name for name in annotations.get("rocketcluster.dev/sync-set", "").split(",") if name]
    return (found.get("spec") or {}).get("holderIdentity", ""), members


def led_by_another(kubernetes: Kubernetes, namespace: str, before: str) -> str:
    kubernetes.until(lambda: lease(kubernetes, namespace)[0] not in ("", before), 60, namespace)
    return lease(kubernetes, namespace)[0]


def container_of(kubernetes: Kubernetes, namespace: str, pod: str) -> str:
    statuses = (kubernetes.get(namespace, "pod", pod) or {})["status"]["containerStatuses"]
    return str(statuses[0]["containerID"]).removeprefix("containerd://")


def test_a_masters_deleted_pod_hands_over_and_the_status_says_who_leads(kubernetes: Kubernetes, namespace: str) -> None:
    started(kubernetes, namespace)
    before = lease(kubernetes, namespace)[0]
    with traffic(kubernetes, endpoint("orders", namespace)) as flow:
        kubernetes.kubectl("delete", "pod", "-n", namespace, before, "--wait=false")
        after = led_by_another(kubernetes, namespace, before)
        kubernetes.until(lambda: len(lease(kubernetes, namespace)[1]) == 2, 60, namespace)
        kubernetes.wait(namespace, "rkt/orders", "Stable")
        flow.assert_nothing_lost()
    group = (kubernetes.get(namespace, "rkt", "orders") or {})["status"]["groups"][0]
    assert group["master"] == {"pod": after}
    assert group["epoch"] >= 2
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"broker": {"slavesPerGroup": 0, "replication": None}}})
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    assert lease(kubernetes, namespace)[0] == "orders-broker-0-0", "a master that is scaled away hands over"


def test_failover_is_switched_on_while_messages_flow(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("orders", broker={"replication": {"mode": "Sync"}}))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    with traffic(kubernetes, endpoint("orders", namespace)) as flow:
        kubernetes.patch(namespace, "rkt", "orders", {"spec": {"failover": FAILOVER}})
        kubernetes.wait(namespace, "rkt/orders", "Stable", 120)
        kubernetes.until(lambda: len(lease(kubernetes, namespace)[1]) == 2, 60, namespace)
        flow.assert_nothing_lost()


def test_a_frozen_master_is_followed_by_another_and_loses_nothing(kubernetes: Kubernetes, namespace: str) -> None:
    started(kubernetes, namespace)
    before = lease(kubernetes, namespace)[0]
    frozen = container_of(kubernetes, namespace, before)
    with traffic(kubernetes, endpoint("orders", namespace)) as flow:
        kubernetes.container_runtime("tasks", "kill", "-s", "SIGSTOP", frozen)
        led_by_another(kubernetes, namespace, before)
        kubernetes.container_runtime("tasks", "kill", "-s", "SIGCONT", frozen)
        kubernetes.until(lambda: len(lease(kubernetes, namespace)[1]) == 2, 60, namespace)
        kubernetes.wait(namespace, "rkt/orders", "Stable")
        flow.assert_nothing_lost()


def test_a_master_dies_while_the_operator_is_away(kubernetes: Kubernetes, namespace: str, operator: Operator) -> None:
    started(kubernetes, namespace)
    before = lease(kubernetes, namespace)[0]
    with traffic(kubernetes, endpoint("orders", namespace)) as flow:
        operator.scale(0)
        try:
            kubernetes.container_runtime("tasks", "kill", "-s", "SIGKILL", container_of(kubernetes, namespace, before))
            led_by_another(kubernetes, namespace, before)
        finally:
            operator.scale(1)
        kubernetes.wait(namespace, "rkt/orders", "Stable")
        flow.assert_nothing_lost()
