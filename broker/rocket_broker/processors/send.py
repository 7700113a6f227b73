"""SEND_MESSAGE, SEND_MESSAGE_V2 and SEND_BATCH_MESSAGE: a message's way into the store (protocol section 3.8).

The common case (a plain message to a known topic, asynchronous flush) builds one record, appends it and answers, all
in one call without a task, a dictionary of properties or a second copy of the body.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final

from rocket_broker.processors.hosts import host_bytes
from rocket_broker.settings import BrokerSettings
from rocket_broker.state import Broker
from rocket_broker.store.errors import StoreError
from rocket_broker.store.store import Outgoing, Put
from rocket_broker.topics import (
    DLQ_PREFIX,
    NOT_SENDABLE,
    PERM_READ,
    PERM_WRITE,
    RETRY_PREFIX,
    SCHEDULE_TOPIC,
    check_name,
)
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, Reply
from rocket_wire import message_id, properties, record
from rocket_wire.bodies.topics import TopicConfig
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import ProtocolError, RequestError
from rocket_wire.headers.send import SendMessage, SendMessageAnswer

MAX_PROPERTIES_BYTES: Final = 32_767
MAX_TOPIC_BYTES: Final = 127
_PREPARED: Final = 0x4

#: Properties that change where or how a message is stored: their messages take the long way (`_special`).
_SPECIAL: Final = (
    "DELAY\x01",
    "TRAN_MSG\x01",
    "TIMER_D",
    "MSG_REGION\x01",
    "POP_CK\x01",
    "CLUSTER\x01",
    "TRACE_ON\x01",
)


@dataclass(slots=True)
class Target:
    """Where a message goes and what it carries there."""

    topic: str
    queue_id: int
    properties: str = ""


def send_message(broker: Broker, header: SendMessage, request: Command, connection: Connection) -> Answer:
    """Stores one message; answers with its id and offset, now or when it is durable enough."""
    settings = broker.config.settings
    config = _writable_topic(broker, header, connection)
    queue_id = _queue_id(config, header.queue_id)
    _check_body(settings, request.body)
    text = header.properties or ""
    if config.topic_name.startswith(RETRY_PREFIX) or any(map(text.__contains__, _SPECIAL)):
        target = _special(broker, header, Target(header.topic, queue_id, text))
    else:
        target = Target(header.topic, queue_id, _stored_properties(broker, text))
    encoded = target.properties.encode()
    if len(encoded) > MAX_PROPERTIES_BYTES:
        raise RequestError(ResponseCode.MESSAGE_ILLEGAL, f"properties of {len(encoded)} bytes: 32767 are allowed")
    put = append(
        broker,
        Outgoing(
            topic=target.topic,
            queue_id=target.queue_id,
            body=request.body,
            properties=encoded,
            sys_flag=header.sys_flag,
            flag=header.flag,
            born_timestamp=header.born_timestamp,
            born_host=host_bytes(connection.peer),
            store_host=broker.store_host,
            reconsume_times=header.reconsume_times or 0,
        ),
    )
    if "WAIT\x01false" not in text:
        waiting = broker.acknowledgement.wait(put.position + put.size)
        if waiting is not None:
            return _when(waiting, request, _answer_header(broker, put.position, queue_id, put.queue_offset))
    if request.flag & 2:
        return None
    return _encoded_answer(broker, request, put, queue_id)


def send_batch_message(broker: Broker, header: SendMessage, request: Command, connection: Connection) -> Answer:
    """Stores every message of a batch, or none; the answer names all their ids and the first one's offset."""
    settings = broker.config.settings
    config = _writable_topic(broker, header, connection)
    if config.topic_name.startswith(RETRY_PREFIX):
        remark = f"batch request does not support retry group {header.topic}"
        raise RequestError(ResponseCode.MESSAGE_ILLEGAL, remark)
    _check_body(settings, request.body)
    queue_id = _queue_id(config, header.queue_id)
    try:
        items = record.split_batch(request.body)
    except ProtocolError as error:
        raise RequestError(ResponseCode.MESSAGE_ILLEGAL, f"batch body: {error}") from None
    born_host = host_bytes(connection.peer)
    puts = append_all(
        broker,
        [
            Outgoing(
                topic=header.topic,
                queue_id=queue_id,
                body=item.body,
                properties=item.properties,
                sys_flag=header.sys_flag,
                flag=item.flag,
                born_timestamp=header.born_timestamp,
                born_host=born_host,
                store_host=broker.store_host,
                reconsume_times=header.reconsume_times or 0,
            )
            for item in items
        ],
    )
    ids = ",".join(message_id.offset_message_id(broker.store_host, put.position) for put in puts)
    answer = SendMessageAnswer(
        msg_id=ids, queue_id=queue_id, queue_offset=puts[0].queue_offset, region=settings.region_id,
        trace_on=settings.trace_on,
    )  # fmt: skip
    waiting = broker.acknowledgement.wait(puts[-1].position + puts[-1].size)
    return request.reply(answer) if waiting is None else _when(waiting, request, answer)


