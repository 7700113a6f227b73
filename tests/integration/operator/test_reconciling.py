"""A cluster's life under the operator, against an API server and brokers of this process."""

from __future__ import annotations

from typing import Any

import pytest

from rocket_testing.operator_bench import Bench
from rocket_wire.bodies.topics import TopicConfig


def resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "rocketcluster.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "default"}, "spec": {"clusterRef": {"name": "orders"}, **spec},
    }  # fmt: skip


async def test_an_empty_spec_becomes_a_stable_cluster(b: Bench) -> None:
    b.make()
    told = await b.until_stable()
    assert told[0] == "making ServiceAccount orders-broker"
    assert told[-1] == "making StatefulSet orders-broker-0"
    assert b.names("StatefulSet") == ["orders-broker-0"]
    assert b.status()["display"] == {
        "groups": "1/1", "brokers": "2/2", "nameServers": "2/2", "masters": "0:orders-broker-0-0",
    }  # fmt: skip
    assert b.status()["summary"] == "Running"


async def test_a_stable_cluster_is_left_alone(b: Bench) -> None:
    b.make()
    await b.until_stable()
    b.kubernetes.faults.writes.clear()
    await b.look()
    await b.look()
    assert b.kubernetes.faults.writes == []


async def test_hibernation_deletes_no_volume_whatever_becomes_of_scaled_ones(b: Bench) -> None:
    b.make(broker={"storage": {"whenScaled": "Delete"}})
    await b.until_stable()
    b.edit(mode="Hibernated")
    await b.until_stable()
    assert b.names("Pod") == []
    assert len(b.names("PersistentVolumeClaim")) == 2
    b.edit(mode="Running")
    await b.until_stable()


async def test_a_live_key_is_told_and_a_key_that_leaves_goes_back_to_its_default(b: Bench) -> None:
    b.make()
    await b.until_stable()
    pods = b.names("Pod")
    b.edit(broker={"config": {"fileReservedTime": "24"}})
    told = await b.until_stable()
    assert "telling orders-broker-0-0 as it runs: fileReservedTime=24" in told
    b.edit(broker={"config": {"fileReservedTime": None}})
    told = await b.until_stable()
    assert "telling orders-broker-0-1 as it runs: fileReservedTime=72" in told
    assert b.names("Pod") == pods


async def test_another_port_of_the_name_servers_is_told_to_brokers_as_they_run(b: Bench) -> None:
    b.make()
    await b.until_stable()
    pods = [name for name in b.names("Pod") if "-broker-" in name]
    b.edit(nameServer={"port": 9999})
    told = await b.until_stable()
    address = "orders-namesrv-headless.default.svc:9999"
    assert f"telling orders-broker-0-0 as it runs: namesrvAddr={address}" in told
    assert [name for name in b.names("Pod") if "-broker-" in name] == pods


async def test_a_broker_is_asked_at_the_port_that_it_runs_with_until_it_restarts(b: Bench) -> None:
    b.make()
    await b.until_stable()
    b.brokers.ports.clear()
    b.edit(broker={"port": 20911})
    await b.until_stable()
    assert b.brokers.ports == {10911, 20911}


async def test_a_key_that_brokers_refuse_is_told_and_tried_again(b: Bench) -> None:
    b.make()
    await b.until_stable()
    b.brokers.refused = {"fileReservedTime"}
    b.edit(broker={"config": {"fileReservedTime": "24"}})
    outcome = await b.look()
    assert outcome.retry
    assert b.condition("Reconciled")["reason"] == "RejectedByBroker"
    b.brokers.refused = set()
    await b.until_stable()


