"""Consumer groups as brokers configure and persist them (protocol sections 3.4, 4.8)."""

from __future__ import annotations

from rocket_wire.bodies.body import Body, written, written_new
from rocket_wire.bodies.version import DataVersion
from rocket_wire.headers.numbers import Int, Long


class SimpleSubscriptionData(Body, frozen=True):
    """A subscription kept with its group: what to deliver while no member is online."""

    topic: str
    expression_type: str | None = None
    expression: str | None = None
    version: Long = written(0)


class ExponentialRetryPolicy(Body, frozen=True):
    """Waits that grow by `multiplier` from `initial` to `max` (milliseconds)."""

    initial: Long = written(5_000)
    max: Long = written(7_200_000)
    multiplier: Long = written(2)


class CustomizedRetryPolicy(Body, frozen=True):
    """The wait before each next try (milliseconds)."""

    next: tuple[Long, ...]


class GroupRetryPolicy(Body, frozen=True):
    """How long a failed message of a pop consumer rests: `type` CUSTOMIZED or EXPONENTIAL names the policy in force."""

    type: str = written("CUSTOMIZED")
    exponential_retry_policy: ExponentialRetryPolicy | None = None
    customized_retry_policy: CustomizedRetryPolicy | None = None


class SubscriptionGroupConfig(Body, frozen=True):
    """One consumer group on one broker. UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, GET_SUBSCRIPTIONGROUP_CONFIG's answer."""

    group_name: str
    consume_enable: bool = written(True)
    consume_from_min_enable: bool = written(True)
    consume_broadcast_enable: bool = written(True)
    consume_message_orderly: bool = written(False)
    retry_queue_nums: Int = written(1)
    retry_max_times: Int = written(16)
    group_retry_policy: GroupRetryPolicy = written(GroupRetryPolicy())
    broker_id: Long = written(0)
    which_broker_when_consume_slowly: Long = written(1)
    notify_consumer_ids_changed_enable: bool = written(True)
    group_sys_flag: Int = written(0)
    consume_timeout_minute: Int = written(15)
    subscription_data_set: tuple[SimpleSubscriptionData, ...] | None = None
    attributes: dict[str, str] = written_new(dict)


class SubscriptionGroupWrapper(Body, frozen=True):
    """All consumer groups of a broker: subscriptionGroup.json and GET_ALL_SUBSCRIPTIONGROUP_CONFIG's answer.

    `forbidden_table` has bits by topic by group: bit 0 set forbids the group to read the topic.
    """

    subscription_group_table: dict[str, SubscriptionGroupConfig] = written_new(dict)
    forbidden_table: dict[str, dict[str, Int]] = written_new(dict)
    data_version: DataVersion = written_new(DataVersion)


class SubscriptionGroupList(Body, frozen=True):
    """UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST: groups as they shall be."""

    group_config_list: tuple[SubscriptionGroupConfig, ...]


class GroupList(Body, frozen=True):
    """QUERY_TOPIC_CONSUME_BY_WHO's answer: names of consumer groups."""

    group_list: frozenset[str] = written(frozenset())