def append(broker: Broker, message: Outgoing) -> Put:
    """Stores a message, wakes who waits for it. Raises RequestError when the store cannot take it."""
    try:
        put = broker.store.put(message)
    except StoreError as error:
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"the store refuses the message: {error}") from None
    _appended(broker, message, put)
    return put


def append_all(broker: Broker, messages: list[Outgoing]) -> list[Put]:
    """`append` of many in one write: all or none."""
    try:
        puts = broker.store.put_many(messages)
    except StoreError as error:
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"the store refuses the batch: {error}") from None
    for message, put in zip(messages, puts, strict=True):
        _appended(broker, message, put)
    return puts


def _appended(broker: Broker, message: Outgoing, put: Put) -> None:
    broker.arrivals.notify(message.topic, message.queue_id, put.queue_offset, put.tags_code)
    broker.written()
    broker.statistics.stored(message.topic, put.size)
    if message.topic == SCHEDULE_TOPIC:
        broker.delay_arrived(message.queue_id + 1)


def _writable_topic(broker: Broker, header: SendMessage, connection: Connection) -> TopicConfig:
    settings = broker.config.settings
    if not settings.is_master:
        raise RequestError(ResponseCode.SYSTEM_BUSY, "[REJECTREQUEST] this broker is a slave: send to its master")
    config = broker.topics.table.get(header.topic)
    if config is None:
        config = _create_topic(broker, header, connection)
    if header.topic in NOT_SENDABLE:
        raise RequestError(ResponseCode.NO_PERMISSION, f"sending message to topic[{header.topic}] is forbidden")
    if not settings.broker_permission & PERM_WRITE and config.order:
        remark = f"the broker[{settings.broker_ip1}] sending message is forbidden"
        raise RequestError(ResponseCode.NO_PERMISSION, remark)
    return config


def _create_topic(broker: Broker, header: SendMessage, connection: Connection) -> TopicConfig:
    check_name(header.topic)
    if header.topic.startswith(RETRY_PREFIX):
        broker.groups.require(header.topic.removeprefix(RETRY_PREFIX))
        return broker.topics.ensure(header.topic, 1)
    config = broker.topics.create_on_send(header.topic, header.default_topic, header.default_topic_queue_nums)
    if config is None:
        remark = f"topic[{header.topic}] not exist, apply first please! (asked by {connection.peer})"
        raise RequestError(ResponseCode.TOPIC_NOT_EXIST, remark)
    return config


def _queue_id(config: TopicConfig, queue_id: int) -> int:
    if queue_id < 0:
        return random.randrange(max(1, config.write_queue_nums))
    if queue_id >= max(config.write_queue_nums, config.read_queue_nums):
        remark = (
            f"request queueId[{queue_id}] is illegal, {config.topic_name} has {config.write_queue_nums} write queues"
        )
        raise RequestError(ResponseCode.INVALID_PARAMETER, remark)
    return queue_id


def _check_body(settings: BrokerSettings, body: bytes) -> None:
    if len(body) > settings.max_message_size:
        remark = f"message body of {len(body)} bytes: maxMessageSize is {settings.max_message_size}"
        raise RequestError(ResponseCode.MESSAGE_ILLEGAL, remark)


def _stored_properties(broker: Broker, text: str) -> str:
    """A plain message's properties with what the broker adds: where it was stored, and whether it is traced."""
    settings = broker.config.settings
    text = text.replace("WAIT\x01true\x02", "")
    if text and not text.endswith("\x02"):
        text = text.removesuffix("WAIT\x01true")
        text = text if not text or text.endswith("\x02") else text + "\x02"
    if "UNIQ_KEY\x01" not in text:
        text += f"UNIQ_KEY\x01{broker.unique_keys.next(broker.now_ms())}\x02"
    traced = "true" if settings.trace_on else "false"
    return (
        f"{text}MSG_REGION\x01{settings.region_id}\x02TRACE_ON\x01{traced}\x02"
        f"CLUSTER\x01{settings.broker_cluster_name}\x02"
    )


