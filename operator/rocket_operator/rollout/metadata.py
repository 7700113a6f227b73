"""What one group must be told so that it knows the topics and consumer groups of another."""

from __future__ import annotations

from rocket_operator.objects.metadata import Cluster
from rocket_operator.rollout.view import Broker
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.topics import TopicConfig

#: Topics that every broker makes for itself (protocol section 6.1).
_OWN_TOPICS = frozenset(
    {
        "TBW102", "SELF_TEST_TOPIC", "RMQ_SYS_SELF_TEST_TOPIC", "BenchmarkTest", "OFFSET_MOVED_EVENT",
        "RMQ_SYS_OFFSET_MOVED_EVENT", "SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRANS_HALF_TOPIC",
        "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC",
    }
)  # fmt: skip
_OWN_PREFIXES = ("rmq_sys_", "%SYS%")
Copied = tuple[tuple[TopicConfig, ...], tuple[SubscriptionGroupConfig, ...]]


def to_copy(source: Broker, target: Broker, cluster: Cluster) -> Copied | None:
    """The topics and consumer groups that `target` lacks; None while one of them has not said what it has.

    One that both have stays as the target has it: a difference there is somebody's wish.
    """
    if source.topics is None or source.consumer_groups is None:
        return None
    if target.topics is None or target.consumer_groups is None:
        return None
    topics = [
        config for name, config in source.topics.items() if name not in target.topics and not is_own(name, cluster)
    ]
    groups = [config for name, config in source.consumer_groups.items() if name not in target.consumer_groups]
    return tuple(topics), tuple(groups)


def is_own(topic: str, cluster: Cluster) -> bool:
    """Whether a broker makes this topic by itself: system topics, and those named as its cluster or a broker."""
    return (
        topic in _OWN_TOPICS
        or topic.startswith(_OWN_PREFIXES)
        or topic == cluster.spec.cluster_name
        or (topic.startswith(f"{cluster.brokers}-") and topic.removeprefix(f"{cluster.brokers}-").isdecimal())
    )
