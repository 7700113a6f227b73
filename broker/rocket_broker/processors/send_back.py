"""CONSUMER_SEND_MSG_BACK: what a consumer failed on comes again later, or goes to the dead letters (6.4)."""

from __future__ import annotations

from typing import Final

from rocket_broker.processors.rerouting import Target, delayed
from rocket_broker.processors.send import append, check_deliverable
from rocket_broker.state import Broker
from rocket_broker.store.store import Outgoing
from rocket_broker.topics import PERM_READ, PERM_WRITE
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, Reply
from rocket_wire import message_id, properties, record
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers.send import ConsumerSendMsgBack
from rocket_wire.topic_names import DLQ_PREFIX, RETRY_PREFIX, SCHEDULE_TOPIC

_FIRST_LEVEL: Final = 3  # 10 s: level 0 asks for the broker's own rhythm, 10 s, 30 s, 1 min, ... 2 h


def consumer_send_msg_back(
    broker: Broker, header: ConsumerSendMsgBack, request: Command, connection: Connection
) -> Answer:
    """Stores the message anew for its group, delayed by its number of failures."""
    settings = broker.config.settings
    if not settings.is_master:
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"no master available along with {settings.broker_ip1}")
    broker.role.check_write()
    group = broker.groups.require(header.group)
    if not settings.broker_permission & PERM_WRITE:
        remark = f"the broker[{settings.broker_ip1}] sending message is forbidden"
        raise RequestError(ResponseCode.NO_PERMISSION, remark)
    if group.retry_queue_nums <= 0:
        return request.reply()
    stored = broker.store.look_up(header.offset)
    if stored is None:
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"look message by offset failed, {header.offset}")
    failed = record.decode(stored)
    if failed.sys_flag & record.INNER_BATCH:  # its consumer then sends the one message anew, which it alone knows
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"MESSAGE_ILLEGAL: the record at {header.offset} is a batch")
    again = _again(broker, header, group, failed)
    if again.topic == SCHEDULE_TOPIC:
        check_deliverable(broker, again)
    put = append(broker, again)
    if not broker.acknowledgement.is_needed:
        return request.reply()
    waiting = broker.acknowledgement.wait(put.end)

    async def when_durable() -> Reply:
        status = await waiting
        if status is not ResponseCode.SUCCESS:  # as Apache's: the client then sends it again itself
            return request.refuse(ResponseCode.SYSTEM_ERROR, status.name)
        return request.reply()

    return when_durable()


def _again(
    broker: Broker, header: ConsumerSendMsgBack, group: SubscriptionGroupConfig, failed: record.Message
) -> Outgoing:
    pairs = properties.decode(failed.properties)
    pairs.setdefault("RETRY_TOPIC", failed.topic)
    pairs.setdefault("ORIGIN_MESSAGE_ID", message_id.offset_message_id(failed.store_host, failed.position))
    pairs.pop("DELAY", None)
    allowed = group.retry_max_times if header.max_reconsume_times is None else header.max_reconsume_times
    if failed.reconsume_times >= allowed or header.delay_level < 0:
        target = Target(DLQ_PREFIX + header.group, 0)
        broker.topics.ensure(target.topic, 1, PERM_READ | PERM_WRITE)
    else:
        target = Target(RETRY_PREFIX + header.group, 0)
        broker.topics.ensure(target.topic, group.retry_queue_nums, PERM_READ | PERM_WRITE)
        pairs["DELAY"] = str(header.delay_level or _FIRST_LEVEL + failed.reconsume_times)
    target = delayed(broker, target, pairs)
    return Outgoing(
        topic=target.topic,
        queue_id=target.queue_id,
        body=failed.body,
        properties=target.properties.encode(),
        sys_flag=failed.sys_flag,
        flag=failed.flag,
        born_timestamp=failed.born_timestamp,
        born_host=failed.born_host,
        store_host=broker.store_host,
        reconsume_times=failed.reconsume_times + 1,
    )