def _special(broker: Broker, header: SendMessage, target: Target) -> Target:
    """Messages that are not simply stored under their topic: retries, delays, half messages."""
    settings = broker.config.settings
    pairs = properties.decode(target.properties.encode())
    if pairs.get("TRAN_MSG") == "true" and not (header.reconsume_times and "DELAY" in pairs):
        remark = f"the broker[{settings.broker_ip1}] sending transaction message is forbidden"
        raise RequestError(ResponseCode.NO_PERMISSION, remark)
    pairs.pop("POP_CK", None)
    if pairs.get("WAIT") == "true":
        del pairs["WAIT"]
    pairs.setdefault("UNIQ_KEY", broker.unique_keys.next(broker.now_ms()))
    pairs["MSG_REGION"] = settings.region_id
    pairs["TRACE_ON"] = "true" if settings.trace_on else "false"
    pairs["CLUSTER"] = settings.broker_cluster_name
    topic, queue_id = target.topic, target.queue_id
    if topic.startswith(RETRY_PREFIX) and _is_spent(broker, header):
        topic, queue_id = DLQ_PREFIX + topic.removeprefix(RETRY_PREFIX), 0
        broker.topics.ensure(topic, 1, PERM_READ | PERM_WRITE)
        pairs.pop("DELAY", None)
    return delayed(broker, Target(topic, queue_id), pairs)


def delayed(broker: Broker, target: Target, pairs: dict[str, str]) -> Target:
    """The target with these properties; a message with a delay level goes to the schedule topic first (section 6.2)."""
    level = _delay_level(broker, pairs)
    if level > 0:
        pairs["REAL_TOPIC"] = target.topic
        pairs["REAL_QID"] = str(target.queue_id)
        pairs["DELAY"] = str(level)
        return Target(SCHEDULE_TOPIC, level - 1, properties.encode(pairs).decode())
    if any(name in pairs for name in ("TIMER_DELIVER_MS", "TIMER_DELAY_MS", "TIMER_DELAY_SEC")):
        remark = "accurate timer message is not enabled, timerWheelEnable is false"
        raise RequestError(ResponseCode.SYSTEM_ERROR, remark)
    return Target(target.topic, target.queue_id, properties.encode(pairs).decode())


def _delay_level(broker: Broker, pairs: dict[str, str]) -> int:
    try:
        return min(int(pairs.get("DELAY", "0")), len(broker.delay_levels))
    except ValueError:
        remark = f"property DELAY is {pairs['DELAY']!r}: a delay level is a number"
        raise RequestError(ResponseCode.MESSAGE_ILLEGAL, remark) from None


def _is_spent(broker: Broker, header: SendMessage) -> bool:
    group = broker.groups.require(header.topic.removeprefix(RETRY_PREFIX))
    allowed = group.retry_max_times if header.max_reconsume_times is None else header.max_reconsume_times
    return (header.reconsume_times or 0) > allowed


async def _when(waiting: Awaitable[ResponseCode], request: Command, answer: SendMessageAnswer) -> Reply:
    status = await waiting
    reply = request.reply(answer)
    reply.code = status
    if status != ResponseCode.SUCCESS:
        reply.remark = _REMARKS[status]
    return reply


_REMARKS: Final = {
    ResponseCode.FLUSH_DISK_TIMEOUT: "the message is stored, but the disk did not confirm it within syncFlushTimeout",
    ResponseCode.SLAVE_NOT_AVAILABLE: "the message is stored, but no slave is in reach to take it",
    ResponseCode.FLUSH_SLAVE_TIMEOUT: "the message is stored, but no slave confirmed it within slaveTimeout",
}


def _answer_header(broker: Broker, position: int, queue_id: int, queue_offset: int) -> SendMessageAnswer:
    settings = broker.config.settings
    return SendMessageAnswer(
        msg_id=message_id.offset_message_id(broker.store_host, position),
        queue_id=queue_id,
        queue_offset=queue_offset,
        region=settings.region_id,
        trace_on=settings.trace_on,
    )


def _encoded_answer(broker: Broker, request: Command, put: Put, queue_id: int) -> Reply:
    return request.reply(_answer_header(broker, put.position, queue_id, put.queue_offset))
