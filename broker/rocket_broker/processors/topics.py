"""Topics as an administrator sees them: make, change, delete, list, look at (protocol sections 3.3, 3.4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

import msgspec

from rocket_broker.state import Broker
from rocket_broker.store.errors import StoreError
from rocket_broker.topics import check_name, check_queue_type
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, Reply
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.route import TopicList
from rocket_wire.bodies.stats import TopicOffset, TopicStatsTable
from rocket_wire.bodies.topics import (
    CreateTopicListRequestBody,
    TopicConfig,
    TopicConfigAndMappingSerializeWrapper,
    TopicConfigAndQueueMapping,
)
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers.topics import (
    DeleteTopicInBroker,
    GetAllTopicConfig,
    GetAllTopicConfigAnswer,
    GetTopicConfig,
    GetTopicStatsInfo,
    UpdateAndCreateTopic,
)

log = logging.getLogger("rocket.topics")

MAX_QUEUES: Final = 65_536
_ANNOUNCE_SECONDS: Final = 3.0


def update_and_create_topic(
    broker: Broker, header: UpdateAndCreateTopic, request: Command, connection: Connection
) -> Answer:
    """Makes or changes a topic; answered when it is saved and the name servers in reach know it."""
    _require_master(broker)
    before = broker.topics.get(header.topic)
    config = TopicConfig(
        topic_name=header.topic,
        read_queue_nums=header.read_queue_nums,
        write_queue_nums=header.write_queue_nums,
        perm=header.perm,
        topic_filter_type=header.topic_filter_type,
        topic_sys_flag=header.topic_sys_flag or 0,
        order=header.order,
        attributes=changed_attributes(before.attributes if before else {}, header.attributes or ""),
    )
    _check(broker, config)
    log.info("topic %s is set by %s: %s", header.topic, connection.peer, config)
    if not broker.topics.put(config):
        return request.reply()
    return _when_known(broker, request)


def update_and_create_topic_list(broker: Broker, request: Command, _: Connection) -> Answer:
    """The same for several topics: all or none."""
    _require_master(broker)
    configs = [_listed(broker, each) for each in CreateTopicListRequestBody.decode(request.body).topic_config_list]
    for config in configs:
        _check(broker, config)
    changed = [config for config in configs if broker.topics.put(config)]
    if not changed:
        return request.reply()
    return _when_known(broker, request)


def delete_topic_in_broker(
    broker: Broker, header: DeleteTopicInBroker, request: Command, connection: Connection
) -> Answer:
    """Deletes a topic, its queues and what was consumed of it, retry topics of pop consumers included."""
    _require_master(broker)
    check_name(header.topic)  # it is about to be a folder's name, and that folder to be deleted
    if broker.topics.is_system(header.topic):
        remark = f"The topic[{header.topic}] is conflict with system topic."
        raise RequestError(ResponseCode.INVALID_PARAMETER, remark)
    try:
        broker.store.delete_topic(header.topic)
    except StoreError as error:
        raise RequestError(ResponseCode.SYSTEM_ERROR, str(error)) from error
    log.info("topic %s is deleted by %s", header.topic, connection.peer)
    known = broker.topics.delete(header.topic)
    broker.offsets.delete_topic(header.topic)
    return _when_saved(broker, request) if known else request.reply()


def get_all_topic_config(broker: Broker, header: GetAllTopicConfig, request: Command, _: Connection) -> Answer:
    """All topics, or a page of them for those who ask so (5.3)."""
    names = sorted(broker.topics.table)
    start = header.topic_seq or 0
    page = names[start : start + header.max_topic_num] if header.max_topic_num else names
    wrapper = TopicConfigAndMappingSerializeWrapper(
        topic_config_table={name: broker.topics.table[name] for name in page}, data_version=broker.topics.version
    )
    return request.reply(GetAllTopicConfigAnswer(len(names)), wrapper.encode())


def get_topic_config(broker: Broker, header: GetTopicConfig, request: Command, _: Connection) -> Answer:
    """One topic."""
    config = _known(broker, header.topic)
    return request.reply(body=TopicConfigAndQueueMapping(**msgspec.structs.asdict(config)).encode())


def get_topic_stats_info(broker: Broker, header: GetTopicStatsInfo, request: Command, _: Connection) -> Answer:
    """Each queue's ends and when it was last written.

    A topic that has fewer queues now than before may hold messages in the queues that it no longer has: those are told
    too, or a drain would take the broker for empty.
    """
    config = _known(broker, header.topic)
    name = broker.config.settings.broker_name
    table = {}
    own = range(max(config.read_queue_nums, config.write_queue_nums))
    for queue_id in (*own, *(held for held in broker.store.held_queues(header.topic) if held not in own)):
        low = max(0, broker.store.min_offset(header.topic, queue_id))
        high = max(0, broker.store.max_offset(header.topic, queue_id))
        last = broker.store.store_time(header.topic, queue_id, high - 1) if high > low else None
        table[MessageQueue(header.topic, name, queue_id)] = TopicOffset(low, high, last or 0)
    rate = broker.statistics.put_rate(header.topic)
    return request.reply(body=TopicStatsTable(table, rate).encode())


def get_system_topic_list_from_broker(broker: Broker, request: Command, _: Connection) -> Answer:
    """The topics that the broker made for itself."""
    return request.reply(body=TopicList(frozenset(broker.topics.system)).encode())


def changed_attributes(before: Mapping[str, str], changes: str) -> dict[str, str]:
    """Attributes after `+key=value,-key` (section 4.8). Raises RequestError."""
    attributes = dict(before)
    for change in filter(None, map(str.strip, changes.split(","))):
        sign, key, value = change[0], *change[1:].partition("=")[::2]
        if sign == "+" and key and value:
            attributes[key] = value
        elif sign == "-" and key and not value:
            attributes.pop(key, None)
        else:
            remark = f"attribute change {change!r}: '+key=value' or '-key' is expected"
            raise RequestError(ResponseCode.INVALID_PARAMETER, remark)
    return attributes


def _listed(broker: Broker, config: TopicConfig) -> TopicConfig:
    """The topic with its attributes, which a list may name as changes (`"+key": "value"`), as Apache's tools do."""
    changes = {key: value for key, value in config.attributes.items() if key.startswith(("+", "-"))}
    if not changes:
        return config
    before = broker.topics.get(config.topic_name)
    kept = {key: value for key, value in config.attributes.items() if key not in changes}
    text = ",".join(f"{key}={value}" if key[0] == "+" else key for key, value in changes.items())
    attributes = changed_attributes((before.attributes if before else {}) | kept, text)
    return msgspec.structs.replace(config, attributes=attributes)


