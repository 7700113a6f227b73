"""Topics as brokers configure, persist and register them (protocol sections 3.4, 4.8)."""

from __future__ import annotations

from rocket_wire.bodies.body import Body, written, written_new
from rocket_wire.bodies.route import TopicQueueMappingInfo
from rocket_wire.bodies.version import DataVersion
from rocket_wire.headers.numbers import Int, Long


class TopicConfig(Body, frozen=True):
    """One topic on one broker. `perm` has bits 4 read, 2 write, 1 inherit; `attributes` are those of section 4.8."""

    topic_name: str
    read_queue_nums: Int = written(16)
    write_queue_nums: Int = written(16)
    perm: Int = written(6)
    topic_filter_type: str = written("SINGLE_TAG")
    topic_sys_flag: Int = written(0)
    order: bool = written(False)
    attributes: dict[str, str] = written_new(dict)


class TopicConfigSerializeWrapper(Body, frozen=True):
    """All topics of a broker: topics.json, and GET_ALL_TOPIC_CONFIG's answer up to 4.9."""

    topic_config_table: dict[str, TopicConfig] = written_new(dict)
    data_version: DataVersion = written_new(DataVersion)


class LogicQueueMappingItem(Body, frozen=True):
    """A stretch of a logical queue that one physical queue holds. -1 in an end means open."""

    gen: Int = written(0)
    queue_id: Int = written(0)
    bname: str | None = None
    logic_offset: Long = written(0)
    start_offset: Long = written(0)
    end_offset: Long = written(-1)
    time_of_start: Long = written(-1)
    time_of_end: Long = written(-1)


class TopicQueueMappingDetail(TopicQueueMappingInfo, frozen=True):
    """A static topic's logical queues with their whole history."""

    hosted_queues: dict[Int, tuple[LogicQueueMappingItem, ...]] = written_new(dict)


class TopicConfigAndMappingSerializeWrapper(TopicConfigSerializeWrapper, frozen=True):
    """All topics of a broker with the queue mappings of static ones: what a 5.x broker registers and answers."""

    topic_queue_mapping_info_map: dict[str, TopicQueueMappingInfo] = written_new(dict)
    topic_queue_mapping_detail_map: dict[str, TopicQueueMappingDetail] = written_new(dict)
    mapping_data_version: DataVersion = written_new(DataVersion)


class TopicConfigAndQueueMapping(TopicConfig, frozen=True):
    """GET_TOPIC_CONFIG's answer."""

    mapping_detail: TopicQueueMappingDetail | None = None


class CreateTopicListRequestBody(Body, frozen=True):
    """UPDATE_AND_CREATE_TOPIC_LIST: topics as they shall be."""

    topic_config_list: tuple[TopicConfig, ...]
