"""What a person does first: make a cluster, look at it, use it, scale it, change it, delete it."""

from __future__ import annotations

import sys
import time

from rocket_testing.e2e import images
from rocket_testing.e2e.cluster import cluster, endpoint
from rocket_testing.e2e.images import PROJECT
from rocket_testing.e2e.kubernetes import Kubernetes
from rocket_testing.e2e.operator import Operator
from rocket_testing.e2e.traffic import traffic


def test_the_quickstart_is_stable_within_a_minute_and_says_what_it_is(kubernetes: Kubernetes, namespace: str) -> None:
    begun = time.monotonic()
    kubernetes.kubectl("apply", "-n", namespace, "-f", str(PROJECT / "examples" / "quickstart" / "cluster.yaml"))
    kubernetes.kubectl("wait", "-n", namespace, "rkt/quickstart", "--for=condition=Stable", "--timeout=60s")
    assert time.monotonic() - begun < 60
    columns = kubernetes.kubectl("get", "-n", namespace, "rkt", "quickstart", "--no-headers").split()
    assert columns[:6] == ["quickstart", "True", "Running", "1/1", "2/2", "2/2"]
    described = kubernetes.kubectl("describe", "-n", namespace, "rkt", "quickstart")
    assert "making StatefulSet quickstart-broker-0" in described
    assert "Masters:       0:quickstart-broker-0-0" in described
    assert "volumes can grow" not in described
    assert "How large each volume is" in kubernetes.kubectl("explain", "rkt.spec.broker.storage.size")


def test_messages_go_through_from_a_pod(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    image = f"{images.PREFIX}/rocket-operator:{images.tag()}"
    kubernetes.apply(namespace, _client_pod(image, endpoint("orders", namespace)))
    kubernetes.until(lambda: _phase(kubernetes, namespace) in ("Succeeded", "Failed"), 60, namespace)
    printed = kubernetes.kubectl("logs", "-n", namespace, "client")
    assert "All 10 messages came through, each once." in printed
    assert _phase(kubernetes, namespace) == "Succeeded"


def test_the_official_java_client_produces_and_consumes(kubernetes: Kubernetes, namespace: str) -> None:
    suite = [sys.executable, str(PROJECT / "tests" / "interop" / "run.py"), "--only", "java-5.5.0:tutorial"]
    kubernetes.run(*suite, "--build-only", seconds=280)  # inside, nothing can be downloaded
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    printed = kubernetes.run(*kubernetes.joined(*suite, "--namesrv", endpoint("orders", namespace)), seconds=280)
    assert "1 passed, 0 failed" in printed, printed


def test_groups_slaves_and_name_servers_scale_both_ways_while_messages_flow(
    kubernetes: Kubernetes, namespace: str
) -> None:
    kubernetes.apply(namespace, cluster("orders", scaling={"down": {"stableSeconds": 2}}))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    with traffic(kubernetes, endpoint("orders", namespace)) as flow:
        kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=2")
        kubernetes.wait(namespace, "rkt/orders", "Stable")
        assert len(kubernetes.list(namespace, "sts")) == 2
        changes = {"nameServer": {"replicas": 3}, "broker": {"slavesPerGroup": 2}}
        kubernetes.patch(namespace, "rkt", "orders", {"spec": changes})
        kubernetes.wait(namespace, "rkt/orders", "Stable", 120)
        assert len(kubernetes.list(namespace, "pods", "rocketcluster.dev/cluster=orders")) == 9
        changes = {"nameServer": {"replicas": 1}, "broker": {"slavesPerGroup": 1}}
        kubernetes.patch(namespace, "rkt", "orders", {"spec": changes})
        kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=1")
        kubernetes.wait(namespace, "rkt/orders", "Stable", 120)
        assert [each["metadata"]["name"] for each in kubernetes.list(namespace, "sts")] == ["orders-broker-0"]
        flow.assert_nothing_lost()


def test_a_setting_that_can_change_live_restarts_nobody_and_one_that_cannot_restarts_slaves_first(
    kubernetes: Kubernetes, namespace: str
) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    before = _pod_uids(kubernetes, namespace)
    with traffic(kubernetes, endpoint("orders", namespace)) as flow:
        kubernetes.patch(namespace, "rkt", "orders", {"spec": {"broker": {"config": {"fileReservedTime": "24"}}}})
        kubernetes.wait(namespace, "rkt/orders", "Stable")
        assert _pod_uids(kubernetes, namespace) == before
        kubernetes.patch(namespace, "rkt", "orders", {"spec": {"broker": {"config": {"messageIndexEnable": "false"}}}})
        kubernetes.wait(namespace, "rkt/orders", "Stable", 120)
        assert not set(_pod_uids(kubernetes, namespace).values()) & set(before.values())
        flow.assert_nothing_lost()
    status = (kubernetes.get(namespace, "rkt", "orders") or {})["status"]
    assert [each["pod"] for each in status["restarts"]] == ["orders-broker-0-0", "orders-broker-0-1"]
    assert "messageIndexEnable" in status["restarts"][0]["reason"]
    events = kubernetes.kubectl("get", "events", "-n", namespace, "--field-selector=reason=Restarted")
    assert "orders-broker-0-1: settings change that need a restart: messageIndexEnable" in events


def test_another_image_is_rolled_out_one_broker_at_a_time(kubernetes: Kubernetes, namespace: str) -> None:
    image = f"{images.PREFIX}/rocket-broker:{images.tag()}"
    kubernetes.container_runtime("images", "tag", "--force", image, f"{images.PREFIX}/rocket-broker:next")
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    with traffic(kubernetes, endpoint("orders", namespace)) as flow:
        changes = {"version": "next", "image": {"broker": f"{images.PREFIX}/rocket-broker:{{version}}"}}
        kubernetes.patch(namespace, "rkt", "orders", {"spec": changes})
        kubernetes.wait(namespace, "rkt/orders", "Stable", 120)
        flow.assert_nothing_lost()
    pods = kubernetes.list(namespace, "pods", "app.kubernetes.io/component=broker")
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {f"{images.PREFIX}/rocket-broker:next"}
    assert (kubernetes.get(namespace, "rkt", "orders") or {})["status"]["version"]["current"] == "next"


def test_a_hibernated_cluster_runs_nothing_and_resumes_with_its_messages(
    kubernetes: Kubernetes, namespace: str
) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    send = [sys.executable, "-m", "rocket_cli", "send", "kept", "a message", "-n", endpoint("orders", namespace)]
    kubernetes.run(*kubernetes.joined(*send))
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"mode": "Hibernated"}})
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    phases = [pod["status"]["phase"] for pod in kubernetes.list(namespace, "pods")]
    assert "Running" not in phases
    kubernetes.patch(namespace, "rkt", "orders", {"spec": {"mode": "Running"}})
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    consume = [
        sys.executable,
        "-m",
        "rocket_cli",
        "consume",
        "kept",
        "--count",
        "1",
        "-n",
        endpoint("orders", namespace),
    ]
    assert "a message" in kubernetes.run(*kubernetes.joined(*consume))


