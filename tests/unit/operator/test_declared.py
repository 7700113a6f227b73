"""RocketTopics and RocketConsumerGroups: what is made of them, what is deleted with them, and who says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from rocket_operator.objects.groups import Group, State
from rocket_operator.objects.metadata import Cluster, Images, Manifest
from rocket_operator.rollout import declared
from rocket_operator.rollout.resources import DeclaredGroup, DeclaredTopic
from rocket_operator.rollout.steps import Apply, CopyMetadata, DeleteMetadata
from rocket_operator.rollout.view import Broker, Observed, Pod, View
from rocket_operator.spec import ClusterSpec, Keep
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.topics import TopicConfig

KIND = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster", "metadata": {"name": "orders"}}
CLUSTER = Cluster(ClusterSpec.parse({**KIND, "spec": {"broker": {"groups": 2}}}), "messaging", "u-1")
HAS_ALL = Broker({}, topics={"pay": TopicConfig("pay")}, consumer_groups={"settle": SubscriptionGroupConfig("settle")})
PAY = TopicConfig("pay", 8, 8, attributes={"message.type": "FIFO"})
SETTLE = SubscriptionGroupConfig("settle", retry_queue_nums=1, retry_max_times=16)


def topic(resource: str = "pay", config: TopicConfig = PAY, created: str = "2026-01-01T00:00:00Z") -> DeclaredTopic:
    return DeclaredTopic(resource, "orders", 1, created, Keep.DELETE, config)


def consumer_group(config: SubscriptionGroupConfig = SETTLE) -> DeclaredGroup:
    return DeclaredGroup("settle", "orders", 1, "2026-01-01T00:00:00Z", Keep.RETAIN, config)


def view(*brokers: Broker | None, topics: Iterable[DeclaredTopic] = (), groups: Iterable[DeclaredGroup] = ()) -> View:
    """Two groups that take messages; the brokers are what their masters say, None for one that says nothing."""
    maps = {
        ("ConfigMap", name): config_map(name, index)
        for index, name in enumerate(["orders-broker-0", "orders-broker-1"])
    }
    pods = [master(index) for index in (0, 1)]
    says = {pod.name: broker for pod, broker in zip(pods, brokers, strict=True) if broker is not None}
    observed = Observed(maps, tuple(pods), brokers=says, topics=tuple(topics), consumer_groups=tuple(groups))
    return View(CLUSTER, Images("broker:1.0", "namesrv:1.0", "1.0"), observed, 0.0)


def config_map(name: str, index: int) -> Manifest:
    state = Group(index, State.ACTIVE).annotations()
    labels = {"rocketcluster.dev/group": str(index)}
    return {"kind": "ConfigMap", "metadata": {"name": name, "labels": labels, "annotations": state}}


def master(index: int) -> Pod:
    name = f"orders-broker-{index}-0"
    return Pod(
        name, name, index, 0, f"10.0.0.{index}", 10911, True, False, "r", "", "broker:1.0", "1.0", "master", True
    )


def recorded(seen: View, topics: Mapping[str, str], groups: Mapping[str, str]) -> View:
    """The same where the record says so."""
    (step,) = declared._write_record(seen, topics, groups)
    assert isinstance(step, Apply)
    return replace(seen, observed=seen.observed.with_object(step.manifest))


def test_what_is_declared_is_recorded_before_it_is_made() -> None:
    steps = list(declared.declare(view(HAS_ALL, HAS_ALL, topics=[topic()])))
    assert [type(step) for step in steps] == [Apply, CopyMetadata, CopyMetadata]


@pytest.mark.parametrize(
    "found",
    [
        TopicConfig("pay", 4, 8, attributes={"message.type": "FIFO"}),
        TopicConfig("pay", 8, 4, attributes={"message.type": "FIFO"}),
        TopicConfig("pay", 8, 8, 4, attributes={"message.type": "FIFO"}),
        TopicConfig("pay", 8, 8),
    ],
    ids=["readers", "writers", "permission", "type"],
)
def test_a_topic_that_is_otherwise_than_declared_is_corrected(found: TopicConfig) -> None:
    assert topic().is_met_by(PAY)
    assert not topic().is_met_by(found)


@pytest.mark.parametrize(
    "found",
    [
        SubscriptionGroupConfig("settle", consume_enable=False),
        SubscriptionGroupConfig("settle", consume_broadcast_enable=False),
        SubscriptionGroupConfig("settle", consume_message_orderly=True),
        SubscriptionGroupConfig("settle", retry_queue_nums=2),
        SubscriptionGroupConfig("settle", retry_max_times=3),
    ],
    ids=["enabled", "broadcast", "orderly", "queues", "retries"],
)
def test_a_consumer_group_that_is_otherwise_than_declared_is_corrected(found: SubscriptionGroupConfig) -> None:
    assert consumer_group().is_met_by(SETTLE)
    assert not consumer_group().is_met_by(found)


def test_of_two_resources_for_one_topic_the_older_counts_whatever_they_are_called() -> None:
    older, newer = topic("z", created="2026-01-01T00:00:00Z"), topic("a", created="2026-02-01T00:00:00Z")
    assert declared.winners([newer, older]) == {"pay": older}


def test_brokers_are_asked_for_topics_as_long_as_something_is_recorded() -> None:
    seen = recorded(view(HAS_ALL, HAS_ALL), {"pay": "Delete"}, {})
    assert declared.is_asked(CLUSTER, seen.observed.objects, declared=False)
    assert declared.is_asked(CLUSTER, {}, declared=True)
    assert not declared.is_asked(CLUSTER, {}, declared=False)


def test_each_topic_and_consumer_group_goes_or_stays_as_its_own_resource_said() -> None:
    seen = recorded(view(HAS_ALL, HAS_ALL), {"pay": "Delete"}, {"settle": "Retain"})
    told = [(step.topic, step.consumer_group) for step in declared.forget(seen) if isinstance(step, DeleteMetadata)]
    assert told == [("pay", None), ("pay", None)]
    seen = recorded(view(HAS_ALL, HAS_ALL), {"pay": "Retain"}, {"settle": "Delete"})
    told = [(step.topic, step.consumer_group) for step in declared.forget(seen) if isinstance(step, DeleteMetadata)]
    assert told == [(None, "settle"), (None, "settle")]


@pytest.mark.parametrize("unknown", [None, replace(HAS_ALL, topics=None), replace(HAS_ALL, consumer_groups=None)])
def test_nothing_is_forgotten_before_every_group_has_said_what_it_has(unknown: Broker | None) -> None:
    seen = recorded(view(HAS_ALL, unknown), {"pay": "Delete"}, {"settle": "Delete"})
    assert list(declared.forget(seen)) == []


def test_consumer_groups_that_are_not_known_are_not_made_over() -> None:
    seen = view(HAS_ALL, replace(HAS_ALL, consumer_groups=None), groups=[consumer_group()])
    assert [type(step) for step in declared.declare(seen)] == [Apply]