async def test_slaves_restart_before_their_master_and_one_at_a_time(b: Bench) -> None:
    b.make(broker={"groups": 2})
    await b.until_stable()
    b.edit(broker={"config": {"messageIndexEnable": "false"}})
    told = [line for line in await b.until_stable() if line.startswith("restarting")]
    reason = "settings change that need a restart: messageIndexEnable"
    assert told == [
        f"restarting orders-broker-{pod}: {reason}" for pod in ("0-1", "0-0", "1-1", "1-0")
    ]  # fmt: skip
    assert b.status()["restarts"][0]["pod"] == "orders-broker-1-0"


async def test_a_master_does_not_restart_while_its_slave_is_behind(b: Bench) -> None:
    b.make()
    await b.until_stable()
    b.brokers.behind = 5000
    b.edit(version="2.0")
    await b.until("Upgrading")
    await b.look()
    await b.look()
    assert "orders-broker-0-1 is 5000 bytes behind its master" in b.status()["summary"]
    b.brokers.behind = 0
    await b.until_stable()
    assert b.status()["version"]["current"] == "2.0"


async def test_an_image_that_cannot_be_pulled_stops_at_the_first_slave_and_can_be_mended(b: Bench) -> None:
    b.make(broker={"groups": 2})
    await b.until_stable()
    b.kubernetes.node.unpullable = {"broker:2.0"}
    b.edit(version="2.0")
    await b.until("Degraded", reason="ImagePullBackOff")
    await b.look()
    assert b.condition("Ready")["status"] == "True"
    images = [pod["spec"]["containers"][0]["image"] for pod in b.store.list("Pod")]
    assert images.count("broker:2.0") == 1
    b.edit(version="1.0")
    await b.until_stable()


async def test_what_somebody_changes_or_deletes_is_put_back(b: Bench) -> None:
    b.make()
    await b.until_stable()
    b.restart()  # the same Event is told once a minute by one operator
    b.store.delete(("Service", "default", "orders-namesrv"))
    b.store.patch(("PodDisruptionBudget", "default", "orders-broker-0"), {"spec": {"maxUnavailable": 2}})
    told = await b.until_stable()
    assert "making Service orders-namesrv" in told
    assert "changing PodDisruptionBudget orders-broker-0: spec.maxUnavailable is not as the spec says" in told


async def test_a_strangers_object_is_not_taken_over(b: Bench) -> None:
    stranger = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "orders-namesrv", "namespace": "default"}}
    b.store.create({**stranger, "spec": {"ports": [{"port": 80}]}})
    b.make()
    await b.until("Reconciled", "False", "NameTaken")
    found = b.store.get("Service", "default", "orders-namesrv")
    assert found is not None
    assert found["spec"] == {"ports": [{"port": 80}]}
    b.store.delete(("Service", "default", "orders-namesrv"))
    await b.until_stable()


async def test_a_pod_that_only_wears_the_clusters_label_is_none_of_its_pods(b: Bench) -> None:
    labels = {"rocketcluster.dev/cluster": "orders", "rocketcluster.dev/group": "zero"}
    metadata = {"name": "client", "namespace": "default", "labels": labels}
    spec = {"containers": [{"name": "c", "image": "client"}]}
    b.store.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    b.make()
    await b.until_stable()
    assert b.status()["display"]["brokers"] == "2/2"


async def test_a_copy_of_a_volume_with_its_labels_is_nobodys_volume(b: Bench) -> None:
    b.make(broker={"storage": {"whenScaled": "Delete"}})
    await b.until_stable()
    original = b.store.get("PersistentVolumeClaim", "default", "store-orders-broker-0-0")
    assert original is not None
    for name in (
        "store-orders-broker-0-0-copy-7",
        "store-orders-broker-0-7-copy",
        "store-pay-broker-0-7",
        "orders-broker-0-7",
    ):
        metadata = {"name": name, "namespace": "default", "labels": original["metadata"]["labels"]}
        b.store.create({**original, "metadata": metadata})
    b.kubernetes.faults.writes.clear()
    await b.look()
    assert b.kubernetes.faults.writes == []


