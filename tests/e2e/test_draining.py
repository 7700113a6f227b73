"""A group that goes: it waits for its consumers, says what it waits for, and can be taken back."""

from __future__ import annotations

import sys
from typing import Any

from rocket_testing.e2e.cluster import cluster, endpoint
from rocket_testing.e2e.kubernetes import Kubernetes
from rocket_testing.e2e.waiting import until_reason


def rocketctl(kubernetes: Kubernetes, namespace: str, *words: str) -> str:
    command = [sys.executable, "-m", "rocket_cli", *words, "-n", endpoint("orders", namespace)]
    return kubernetes.run(*kubernetes.joined(*command))


def group(kubernetes: Kubernetes, namespace: str, index: int) -> dict[str, Any]:
    status = (kubernetes.get(namespace, "rkt", "orders") or {}).get("status", {})
    return next((each for each in status.get("groups", []) if each["index"] == index), {})


def fill(kubernetes: Kubernetes, namespace: str, messages: int = 40) -> None:
    """Messages in every group, and a consumer group that has read one of them."""
    rocketctl(kubernetes, namespace, "topic", "create", "pay", "--queues", "2")
    command = [sys.executable, "-m", "rocket_cli", "send", "pay", "-", "-n", endpoint("orders", namespace)]
    kubernetes.run(*kubernetes.joined(*command), text="".join(f"{number}\n" for number in range(messages)))
    rocketctl(kubernetes, namespace, "consume", "pay", "--group", "settle", "--count", "1")


def test_a_group_with_messages_stays_until_they_are_consumed_and_tells_who_must(
    kubernetes: Kubernetes, namespace: str
) -> None:
    kubernetes.apply(namespace, cluster("orders", groups=2, slaves=0, scaling={"down": {"stableSeconds": 1}}))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    fill(kubernetes, namespace)
    kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=1")
    kubernetes.until(lambda: group(kubernetes, namespace, 1).get("drain", {}).get("blockers"), 60, namespace)
    (blocker,) = group(kubernetes, namespace, 1)["drain"]["blockers"]
    assert (blocker["topic"], blocker["group"]) == ("pay", "settle")
    assert 15 <= blocker["remaining"] <= 20
    scale = (kubernetes.get(namespace, "rkt", "orders") or {})["status"]["scale"]
    assert scale["replicas"] == 1, "it takes no more messages"
    assert "GroupCordoned" in kubernetes.kubectl("get", "events", "-n", namespace)
    rocketctl(kubernetes, namespace, "consume", "pay", "--group", "settle", "--count", "39")
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    assert group(kubernetes, namespace, 1) == {}
    claims = kubernetes.list(namespace, "pvc", "rocketcluster.dev/group=1")
    assert ["rocketcluster.dev/released" in claim["metadata"]["annotations"] for claim in claims] == [True]


def test_a_group_that_drains_is_taken_back_with_its_messages(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("orders", groups=2, slaves=0))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    fill(kubernetes, namespace)
    kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=1")
    kubernetes.until(lambda: group(kubernetes, namespace, 1).get("state") == "Draining", 60, namespace)
    kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=2")
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    assert group(kubernetes, namespace, 1)["state"] == "Active"
    printed = rocketctl(kubernetes, namespace, "consume", "pay", "--group", "settle", "--count", "39")
    assert len(printed.splitlines()) == 39


def test_a_group_does_not_come_back_onto_its_old_volumes_unasked(kubernetes: Kubernetes, namespace: str) -> None:
    kubernetes.apply(namespace, cluster("orders", groups=2, slaves=0, scaling={"down": {"stableSeconds": 0}}))
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=1")
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=2")

    until_reason(kubernetes, namespace, "Scaling", "OldVolumesFound")
    kubernetes.kubectl("annotate", "-n", namespace, "rkt", "orders", "rocketcluster.dev/adopt-volumes=1")
    kubernetes.wait(namespace, "rkt/orders", "Stable")


def test_declared_topics_and_consumer_groups_are_on_every_group_and_are_corrected(
    kubernetes: Kubernetes, namespace: str
) -> None:
    kubernetes.apply(
        namespace, cluster("orders", slaves=0), _topic("pay", 3), _topic("log", 1, deletionPolicy="Delete")
    )
    kubernetes.apply(namespace, _consumer_group("settle", 5))
    for what in ("rkttopic/pay", "rkttopic/log", "rktgroup/settle"):
        kubernetes.wait(namespace, what, "Ready")
    kubernetes.kubectl("scale", "-n", namespace, "rkt/orders", "--replicas=2")
    kubernetes.wait(namespace, "rkt/orders", "Stable")
    kubernetes.wait(namespace, "rkttopic/pay", "Ready")
    status = (kubernetes.get(namespace, "rkttopic", "pay") or {})["status"]
    assert [each["state"] for each in status["groups"]] == ["Applied", "Applied"]
    kubernetes.patch(namespace, "rkttopic", "pay", {"spec": {"queues": {"read": 6, "write": 6}}})
    kubernetes.wait(namespace, "rkttopic/pay", "Ready")
    kubernetes.kubectl("delete", "-n", namespace, "rkttopic", "pay", "log")
    kubernetes.until(lambda: "log" not in rocketctl(kubernetes, namespace, "topic", "list").split(), 60, namespace)
    assert "pay" in rocketctl(kubernetes, namespace, "topic", "list").split(), "its deletionPolicy is Retain"


def _topic(name: str, queues: int, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "rocketcluster.dev/v1alpha1",
        "kind": "RocketTopic",
        "metadata": {"name": name},
        "spec": {"clusterRef": {"name": "orders"}, "queues": {"read": queues, "write": queues}, **spec},
    }


def _consumer_group(name: str, retries: int) -> dict[str, Any]:
    return {
        "apiVersion": "rocketcluster.dev/v1alpha1",
        "kind": "RocketConsumerGroup",
        "metadata": {"name": name},
        "spec": {"clusterRef": {"name": "orders"}, "retries": {"max": retries}},
    }