def _check(broker: Broker, config: TopicConfig) -> None:
    check_name(config.topic_name)
    check_queue_type(broker.topics.get(config.topic_name), config)
    if broker.topics.is_system(config.topic_name):
        remark = f"The topic[{config.topic_name}] is conflict with system topic."
        raise RequestError(ResponseCode.INVALID_PARAMETER, remark)
    for count in (config.read_queue_nums, config.write_queue_nums):
        if not 0 <= count <= MAX_QUEUES or max(config.read_queue_nums, config.write_queue_nums) < 1:
            remark = f"topic {config.topic_name} with {count} queues: 1 to {MAX_QUEUES} are possible"
            raise RequestError(ResponseCode.INVALID_PARAMETER, remark)


def _known(broker: Broker, topic: str) -> TopicConfig:
    config = broker.topics.get(topic)
    if config is None:
        raise RequestError(ResponseCode.TOPIC_NOT_EXIST, f"No topic in this broker. topic: {topic}")
    return config


def _require_master(broker: Broker) -> None:
    if not broker.config.settings.is_master:
        raise RequestError(ResponseCode.SYSTEM_ERROR, "this broker is a slave: ask its master")


async def _when_saved(broker: Broker, request: Command) -> Reply:
    await _saved(broker.topics_saver.save())
    return request.reply()


async def _when_known(broker: Broker, request: Command) -> Reply:
    await _saved(broker.topics_saver.save())
    try:
        async with asyncio.timeout(_ANNOUNCE_SECONDS):
            await broker.registration.announced()
    except TimeoutError:
        log.warning("a new topic is not at every name server after %g s; the next registration repeats it",
                    _ANNOUNCE_SECONDS)  # fmt: skip
    return request.reply()


async def _saved(saving: asyncio.Future[None]) -> None:
    try:
        await asyncio.shield(saving)
    except OSError as error:
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"the change holds, but could not be saved: {error}") from None
