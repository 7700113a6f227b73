"""Pods that die, nodes that drain, disks that fill, operators that are away, and wishes that cannot be met."""

from __future__ import annotations

from typing import Any

import pytest

from rocket_testing.e2e.cluster import cluster, endpoint
from rocket_testing.e2e.kubernetes import CommandFailed, Kubernetes
from rocket_testing.e2e.operator import Operator
from rocket_testing.e2e.traffic import traffic
from rocket_testing.e2e.waiting import condition, until_reason


@pytest.mark.parametrize("selector", ["role=slave", "role=master", "component=namesrv"])
def test_a_deleted_pod_comes_back_and_nothing_is_lost(kubernetes: Kubernetes, namespace: str, selector: str) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    domain = "app.kubernetes.io" if selector.startswith("component") else "rocketcluster.dev"
    with traffic(kubernetes, endpoint("orders", namespace)) as flow:
        kubernetes.kubectl("delete", "pod", "-n", namespace, "-l", f"{domain}/{selector}", "--wait=false")
        kubernetes.until(lambda: condition(kubernetes, namespace, "rkt", "orders", "Stable")["status"] == "False")
        kubernetes.wait(namespace, "rkt/orders", "Stable")
        flow.assert_nothing_lost()


def test_a_master_killed_inside_its_container_restarts_with_its_messages(
    kubernetes: Kubernetes, namespace: str
) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    with traffic(kubernetes, endpoint("orders", namespace)) as flow:
        kubernetes.container_runtime("tasks", "kill", "-s", "SIGKILL", _container(kubernetes, namespace))
        kubernetes.until(lambda: _restarts(kubernetes, namespace) == 1, 60, namespace)
        kubernetes.wait(namespace, "rkt/orders", "Stable")
        flow.assert_nothing_lost()


def test_a_drained_node_loses_one_member_of_a_group_at_a_time(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    brokers = "rocketcluster.dev/cluster=orders,app.kubernetes.io/component=broker"
    try:
        with pytest.raises(CommandFailed, match="violate the pod's disruption budget"):
            kubernetes.kubectl("drain", "node-1", f"--pod-selector={brokers}", "--ignore-daemonsets", "--timeout=15s")
        running = [pod for pod in kubernetes.list(namespace, "pods", brokers) if pod["status"]["phase"] == "Running"]
        assert len(running) == 1, "the other one waits for a node"
        assert "Unschedulable" in until_reason(kubernetes, namespace, "Degraded", "Unschedulable")
    finally:
        kubernetes.kubectl("uncordon", "node-1")
    kubernetes.wait(namespace, "rkt/orders", "Stable")


def test_an_operator_that_was_away_does_what_was_asked_meanwhile(
    kubernetes: Kubernetes, namespace: str, operator: Operator
) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    with traffic(kubernetes, endpoint("orders", namespace)) as flow:
        operator.scale(0)
        try:
            kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=2")
            kubernetes.kubectl("delete", "pod", "-n", namespace, "orders-broker-0-1")
            kubernetes.kubectl("delete", "service", "-n", namespace, "orders-namesrv")
        finally:
            operator.scale(1)
        kubernetes.wait(namespace, "rkt/orders", "Stable")
        flow.assert_nothing_lost()


def test_the_operators_pod_killed_in_the_middle_of_a_rollout_changes_nothing_in_the_end(
    kubernetes: Kubernetes, namespace: str, operator: Operator
) -> None:
    kubernetes.apply(namespace, cluster("orders", groups=2))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"broker": {"config": {"messageIndexEnable": "false"}}}})
    kubernetes.until(lambda: (kubernetes.get(namespace, "rkt", "orders") or {})["status"]["restarts"], 60, namespace)
    for pod in operator.pods():
        kubernetes.kubectl(
            "delete", "pod", "-n", "rocket-system", pod["metadata"]["name"], "--force", "--grace-period=0"
        )
    kubernetes.wait(namespace, "rkt/orders", "Stable", 120)


