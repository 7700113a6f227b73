"""Consumer groups as an administrator sees them (protocol section 3.4)."""

from __future__ import annotations

import asyncio

import msgspec

from rocket_broker.groups import is_legal
from rocket_broker.state import Broker
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, Reply
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.groups import SubscriptionGroupConfig, SubscriptionGroupList
from rocket_wire.bodies.stats import ConsumeStats, ConsumeStatsList, OffsetWrapper
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers.topics import (
    DeleteSubscriptiongroup,
    GetAllSubscriptiongroupConfig,
    GetAllSubscriptiongroupConfigAnswer,
    GetBrokerConsumeStats,
    GetConsumeStats,
    GetSubscriptiongroupConfig,
)
from rocket_wire.topic_names import DLQ_PREFIX, RETRY_PREFIX


def update_and_create_subscriptiongroup(broker: Broker, request: Command, _: Connection) -> Answer:
    """Makes or changes a group."""
    return _put(broker, request, (SubscriptionGroupConfig.decode(request.body),))


def update_and_create_subscriptiongroup_list(broker: Broker, request: Command, _: Connection) -> Answer:
    """Makes or changes several groups."""
    return _put(broker, request, SubscriptionGroupList.decode(request.body).group_config_list)


def _put(broker: Broker, request: Command, configs: tuple[SubscriptionGroupConfig, ...]) -> Answer:
    for config in configs:
        if not is_legal(config.group_name):
            remark = f"The specified group {config.group_name[:64]!r} is blank, too long or has illegal characters."
            raise RequestError(ResponseCode.INVALID_PARAMETER, remark)
    for config in configs:
        broker.groups.put(config)
    return _when_saved(broker, request)


async def _when_saved(broker: Broker, request: Command) -> Reply:
    try:
        await asyncio.shield(broker.groups_saver.save())
    except OSError as error:
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"the change holds, but could not be saved: {error}") from None
    return request.reply()


def get_all_subscriptiongroup_config(
    broker: Broker, header: GetAllSubscriptiongroupConfig, request: Command, _: Connection
) -> Answer:
    """All groups, or a page of them for those who ask so (5.3)."""
    wrapper = broker.groups.wrapper()
    names = sorted(wrapper.subscription_group_table)
    start = header.group_seq or 0
    page = names[start : start + header.max_group_num] if header.max_group_num else names
    table = {name: wrapper.subscription_group_table[name] for name in page}
    body = msgspec.structs.replace(wrapper, subscription_group_table=table)
    return request.reply(GetAllSubscriptiongroupConfigAnswer(len(names)), body.encode())


def get_subscriptiongroup_config(
    broker: Broker, header: GetSubscriptiongroupConfig, request: Command, _: Connection
) -> Answer:
    """One group."""
    return request.reply(body=broker.groups.require(header.group).encode())


def delete_subscriptiongroup(
    broker: Broker, header: DeleteSubscriptiongroup, request: Command, _: Connection
) -> Answer:
    """Deletes a group, with its offsets when asked to."""
    broker.groups.delete(header.group_name)
    if header.clean_offset:
        broker.offsets.delete_group(header.group_name)
    return _when_saved(broker, request)


def get_consume_stats(broker: Broker, header: GetConsumeStats, request: Command, _: Connection) -> Answer:
    """How far a group is on each queue of one topic, or of all that it has offsets or subscriptions in."""
    group = header.consumer_group
    topics = _topics_of(broker, group)
    if header.topic:
        topics &= {header.topic}
    elif header.topic_list:
        topics &= set(header.topic_list.split(";"))
    table: dict[MessageQueue, OffsetWrapper] = {}
    for topic in topics:
        table |= _progress(broker, group, topic)
    return request.reply(body=ConsumeStats(table, broker.statistics.get_rate(group)).encode())


def get_broker_consume_stats(broker: Broker, header: GetBrokerConsumeStats, request: Command, _: Connection) -> Answer:
    """How far every group is in each of its topics, which are those with ordered messages only where so asked."""
    told: list[dict[str, list[ConsumeStats]]] = []
    lag = 0
    for group in sorted(broker.groups.table):
        rate = broker.statistics.get_rate(group)
        topics = (topic for topic in sorted(_topics_of(broker, group)) if _is_wanted(broker, topic, header.is_order))
        progress = [ConsumeStats(_progress(broker, group, topic), rate) for topic in topics]
        lag += sum(queue.lag for stats in progress for queue in stats.offset_table.values())
        told.append({group: progress})
    return request.reply(body=ConsumeStatsList(told, broker.config.settings.address, lag).encode())


def _is_wanted(broker: Broker, topic: str, is_order: bool) -> bool:
    config = broker.topics.get(topic)
    return config is not None and (config.order or not is_order)


def _topics_of(broker: Broker, group: str) -> set[str]:
    """The topics that a group has offsets or subscriptions in, with its retries."""
    live = broker.clients.consumers.get(group)
    topics = set(broker.offsets.topics_of(group)) | (set(live.subscriptions) if live is not None else set())
    topics |= {RETRY_PREFIX + group} & set(broker.topics.table)
    return topics - {DLQ_PREFIX + group}


def _progress(broker: Broker, group: str, topic: str) -> dict[MessageQueue, OffsetWrapper]:
    config = broker.topics.get(topic)
    if config is None:
        return {}
    progress = {}
    for queue_id in range(config.read_queue_nums):
        end = max(0, broker.store.max_offset(topic, queue_id))
        consumed = broker.offsets.query(group, topic, queue_id) or 0
        last = broker.store.store_time(topic, queue_id, consumed - 1) if consumed > 0 else None
        queue = MessageQueue(topic, broker.config.settings.broker_name, queue_id)
        progress[queue] = OffsetWrapper(end, consumed, consumed, last or 0)
    return progress
