"""Wishes that are odd but allowed, and some that are not: a real API server rewrites, or refuses, what people write."""

from __future__ import annotations

from typing import Any

from rocket_testing.e2e.cluster import cluster
from rocket_testing.e2e.kubernetes import Kubernetes
from rocket_testing.e2e.waiting import condition, until_reason

#: The API server leaves some of this out, and writes the cpu as 1m.
_ODD: dict[str, Any] = {
    "metadata": {"labels": {"app.kubernetes.io/managed-by": "somebody", "team": ""}},
    "spec": {
        "hostNetwork": False,
        "tolerations": [{"key": "dedicated", "operator": "Exists", "value": ""}],
        "containers": [
            {
                "name": "broker",
                "env": [{"name": "EXTRA", "value": ""}],
                "readinessProbe": {"initialDelaySeconds": 0},
                "resources": {"requests": {"cpu": "0.00000000001"}},
            }
        ],
    },
}


def test_empty_values_false_and_zero_in_a_pod_template_are_no_conflict(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("orders", broker={"podTemplate": _ODD}))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    pod = kubernetes.get(namespace, "pod", "orders-broker-0-0") or {}
    assert {"name": "EXTRA"} in pod["spec"]["containers"][0]["env"]
    assert pod["metadata"]["labels"]["team"] == ""
    assert pod["metadata"]["labels"]["app.kubernetes.io/managed-by"] != "somebody", "pods are found by it"


def test_fields_of_the_wrong_type_are_told_and_can_be_mended(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("orders", broker={"podTemplate": {"spec": {"hostNetwork": "perhaps"}}}))
    assert "hostNetwork" in until_reason(kubernetes, namespace, "Reconciled", "RefusedByApiServer")
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"broker": {"podTemplate": None}}})
    kubernetes.wait(namespace, "rkt/orders", "Stable")


def test_a_copy_of_a_brokers_pod_is_nobodys_member(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    kubernetes.apply(namespace, _copy(kubernetes.get(namespace, "pod", "orders-broker-0-1") or {}))
    kubernetes.kubectl("wait", "-n", namespace, "pod/orders-broker-0-1-copy", "--for=condition=Ready", "--timeout=60s")
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"broker": {"config": {"messageIndexEnable": "false"}}}})
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    restarted = (kubernetes.get(namespace, "rkt", "orders") or {})["status"]["restarts"]
    assert sorted(each["pod"] for each in restarted) == ["orders-broker-0-0", "orders-broker-0-1"]
    assert condition(kubernetes, namespace, "rkt", "orders", "Reconciled")["reason"] == "AsSpecified"
    assert kubernetes.get(namespace, "pod", "orders-broker-0-1-copy"), "what it did not make it does not delete"


def _copy(pod: dict[str, Any]) -> dict[str, Any]:
    """The pod under another name, with its labels, on no volume of its own, and doing nothing."""
    spec = {key: value for key, value in pod["spec"].items() if key not in ("nodeName", "hostname", "subdomain")}
    for volume in spec["volumes"]:
        if volume.pop("persistentVolumeClaim", None):
            volume["emptyDir"] = {}
    probes = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
    idle = {key: value for key, value in spec["containers"][0].items() if key not in probes}
    spec["containers"] = [idle | {"command": ["python3", "-c", "import signal; signal.pause()"], "args": []}]
    metadata = {"name": f"{pod['metadata']['name']}-copy", "labels": pod["metadata"]["labels"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
