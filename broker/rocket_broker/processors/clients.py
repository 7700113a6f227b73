"""Heartbeats and membership: who produces, who consumes, and telling a group of its changes (section 3.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from rocket_broker.clients import Member
from rocket_broker.state import Broker
from rocket_broker.topics import PERM_READ, PERM_WRITE
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_net.errors import TransportError
from rocket_wire.binary import language_name
from rocket_wire.bodies import connections
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.heartbeat import ConsumerData, ConsumerList, HeartbeatData, MessageModel
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command
from rocket_wire.command import request as new_request
from rocket_wire.errors import RequestError
from rocket_wire.headers.clients import (
    GetConsumerConnectionList,
    GetConsumerListByGroup,
    GetProducerConnectionList,
    HeartBeatAnswer,
    NotifyConsumerIdsChanged,
    UnregisterClient,
)
from rocket_wire.topic_names import RETRY_PREFIX


def heart_beat(broker: Broker, request: Command, connection: Connection) -> Answer:
    """Registers the client in its groups and makes their retry topics."""
    heartbeat = HeartbeatData.decode(request.body)
    member = Member(heartbeat.client_id, language_name(request.language), request.version, broker.now())
    consumers = list(_known(broker, heartbeat.consumer_data_set))
    if broker.config.settings.is_master:
        broker.topics.ensure_all(_retry_topics(consumers), PERM_READ | PERM_WRITE)
    changed = False
    for consumer, config in consumers:
        is_new = broker.clients.register_consumer(
            consumer, connection, member, keep_subscriptions=heartbeat.without_sub
        )
        if is_new and config.notify_consumer_ids_changed_enable:
            notify_members(broker, [consumer.group_name])
        changed |= is_new
    for producer in heartbeat.producer_data_set:
        broker.clients.register_producer(producer.group_name, connection, member)
    return request.reply(HeartBeatAnswer(is_sub_change=changed))


def _known(broker: Broker, consumers: Iterable[ConsumerData]) -> Iterator[tuple[ConsumerData, SubscriptionGroupConfig]]:
    """Those whose group there is, or may be made, and the group."""
    for consumer in consumers:
        config = broker.groups.get(consumer.group_name)
        if config is not None:
            yield consumer, config


def _retry_topics(consumers: Iterable[tuple[ConsumerData, SubscriptionGroupConfig]]) -> Iterator[tuple[str, int]]:
    """The retry topic of each group that may have one, and how many queues it has."""
    for consumer, config in consumers:
        if config.retry_queue_nums > 0:
            yield RETRY_PREFIX + consumer.group_name, config.retry_queue_nums


def unregister_client(broker: Broker, header: UnregisterClient, request: Command, connection: Connection) -> Answer:
    """The client leaves the groups it names."""
    if header.producer_group is not None:
        broker.clients.unregister_producer(header.producer_group, connection)
    group = header.consumer_group
    if group is not None and broker.clients.unregister_consumer(group, connection):
        notify_members(broker, [group])
    return request.reply()


def connection_closed(broker: Broker, connection: Connection) -> None:
    """The client is gone without a word; its groups learn it at once."""
    notify_members(broker, broker.clients.forget(connection))


def notify_members(broker: Broker, groups: Iterable[str]) -> None:
    """Tells every member of these groups to rebalance, soon after the answer that is being made has left."""
    if not broker.config.settings.notify_consumer_ids_changed_enable:
        return
    for name in groups:
        group = broker.clients.consumers.get(name)
        if group is None or group.message_model is MessageModel.BROADCASTING:
            continue
        for connection in group.members:
            asyncio.get_running_loop().call_soon(_notify, connection, name)


def _notify(connection: Connection, group: str) -> None:
    header = NotifyConsumerIdsChanged(group)
    try:
        connection.tell(new_request(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, header, oneway=True))
    except TransportError:
        return  # it is leaving; its group hears of that from connection_closed


def get_consumer_list_by_group(
    broker: Broker, header: GetConsumerListByGroup, request: Command, connection: Connection
) -> Answer:
    """The client ids of the group's members. Rebalancing depends on everybody seeing the same ones."""
    group = broker.clients.consumers.get(header.consumer_group)
    ids = group.client_ids() if group is not None else []
    if not ids:
        remark = f"no consumer for this group, {header.consumer_group}"
        raise RequestError(ResponseCode.SYSTEM_ERROR, remark)
    return request.reply(body=ConsumerList(tuple(ids)).encode())


def get_consumer_connection_list(
    broker: Broker, header: GetConsumerConnectionList, request: Command, _: Connection
) -> Answer:
    """The group's members with their addresses and subscriptions."""
    group = broker.clients.consumers.get(header.consumer_group)
    if group is None:
        remark = f"the consumer group[{header.consumer_group}] not online"
        raise RequestError(ResponseCode.CONSUMER_NOT_ONLINE, remark)
    body = connections.ConsumerConnection(
        connection_set=_members(group.members.items()),
        subscription_table=group.subscriptions,
        consume_type=group.consume_type,
        message_model=group.message_model,
        consume_from_where=group.consume_from_where,
    )
    return request.reply(body=body.encode())


def get_producer_connection_list(
    broker: Broker, header: GetProducerConnectionList, request: Command, _: Connection
) -> Answer:
    """The producer group's members."""
    members = broker.clients.producers.get(header.producer_group)
    if not members:
        remark = f"the producer group[{header.producer_group}] not exist"
        raise RequestError(ResponseCode.SYSTEM_ERROR, remark)
    return request.reply(body=connections.ProducerConnection(_members(members.items())).encode())


def get_all_producer_info(broker: Broker, request: Command, _: Connection) -> Answer:
    """Every producer group with its members; the times of their last heartbeats in milliseconds."""
    ahead = broker.now_ms() - broker.now() * 1000
    table = {
        group: tuple(
            connections.ProducerInfo(
                member.client_id, connection.peer, member.language, member.version, int(ahead + member.seen * 1000)
            )
            for connection, member in members.items()
        )
        for group, members in broker.clients.producers.items()
    }
    return request.reply(body=connections.ProducerTable(table).encode())


def _members(members: Iterable[tuple[Connection, Member]]) -> tuple[connections.Connection, ...]:
    return tuple(
        connections.Connection(member.client_id, connection.peer, member.language, member.version)
        for connection, member in members
    )
