"""SEND_MESSAGE, SEND_MESSAGE_V2 and SEND_BATCH_MESSAGE: a message's way into the store (protocol section 3.8).

Messages that came at once are stored in one write and share the wait for disk and slaves. The common case (a plain
message to a known topic, asynchronous flush) has no task, no dictionary of properties and no second copy of the body.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from rocket_broker.delay import restored
from rocket_broker.processors.hosts import host_bytes
from rocket_broker.processors.rerouting import Target, rerouted
from rocket_broker.settings import BrokerSettings
from rocket_broker.state import Broker
from rocket_broker.store.errors import StoreError
from rocket_broker.store.files import SECTOR_BYTES
from rocket_broker.store.queue_entries import MAX_BATCH
from rocket_broker.store.store import Outgoing, Put
from rocket_broker.topics import NOT_SENDABLE, PERM_WRITE, check_name, is_batch
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, Reply, failure
from rocket_net.gathering import Answered, Answers, Asked
from rocket_wire import message_id, properties, record
from rocket_wire.bodies.topics import TopicConfig
from rocket_wire.codes import ResponseCode
from rocket_wire.command import ONEWAY, Command
from rocket_wire.errors import ProtocolError, RequestError
from rocket_wire.headers.send import SendMessage, SendMessageAnswer
from rocket_wire.topic_names import RETRY_PREFIX, SCHEDULE_TOPIC

_REMARKS: Final = {
    ResponseCode.FLUSH_DISK_TIMEOUT: "the message is stored, but the disk did not confirm it within syncFlushTimeout",
    ResponseCode.SLAVE_NOT_AVAILABLE: "the message is stored, but no slave is in reach to take it",
    ResponseCode.FLUSH_SLAVE_TIMEOUT: "the message is stored, but no slave confirmed it within slaveTimeout",
}


#: A request and where it came from, the queue that its answer names, and where its message is.
_Stored = tuple[Command, Connection, int, Put]


def send_message(broker: Broker, sends: Sequence[tuple[SendMessage, Command, Connection]]) -> Answers:
    """Stores messages in one write; each is answered with its id and offset, now or when it is durable enough."""
    began = broker.now()
    answered: list[Answered] = []
    checked: list[tuple[Command, Connection, int, str]] = []
    messages: list[Outgoing] = []
    for header, request, connection in sends:
        try:
            queue_id = _queue_id(_writable_topic(broker, header, connection), header.queue_id)
            messages.append(_outgoing(broker, header, request.body, queue_id, host_bytes(connection.peer)))
            checked.append((request, connection, queue_id, header.properties or ""))
        except Exception as error:
            answered.append((request, connection, failure(request, error, connection.peer)))
    durable: list[_Stored] = []
    at_once = 0
    puts = append_each(broker, messages)
    may_wait = broker.acknowledgement.is_needed
    for (request, connection, queue_id, text), put in zip(checked, puts, strict=True):
        if isinstance(put, RequestError):
            answered.append((request, connection, request.refuse(put.code, put.remark)))
        elif may_wait and not does_not_wait(text):
            durable.append((request, connection, queue_id, put))
        else:
            at_once += 1
            answered.append((request, connection, _success(broker, request, queue_id, put)))
    broker.statistics.put_took(broker.now() - began, at_once)
    if not durable:
        return Answers(answered)
    waiting = broker.acknowledgement.wait(durable[-1][3].end)
    asked: list[Asked] = [(request, connection) for request, connection, _, _ in durable]
    return Answers(answered, asked, waiting, partial(_finished, broker, began, durable))


def _success(broker: Broker, request: Command, queue_id: int, put: Put) -> bytes | None:
    if request.flag & ONEWAY:
        return None
    return broker.stamp.answers.encode(request.opaque, put.position, queue_id, put.queue_offset)


def _finished(broker: Broker, began: float, stored: Sequence[_Stored], status: ResponseCode) -> list[Answered]:
    broker.statistics.put_took(broker.now() - began, len(stored))
    if status is ResponseCode.SUCCESS:
        return [(request, to, _success(broker, request, queue_id, put)) for request, to, queue_id, put in stored]
    replies: list[Answered] = []
    for request, connection, queue_id, put in stored:
        msg_id = message_id.offset_message_id(broker.store_host, put.position)
        reply = _with_status(request, _answer(broker, msg_id, queue_id, put), status)
        replies.append((request, connection, reply))
    return replies


def _outgoing(broker: Broker, header: SendMessage, body: bytes, queue_id: int, born_host: bytes) -> Outgoing:
    """The message as it is stored. Raises RequestError."""
    _check_body(broker.config.settings, body)
    text = header.properties or ""
    topic = header.topic
    if _is_special(topic, text):
        target = rerouted(broker, header, Target(topic, queue_id, text))
        topic, queue_id, content = target.topic, target.queue_id, target.properties
    else:
        content = _stored_properties(broker, text)
    message = Outgoing(
        topic=topic,
        queue_id=queue_id,
        body=body,
        properties=_encoded(content),
        sys_flag=header.sys_flag,
        flag=header.flag,
        born_timestamp=header.born_timestamp,
        born_host=born_host,
        store_host=broker.store_host,
        reconsume_times=header.reconsume_times or 0,
    )
    if topic == SCHEDULE_TOPIC:
        check_deliverable(broker, message)
    return message


def check_deliverable(broker: Broker, delayed: Outgoing) -> None:
    """Raises RequestError for a delayed message that could never be stored under its own topic."""
    if not broker.store.fits(restored(delayed)):
        remark = "the message is too large for a segment of the log, once its delay is over"
        raise RequestError(ResponseCode.MESSAGE_ILLEGAL, remark)


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
    for item in items:
        _check_zeros(item.properties)
    whole = Outgoing(
        topic=header.topic,
        queue_id=queue_id,
        body=request.body,
        sys_flag=header.sys_flag,
        flag=header.flag,
        born_timestamp=header.born_timestamp,
        born_host=host_bytes(connection.peer),
        store_host=broker.store_host,
        reconsume_times=header.reconsume_times or 0,
    )
    unique_key = _unique_key(header) if is_batch(config) else None
    if unique_key is None:
        puts = append_all(broker, [_part(whole, item) for item in items])
    else:
        puts = [_append_whole(broker, whole, header, len(items))]
    ids = ",".join(message_id.offset_message_id(broker.store_host, put.position) for put in puts)
    answer = _answer(broker, ids, queue_id, puts[0], unique_key)
    if not broker.acknowledgement.is_needed:
        return request.reply(answer)
    waiting = broker.acknowledgement.wait(puts[-1].end)

    async def when_durable() -> Reply:
        return _with_status(request, answer, await waiting)

    return when_durable()


def _part(whole: Outgoing, item: record.BatchItem) -> Outgoing:
    return msgspec.structs.replace(whole, body=item.body, properties=item.properties, flag=item.flag)


def _unique_key(header: SendMessage) -> str | None:
    """The unique key of a batch as a whole. Who gives it one knows of records that hold several (decision 0006)."""
    return properties.decode((header.properties or "").encode()).get("UNIQ_KEY")


def _append_whole(broker: Broker, whole: Outgoing, header: SendMessage, count: int) -> Put:
    """Stores a batch of `count` messages as one record. Raises RequestError when the store cannot take it."""
    if count > MAX_BATCH:
        raise RequestError(ResponseCode.MESSAGE_ILLEGAL, f"batch of {count} messages: {MAX_BATCH} are possible")
    text = header.properties or ""
    if not text.endswith(properties.PAIR_END):
        text += properties.PAIR_END
    content = _encoded(text + broker.stamp.properties)
    try:
        put = broker.store.put_batch(msgspec.structs.replace(whole, properties=content), count)
    except StoreError as error:
        broker.statistics.put_failures += count
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"the store refuses the batch: {error}") from None
    broker.role.arrived(whole.topic, whole.queue_id, put.queue_offset + count - 1, put.tags_code, put.end)
    broker.statistics.stored(whole.topic, put.size, count)
    broker.written()
    return put


def _with_status(request: Command, answer: SendMessageAnswer, status: ResponseCode) -> Command:
    reply = request.reply(answer)
    reply.code = status
    reply.remark = _REMARKS.get(status)
    return reply


def _answer(
    broker: Broker, msg_id: str, queue_id: int, put: Put, batch_uniq_id: str | None = None
) -> SendMessageAnswer:
    settings = broker.config.settings
    return SendMessageAnswer(
        msg_id=msg_id,
        queue_id=queue_id,
        queue_offset=put.queue_offset,
        batch_uniq_id=batch_uniq_id,
        region=settings.region_id,
        trace_on=settings.trace_on,
    )


def append(broker: Broker, message: Outgoing) -> Put:
    """Stores a message, wakes who waits for it. Raises RequestError when the store cannot take it."""
    (put,) = append_each(broker, (message,))
    if isinstance(put, RequestError):
        raise put
    return put


def append_each(broker: Broker, messages: Sequence[Outgoing]) -> list[Put | RequestError]:
    """`append` of each in one write: where it is, or why the store cannot take it."""
    results: list[Put | RequestError] = []
    for message, put in zip(messages, broker.store.put_each(messages), strict=True):
        if isinstance(put, Put):
            _appended(broker, message, put)
            results.append(put)
        else:
            broker.statistics.put_failures += 1
            results.append(RequestError(ResponseCode.SYSTEM_ERROR, f"the store refuses the message: {put}"))
    broker.written()
    return results


def append_all(broker: Broker, messages: list[Outgoing]) -> list[Put]:
    """`append` of many in one write: all or none."""
    try:
        puts = broker.store.put_many(messages)
    except StoreError as error:
        broker.statistics.put_failures += len(messages)
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"the store refuses the batch: {error}") from None
    for message, put in zip(messages, puts, strict=True):
        _appended(broker, message, put)
    broker.written()
    return puts


def _appended(broker: Broker, message: Outgoing, put: Put) -> None:
    broker.role.arrived(message.topic, message.queue_id, put.queue_offset, put.tags_code, put.end)
    broker.statistics.stored(message.topic, put.size)
    if message.topic == SCHEDULE_TOPIC:
        broker.delay_arrived(message.queue_id + 1)


def _writable_topic(broker: Broker, header: SendMessage, connection: Connection) -> TopicConfig:
    settings = broker.config.settings
    broker.role.check_write()
    if header.topic in NOT_SENDABLE:
        raise RequestError(ResponseCode.NO_PERMISSION, f"sending message to topic[{header.topic}] is forbidden")
    config = broker.topics.table.get(header.topic)
    if config is None:
        config = _create_topic(broker, header, connection)
    if not settings.broker_permission & PERM_WRITE:  # Apache's refuses ordered topics only: see decision 0004
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


def _is_special(topic: str, text: str) -> bool:
    """Whether a message may have to be stored otherwise than it came. Only its properties, read one by one, tell."""
    return (
        "DELAY\x01" in text
        or "TRAN_MSG\x01" in text
        or "TIMER_D" in text
        or "MSG_REGION\x01" in text
        or "CLUSTER\x01" in text
        or "POP_CK\x01" in text
        or topic.startswith(RETRY_PREFIX)
    )


def does_not_wait(text: str) -> bool:
    """Whether these properties say WAIT=false: answer without waiting for disk and slaves."""
    if "WAIT\x01false" not in text:
        return False
    return text.startswith("WAIT\x01false") or "\x02WAIT\x01false" in text


def _stored_properties(broker: Broker, text: str) -> str:
    """A plain message's properties as they are stored: WAIT=true dropped, the broker's own added (section 3.8)."""
    if text and text[-1] != "\x02":
        text += "\x02"
    if "WAIT\x01true\x02" in text:
        text = text.replace("\x02WAIT\x01true\x02", "\x02").removeprefix("WAIT\x01true\x02")
    if "UNIQ_KEY\x01" not in text:
        text = f"{text}UNIQ_KEY\x01{broker.unique_keys.next(broker.now_ms())}\x02"
    return text + broker.stamp.properties


def _encoded(content: str) -> bytes:
    encoded = content.encode()
    _check_zeros(encoded)
    if len(encoded) > record.MAX_PROPERTIES_BYTES:
        remark = f"properties of {len(encoded)} bytes: {record.MAX_PROPERTIES_BYTES} are allowed"
        raise RequestError(ResponseCode.MESSAGE_ILLEGAL, remark)
    return encoded


def _check_zeros(content: bytes) -> None:
    """Raises RequestError where properties might be taken for what a loss of power left of them (log_scan.py)."""
    if b"\0" in content and (bytes(SECTOR_BYTES) in content or content.endswith(b"\0")):
        remark = f"properties with {SECTOR_BYTES} zero characters in a row, or with one at their end, are not stored"
        raise RequestError(ResponseCode.MESSAGE_ILLEGAL, remark)
