"""Which topics and consumer groups one broker gives to another: all but those that each makes for itself."""

from __future__ import annotations

import pytest

from rocket_operator import manifest
from rocket_operator.objects.metadata import Cluster
from rocket_operator.rollout.metadata import to_copy
from rocket_operator.rollout.view import Broker
from rocket_operator.spec import ClusterSpec
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.topics import TopicConfig

ORDERS = "apiVersion: rocketcluster.dev/v1alpha1\nkind: RocketCluster\nmetadata: {name: orders}\nspec: {}\n"
EMPTY = Broker({}, topics={}, consumer_groups={})


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(ClusterSpec.parse(manifest.read(ORDERS)), "messaging", "u-1")


@pytest.mark.parametrize("name", ["2024", "orders-broker-x", "TOOLS_CONSUMER_of_mine", "RMQ_SYS_of_mine"])
def test_what_is_only_named_like_a_brokers_own_is_given(cluster: Cluster, name: str) -> None:
    known = Broker({}, topics={name: TopicConfig(name)}, consumer_groups={name: SubscriptionGroupConfig(name)})
    assert to_copy(known, EMPTY, cluster) == ((TopicConfig(name),), (SubscriptionGroupConfig(name),))


def test_what_each_broker_makes_for_itself_is_not(cluster: Cluster) -> None:
    topics = {name: TopicConfig(name) for name in ("orders", "orders-broker-0", "TBW102", "rmq_sys_x")}
    assert to_copy(Broker({}, topics=topics, consumer_groups={}), EMPTY, cluster) == ((), ())
