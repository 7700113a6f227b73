"""Headers that administer a broker: topics, consumer groups, their statistics, its configuration (section 3.4)."""

from __future__ import annotations

from rocket_wire.headers.header import Header
from rocket_wire.headers.numbers import Int


class UpdateAndCreateTopic(Header, frozen=True):
    """A topic as it shall be. `attributes` lists changes: `+key=value,-key`."""

    topic: str
    default_topic: str
    read_queue_nums: Int
    write_queue_nums: Int
    perm: Int
    topic_filter_type: str
    topic_sys_flag: Int | None = None
    order: bool = False
    attributes: str | None = None
    force: bool = False


class GetAllTopicConfig(Header, frozen=True):
    """All topics, or from 5.3 on the page of them that starts at `topic_seq`. Absent fields ask for all."""

    topic_seq: Int | None = None
    data_version: str | None = None
    max_topic_num: Int | None = None


class GetAllTopicConfigAnswer(Header, frozen=True):
    """How many topics there are in all. The body is a TopicConfigSerializeWrapper."""

    total_topic_num: Int


class GetTopicConfig(Header, frozen=True):
    """One topic's configuration. Answered with a TopicConfigAndQueueMapping."""

    topic: str


class DeleteTopicInBroker(Header, frozen=True):
    """Remove a topic and its queues."""

    topic: str


class GetTopicStatsInfo(Header, frozen=True):
    """Each queue's ends. Answered with a TopicStatsTable."""

    topic: str


class GetAllSubscriptiongroupConfig(Header, frozen=True):
    """All consumer groups, or from 5.3 on the page of them that starts at `group_seq`. Absent fields ask for all."""

    group_seq: Int | None = None
    data_version: str | None = None
    max_group_num: Int | None = None


class GetAllSubscriptiongroupConfigAnswer(Header, frozen=True):
    """How many groups there are in all. The body is a SubscriptionGroupWrapper."""

    total_group_num: Int


class GetSubscriptiongroupConfig(Header, frozen=True):
    """One consumer group's configuration. Answered with a SubscriptionGroupConfig."""

    group: str


class DeleteSubscriptiongroup(Header, frozen=True):
    """Remove a consumer group, with `clean_offset` its offsets too."""

    group_name: str
    clean_offset: bool = False


class GetConsumeStats(Header, frozen=True):
    """How far a group is, on one topic or all. Answered with a ConsumeStats. `topic_list` is joined by `;`."""

    consumer_group: str
    topic: str | None = None
    topic_list: str | None = None


class GetBrokerConsumeStats(Header, frozen=True):
    """How far every group is, in ordered topics only where `is_order`. Answered with a ConsumeStatsList."""

    is_order: bool


class GetBrokerConfigAnswer(Header, frozen=True):
    """The configuration's DataVersion as JSON text. The body is properties text."""

    version: str


class HandOverGroup(Header, frozen=True):
    """To the member that is to lead, by its name (ours, no protocol section); empty: whichever is quickest."""

    member: str | None = None