def test_deletion_keeps_volumes_unless_told_otherwise(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("kept"), cluster("gone", deletionPolicy="Delete"))
    for name in ("kept", "gone"):
        kubernetes.wait(namespace, f"rkt/{name}", "Stable")
    kubernetes.kubectl("delete", "-n", namespace, "rkt", "kept", "gone")
    kubernetes.until(lambda: not kubernetes.list(namespace, "pods"), 60, namespace)
    left = kubernetes.until(
        lambda: _names(kubernetes, namespace, "pvc") == {"store-kept-broker-0-0", "store-kept-broker-0-1"}
    )
    assert left
    for kind in ("sts", "deploy", "svc", "cm", "lease", "pdb", "role", "rolebinding", "sa"):
        names = _names(kubernetes, namespace, kind) - {"kube-root-ca.crt", "default"}
        assert names == set(), (kind, names)


def test_two_clusters_live_side_by_side_and_a_third_of_the_same_name_elsewhere(
    kubernetes: Kubernetes, namespace: str, another_namespace: str
) -> None:
    kubernetes.apply(namespace, cluster("orders", slaves=0), cluster("billing", slaves=0))
    kubernetes.apply(another_namespace, cluster("orders", slaves=0))
    for where, name in ((namespace, "orders"), (namespace, "billing"), (another_namespace, "orders")):
        kubernetes.wait(where, f"rkt/{name}", "Stable")
    for where, name in ((namespace, "orders"), (another_namespace, "orders")):
        check = [sys.executable, "-m", "rocket_cli", "status", "-n", endpoint(name, where)]
        printed = kubernetes.run(*kubernetes.joined(*check))
        assert "billing" not in printed
        assert printed.count("orders-broker-0") == 1
    kubernetes.kubectl("delete", "-n", namespace, "rkt", "billing")
    kubernetes.wait(namespace, "rkt/orders", "Stable")


def test_the_chart_is_upgraded_and_uninstalled_without_a_word_to_the_cluster(
    kubernetes: Kubernetes, namespace: str, operator: Operator
) -> None:
    kubernetes.apply(namespace, cluster("orders"))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    before = _pod_uids(kubernetes, namespace)
    try:
        operator.install("replicas=2", "logging.level=debug")
        kubernetes.until(lambda: len(operator.pods()) == 2, 60)
        operator.uninstall()
        kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=2")
        assert _pod_uids(kubernetes, namespace) == before, "nobody is there to do it"
    finally:
        operator.install()
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    assert before.items() <= _pod_uids(kubernetes, namespace).items()


def test_an_operator_confined_to_a_namespace_sees_to_that_one_alone(
    kubernetes: Kubernetes, namespace: str, another_namespace: str, operator: Operator
) -> None:
    try:
        operator.install(f"watchNamespaces={{{namespace}}}")
        kubernetes.until(lambda: len(operator.pods()) == 1, 60)
        kubernetes.apply(namespace, cluster("orders", slaves=0))
        kubernetes.apply(another_namespace, cluster("orders", slaves=0))
        kubernetes.wait(namespace, "rkt/orders", "Stable")
        kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=2")
        kubernetes.wait(namespace, "rkt/orders", "Stable")
        assert kubernetes.list(another_namespace, "pods") == []
    finally:
        operator.install()
    kubernetes.wait(another_namespace, "rkt/orders", "Stable")


def _client_pod(image: str, namesrv: str) -> dict[str, object]:
    security = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "client", "image": image, "command": ["rocketctl", "check"], "securityContext": security,
        "env": [{"name": "NAMESRV_ADDR", "value": namesrv}],
    }  # fmt: skip
    pod_security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": pod_security, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client"}, "spec": spec}


def _phase(kubernetes: Kubernetes, namespace: str) -> str:
    return str((kubernetes.get(namespace, "pod", "client") or {}).get("status", {}).get("phase"))


def _names(kubernetes: Kubernetes, namespace: str, kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in kubernetes.list(namespace, kind)}


def _pod_uids(kubernetes: Kubernetes, namespace: str) -> dict[str, str]:
    pods = kubernetes.list(namespace, "pods", "app.kubernetes.io/component=broker")
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods}
