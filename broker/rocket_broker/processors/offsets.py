"""Offsets: a queue's ends, a time's offset, and what consumer groups have consumed (protocol section 3.3)."""

from __future__ import annotations

import logging

from rocket_broker.state import Broker
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.offsets import ResetOffsetBody
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers.offsets import (
    GetEarliestMsgStoretime,
    GetEarliestMsgStoretimeAnswer,
    GetMaxOffset,
    GetMaxOffsetAnswer,
    GetMinOffset,
    GetMinOffsetAnswer,
    InvokeBrokerToResetOffset,
    QueryConsumerOffset,
    QueryConsumerOffsetAnswer,
    SearchOffsetByTimestamp,
    SearchOffsetByTimestampAnswer,
    UpdateConsumerOffset,
)

log = logging.getLogger("rocket.offsets")


def query_consumer_offset(broker: Broker, header: QueryConsumerOffset, request: Command, _: Connection) -> Answer:
    """The group's next offset. Without one: 0 on a young queue, else "none", never another code (section 3.8)."""
    offset = broker.offsets.query(header.consumer_group, header.topic, header.queue_id)
    if offset is None and header.set_zero_if_not_found is not False:
        young = broker.store.min_offset(header.topic, header.queue_id) <= 0
        offset = 0 if young else None
    if offset is None:
        return request.refuse(
            ResponseCode.QUERY_NOT_FOUND, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"
        )
    return request.reply(QueryConsumerOffsetAnswer(offset))


def update_consumer_offset(broker: Broker, header: UpdateConsumerOffset, request: Command, _: Connection) -> Answer:
    """Commits the group's next offset."""
    if header.consumer_group not in broker.groups.table:  # a commit makes no group
        remark = f"Group {header.consumer_group} not exist!"
        raise RequestError(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, remark)
    if broker.topics.get(header.topic) is None:
        raise RequestError(ResponseCode.TOPIC_NOT_EXIST, f"Topic {header.topic} not exist!")
    if header.queue_id < 0 or header.commit_offset < 0:
        remark = f"queue {header.queue_id}, offset {header.commit_offset}: neither may be negative"
        raise RequestError(ResponseCode.SYSTEM_ERROR, remark)
    broker.offsets.commit(header.consumer_group, header.topic, header.queue_id, header.commit_offset)
    return request.reply()


def invoke_broker_to_reset_offset(
    broker: Broker, header: InvokeBrokerToResetOffset, request: Command, connection: Connection
) -> Answer:
    """Sends a group to other offsets: of one queue, or of all to a time. Consumers hear of it at their next pull."""
    if not broker.config.settings.is_master:
        raise RequestError(ResponseCode.SYSTEM_ERROR, "Can not reset offset in slave broker")
    topic = broker.topics.get(header.topic)
    if topic is None:
        raise RequestError(ResponseCode.TOPIC_NOT_EXIST, f"Topic {header.topic} does not exist")
    if header.group not in broker.groups.table:
        raise RequestError(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, f"Group {header.group} does not exist")
    queues = range(topic.read_queue_nums) if header.queue_id < 0 else (header.queue_id,)
    table = {queue_id: _reset_to(broker, header, queue_id) for queue_id in queues}
    log.info("%s resets group %s on topic %s to %s", connection.peer, header.group, header.topic, table)
    for queue_id, offset in table.items():
        broker.offsets.reset(header.group, header.topic, queue_id, offset)
        broker.arrivals.wake(header.topic, queue_id)
    name = broker.config.settings.broker_name
    body = ResetOffsetBody({MessageQueue(header.topic, name, queue_id): offset for queue_id, offset in table.items()})
    return request.reply(body=body.encode())


def _reset_to(broker: Broker, header: InvokeBrokerToResetOffset, queue_id: int) -> int:
    least = max(0, broker.store.min_offset(header.topic, queue_id))
    most = broker.store.max_offset(header.topic, queue_id)
    if header.queue_id >= 0 and header.offset is not None and header.offset != -1:
        if not least <= header.offset <= most:
            remark = f"Target offset {header.offset} not in consume queue range [{least}-{most}]"
            raise RequestError(ResponseCode.SYSTEM_ERROR, remark)
        return header.offset
    return most if header.timestamp < 0 else broker.store.offset_by_time(header.topic, queue_id, header.timestamp)


def get_max_offset(broker: Broker, header: GetMaxOffset, request: Command, _: Connection) -> Answer:
    """The offset of the queue's next message."""
    return request.reply(GetMaxOffsetAnswer(broker.store.max_offset(header.topic, header.queue_id)))


def get_min_offset(broker: Broker, header: GetMinOffset, request: Command, _: Connection) -> Answer:
    """The offset of the queue's oldest message."""
    return request.reply(GetMinOffsetAnswer(broker.store.min_offset(header.topic, header.queue_id)))


def search_offset_by_timestamp(
    broker: Broker, header: SearchOffsetByTimestamp, request: Command, _: Connection
) -> Answer:
    """The offset of the first message stored then or later."""
    upper = (header.boundary_type or "").upper() == "UPPER"
    offset = broker.store.offset_by_time(header.topic, header.queue_id, header.timestamp, upper=upper)
    return request.reply(SearchOffsetByTimestampAnswer(offset))


def get_earliest_msg_storetime(
    broker: Broker, header: GetEarliestMsgStoretime, request: Command, _: Connection
) -> Answer:
    """When the queue's oldest message was stored, -1 when it has none."""
    found = broker.store.earliest_store_time(header.topic, header.queue_id)
    return request.reply(GetEarliestMsgStoretimeAnswer(-1 if found is None else found))