async def test_an_object_of_an_earlier_cluster_of_the_same_name_is_not_taken_over_or_deleted(b: Bench) -> None:
    owner = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster", "name": "orders", "uid": "earlier"}
    labels = {"rocketcluster.dev/cluster": "orders"}
    metadata = {"name": "left", "namespace": "default", "labels": labels}
    for name, owners in (("an-earlier-ones", [owner]), ("a-strangers", [])):
        b.store.create({"apiVersion": "v1", "kind": "ConfigMap",
                        "metadata": {**metadata, "name": name, "ownerReferences": owners}})  # fmt: skip
    b.make()
    await b.until_stable()
    assert {"an-earlier-ones", "a-strangers"} <= set(b.names("ConfigMap"))


async def test_a_resource_of_another_cluster_makes_nothing_here(b: Bench) -> None:
    b.make()
    await b.until_stable()
    b.store.create(resource("RocketTopic", "pay", clusterRef={"name": "billing"}))
    b.store.create(resource("RocketConsumerGroup", "settle", clusterRef={"name": "billing"}))
    await b.until_stable()
    await b.look()
    assert b.brokers.groups[0].topics == {}
    assert b.brokers.groups[0].consumer_groups == {}


async def test_a_topics_resource_that_somebodys_finalizer_holds_back_is_gone(b: Bench) -> None:
    b.make()
    topic = resource("RocketTopic", "pay", deletionPolicy="Delete")
    b.store.create({**topic, "metadata": {**topic["metadata"], "finalizers": ["example.org/holds"]}})
    await b.until_stable()
    b.store.delete(("RocketTopic", "default", "pay"))
    await b.until_stable()
    assert b.brokers.groups[0].topics == {}


async def test_an_object_that_somebody_always_changes_back_is_told_and_not_fought_over(b: Bench) -> None:
    b.make()
    await b.until_stable()

    def meddle(event: str, one: dict[str, Any]) -> None:
        is_it = one["kind"] == "Service" and one["metadata"]["name"] == "orders-namesrv" and event == "MODIFIED"
        if is_it and one["spec"].get("type") != "NodePort":
            b.store.patch(("Service", "default", "orders-namesrv"), {"spec": {"type": "NodePort"}})

    b.store.on_change.append(meddle)
    b.store.patch(("Service", "default", "orders-namesrv"), {"spec": {"type": "NodePort"}})
    b.kubernetes.faults.writes.clear()
    await b.look()
    assert b.condition("Reconciled")["reason"] == "ApplyConflict"
    assert len([write for write in b.kubernetes.faults.writes if "Service" in write]) < 5


async def test_volumes_grow_one_by_one_and_the_stateful_set_is_made_anew_around_its_pods(b: Bench) -> None:
    b.store.create(_storage_class("standard", True))
    b.make()
    await b.until_stable()
    uids = {pod["metadata"]["uid"] for pod in b.store.list("Pod")}
    b.edit(broker={"storage": {"size": "20Gi"}})
    await b.until("StorageHealthy", "False", "Resizing")
    for claim in b.store.list("PersistentVolumeClaim"):
        b.store.patch(("PersistentVolumeClaim", "default", claim["metadata"]["name"]),
                      {"status": {"capacity": {"storage": "20Gi"}}}, "status")  # fmt: skip
    await b.until_stable()
    assert {pod["metadata"]["uid"] for pod in b.store.list("Pod")} == uids


async def test_a_class_whose_volumes_cannot_grow_is_named_and_all_else_goes_on(b: Bench) -> None:
    b.store.create(_storage_class("standard", False))
    b.make()
    await b.until_stable()
    b.edit(broker={"storage": {"size": "20Gi"}, "config": {"fileReservedTime": "24"}})
    await b.until("StorageHealthy", "False", "ExpansionUnsupported")
    assert b.condition("Reconciled")["status"] == "True"