def test_a_volume_grows_under_running_brokers(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, _storage_class("growing", True))
    kubernetes.apply(namespace, cluster("orders", broker={"storage": {"size": "1Gi", "storageClassName": "growing"}}))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    pods = {pod["metadata"]["uid"] for pod in kubernetes.list(namespace, "pods")}
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"broker": {"storage": {"size": "2Gi"}}}})
    assert "grows from 1Gi to 2Gi" in until_reason(kubernetes, namespace, "StorageHealthy", "Resizing")
    for claim in kubernetes.list(namespace, "pvc"):  # what the volume's driver would do
        grown = {"status": {"capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]}}}
        kubernetes.patch(namespace, "pvc", claim["metadata"]["name"], grown, "--subresource=status")
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    assert {pod["metadata"]["uid"] for pod in kubernetes.list(namespace, "pods")} == pods
    (found,) = kubernetes.list(namespace, "sts")
    template = found["spec"]["volumeClaimTemplates"][0]
    assert template["spec"]["resources"]["requests"]["storage"] == "2Gi"


def test_a_volume_that_cannot_grow_is_told_and_nothing_else_suffers(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    changes = {"storage": {"size": "2Gi"}, "config": {"fileReservedTime": "24"}}
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"broker": changes}})
    told = until_reason(kubernetes, namespace, "StorageHealthy", "ExpansionUnsupported")
    assert "storage class standard does not allow it" in told
    assert condition(kubernetes, namespace, "rkt", "orders", "Ready")["status"] == "True"
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"broker": {"config": {"fileReservedTime": "36"}}}})
    kubernetes.until(lambda: condition(kubernetes, namespace, "rkt", "orders", "Reconciled")["status"] == "True")
    keeps = [{"group": 0, "storageSize": "1Gi"}]  # the way out that docs/runbooks.md names
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"broker": {"groupOverrides": keeps}}})
    kubernetes.wait(namespace, "rkt/orders", "Stable")


def test_an_image_that_cannot_be_pulled_stops_a_rollout_at_its_first_broker(
    kubernetes: Kubernetes, namespace: str
) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"image": {"broker": "registry.invalid/no-such:1"}}})

    def is_told() -> bool:
        reason = condition(kubernetes, namespace, "rkt", "orders", "Degraded").get("reason")
        return reason in ("ErrImagePull", "ImagePullBackOff")

    kubernetes.until(is_told, 60, namespace)
    assert "orders-broker-0-1 cannot start" in condition(kubernetes, namespace, "rkt", "orders", "Degraded")["message"]
    assert condition(kubernetes, namespace, "rkt", "orders", "Ready")["status"] == "True", "the master still serves"
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"image": {"broker": None}}})
    kubernetes.wait(namespace, "rkt/orders", "Stable")


def test_a_storage_class_that_does_not_exist_is_named(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("orders", broker={"storage": {"storageClassName": "no-such"}}))
    assert "no-such" in until_reason(kubernetes, namespace, "StorageHealthy", "StorageClassMissing")


def test_a_pod_template_that_the_api_server_refuses_is_told_in_its_words(
    kubernetes: Kubernetes, namespace: str
) -> None:
    broken = {"spec": {"containers": [{"name": "broker", "livenessProbe": {"periodSeconds": -1}}]}}
    kubernetes.apply(namespace, cluster("orders", broker={"podTemplate": broken}))
    told = until_reason(kubernetes, namespace, "Reconciled", "RefusedByApiServer")
    assert "livenessProbe.periodSeconds" in told


def _container(kubernetes: Kubernetes, namespace: str) -> str:
    pod = kubernetes.get(namespace, "pod", "orders-broker-0-0") or {}
    return str(pod["status"]["containerStatuses"][0]["containerID"]).removeprefix("containerd://")


def _restarts(kubernetes: Kubernetes, namespace: str) -> int:
    pod = kubernetes.get(namespace, "pod", "orders-broker-0-0") or {}
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def _storage_class(name: str, grows: bool) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "cluster.invalid/local",
        "allowVolumeExpansion": grows,
    }