async def test_topics_and_consumer_groups_are_declared_corrected_and_deleted_by_policy(b: Bench) -> None:
    b.make(broker={"groups": 2})
    await b.until_stable()
    b.store.create(resource("RocketTopic", "pay", queues={"read": 4, "write": 4}))
    b.store.create(resource("RocketTopic", "log", deletionPolicy="Delete"))
    b.store.create(resource("RocketConsumerGroup", "settle", retries={"max": 3}))
    await b.until_stable()
    for group in (0, 1):
        assert b.brokers.groups[group].topics["pay"].write_queue_nums == 4
        assert b.brokers.groups[group].consumer_groups["settle"].retry_max_times == 3
    topic = b.store.get("RocketTopic", "default", "pay")
    assert topic is not None
    assert topic["status"]["conditions"][0]["status"] == "True"
    b.brokers.groups[1].topics["pay"] = TopicConfig("pay", 1, 1)
    await b.until_stable()
    assert b.brokers.groups[1].topics["pay"].write_queue_nums == 4, "corrected"
    for name in ("pay", "log"):
        b.store.delete(("RocketTopic", "default", name))
    await b.until_stable()
    assert [list(b.brokers.groups[group].topics) for group in (0, 1)] == [["pay"], ["pay"]]


async def test_the_second_of_two_resources_for_one_topic_is_told(b: Bench) -> None:
    b.make()
    b.store.create(resource("RocketTopic", "a", topicName="pay"))
    b.store.create(resource("RocketTopic", "b", topicName="pay", queues={"read": 2, "write": 2}))
    await b.until_stable()
    found = b.store.get("RocketTopic", "default", "b")
    assert found is not None
    assert found["status"]["conditions"][0]["reason"] == "Conflict"
    assert b.brokers.groups[0].topics["pay"].write_queue_nums == 8


async def test_a_topic_whose_cluster_does_not_exist_says_so(b: Bench) -> None:
    b.store.create(resource("RocketTopic", "pay"))
    await b.look()
    found = b.store.get("RocketTopic", "default", "pay")
    assert found is not None
    assert found["status"]["conditions"][0]["reason"] == "ClusterNotFound"


async def test_a_paused_cluster_is_reported_and_not_touched(b: Bench) -> None:
    b.make()
    await b.until_stable()
    b.edit(managementPolicy="Paused", broker={"groups": 3})
    await b.until("Reconciled", "False", "Paused")
    assert b.names("StatefulSet") == ["orders-broker-0"]
    b.edit(managementPolicy="Managed")
    await b.until_stable()
    assert len(b.names("StatefulSet")) == 3


@pytest.mark.parametrize(("policy", "claims"), [("Retain", 2), ("Delete", 0)])
async def test_a_deleted_cluster_leaves_nothing_but_what_its_policy_keeps(b: Bench, policy: str, claims: int) -> None:
    b.make(deletionPolicy=policy)
    await b.until_stable()
    b.delete()
    await b.look()
    assert len(b.names("PersistentVolumeClaim")) == claims
    for kind in ("StatefulSet", "Deployment", "Service", "ConfigMap", "Role", "Lease", "Pod"):
        assert b.names(kind) == []


@pytest.mark.parametrize("code", [409, 429, 500, 503])
async def test_an_answer_that_may_be_better_next_time_is_waited_for(b: Bench, code: int) -> None:
    b.make()
    b.kubernetes.faults.answers = [code]
    outcome = await b.look()
    assert outcome.retry
    assert outcome.retry_after == (1.0 if code == 429 else None)
    assert b.condition("Reconciled")["reason"] == "ApiError"
    await b.until_stable()


async def test_what_the_api_server_refuses_for_good_is_not_tried_again_and_again(b: Bench) -> None:
    b.make()
    b.kubernetes.faults.answers = [422]
    outcome = await b.look()
    assert not outcome.retry
    assert b.condition("Reconciled")["reason"] == "RefusedByApiServer"


def _storage_class(name: str, grows: bool) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "allowVolumeExpansion": grows,
    }  # fmt: skip
