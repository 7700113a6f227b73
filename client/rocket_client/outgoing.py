"""From a message to what a send carries: checked, its properties joined, its body compressed where that helps.

Everything that can be found wrong without a broker is found here, before anything is sent (protocol section 3.8).
Pure: the time and the message's unique key are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rocket_client.errors import InvalidMessage
from rocket_client.message import ORDERING_KEY, Message
from rocket_client.settings import ProducerSettings
from rocket_wire import properties
from rocket_wire.compression import compress
from rocket_wire.record import MAX_PROPERTIES_BYTES, BatchItem, join_batch
from rocket_wire.topic_names import DLQ_PREFIX, RETRY_PREFIX

MAX_TOPIC: Final = 127
MAX_GROUP: Final = 120
_NAME: Final = re.compile(r"[%|a-zA-Z0-9_-]+")

#: Properties that the protocol uses itself; an application's own may not have these names (protocol section 4.2).
RESERVED: Final = frozenset(
    """
    KEYS TAGS WAIT DELAY RETRY_TOPIC REAL_TOPIC REAL_QID TRAN_MSG PGROUP MIN_OFFSET MAX_OFFSET BUYER_ID
    ORIGIN_MESSAGE_ID TRANSFER_FLAG CORRECTION_FLAG MQ2_FLAG RECONSUME_TIME MSG_REGION TRACE_ON UNIQ_KEY
    EXTEND_UNIQ_INFO MAX_RECONSUME_TIMES CONSUME_START_TIME INNER_NUM INNER_BASE DUP_INFO
    CHECK_IMMUNITY_TIME_IN_SECONDS TRAN_PREPARED_QUEUE_OFFSET __transactionId__ TRANSACTION_CHECK_TIMES INSTANCE_ID
    CORRELATION_ID REPLY_TO_CLIENT REPLY_MESSAGE_ARRIVE_TIME PUSH_REPLY_TIME TTL CLUSTER MSG_TYPE POP_CK POP_CK_OFFSET
    1ST_POP_TIME __SHARDINGKEY REDIRECT INNER_MULTI_DISPATCH INNER_MULTI_QUEUE_OFFSET TRACE_CONTEXT TIMER_DELAY_SEC
    TIMER_DELAY_MS TIMER_DELIVER_MS TIMER_OUT_MS TIMER_ENQUEUE_MS TIMER_DEQUEUE_MS TIMER_ROLL_TIMES TIMER_ROLL_LABEL
    TIMER_DEL_UNIQKEY BORN_HOST BORN_TIMESTAMP DLQ_ORIGIN_TOPIC DLQ_ORIGIN_MESSAGE_ID __CRC32#
    """.split()  # noqa: SIM905 - fifty quoted names would be harder to read
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What a send carries. `message_id` is the unique key, for a batch those of its messages joined by commas."""

    topic: str
    body: bytes
    properties: str
    message_id: str
    born_timestamp: int
    sys_flag: int = 0
    flag: int = 0
    is_batch: bool = False
    reconsume_times: int = 0
    max_reconsume_times: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a message this one: its unique key, when it was made (milliseconds), and its ordering key if any."""

    message_id: str
    now: int
    ordering_key: str | None = None


def outgoing(message: Message, settings: ProducerSettings, identity: Identity) -> Outgoing:
    """What sending this message carries. Raises InvalidMessage."""
    check_topic(message.topic)
    content = _content(message, settings)
    text = _properties(message, identity).decode()
    body, sys_flag = _compressed(content, settings)
    return Outgoing(message.topic, body, text, identity.message_id, identity.now, sys_flag, message.flag)


def batch_of(messages: Sequence[Message], settings: ProducerSettings, identities: Sequence[Identity]) -> Outgoing:
    """What sending these messages as one carries. Raises InvalidMessage."""
    topics = {message.topic for message in messages}
    if len(topics) != 1:
        raise InvalidMessage(f"a batch needs messages of one topic, these have {sorted(topics) or 'none'}")
    topic = topics.pop()
    check_topic(topic)
    if topic.startswith(RETRY_PREFIX) or any(message.delay_level for message in messages):
        raise InvalidMessage(f"a batch to {topic!r} cannot be delayed or retried: send these messages one by one")
    items = [
        BatchItem(_content(message, settings), _properties(message, identity), message.flag)
        for message, identity in zip(messages, identities, strict=True)
    ]
    body = join_batch(items)
    if len(body) > settings.max_message_bytes:
        raise _too_large(f"batch of {len(messages)} messages", len(body), settings)
    waits = all(message.wait_stored for message in messages)
    text = "" if waits else properties.encode({"WAIT": "false"}).decode()
    message_ids = ",".join(identity.message_id for identity in identities)
    return Outgoing(topic, body, text, message_ids, identities[0].now, is_batch=True)


def retried(out: Outgoing, reconsume_times: int, max_reconsume_times: int | None, extra: Mapping[str, str]) -> Outgoing:
    """A message sent to a retry topic, as having failed so often."""
    pairs = properties.decode(out.properties.encode()) | dict(extra)
    return replace(
        out,
        properties=properties.encode(pairs).decode(),
        reconsume_times=reconsume_times,
        max_reconsume_times=max_reconsume_times,
    )


def check_topic(topic: str) -> None:
    """Raises InvalidMessage for a name that no topic can have."""
    limit = 255 if topic.startswith((RETRY_PREFIX, DLQ_PREFIX)) else MAX_TOPIC
    _check_name("topic", topic, limit)


def check_group(group: str) -> None:
    """Raises InvalidMessage for a name that no producer or consumer group can have."""
    _check_name("group", group, MAX_GROUP)


def _check_name(what: str, name: str, limit: int) -> None:
    if not name or len(name) > limit or not _NAME.fullmatch(name):
        raise InvalidMessage(f"{what} {name[:140]!r}: expected 1 to {limit} characters out of a-z A-Z 0-9 _ - % |")


def _content(message: Message, settings: ProducerSettings) -> bytes:
    content = message.content
    if not content:
        raise InvalidMessage(f"message to topic {message.topic!r} has no body: brokers refuse empty ones")
    if len(content) > settings.max_message_bytes:
        raise _too_large("message", len(content), settings)
    return content


def _too_large(what: str, size: int, settings: ProducerSettings) -> InvalidMessage:
    return InvalidMessage(
        f"{what} of {size} bytes: the limit is {settings.max_message_bytes} (ProducerSettings.max_message_bytes; "
        "the brokers' own is maxMessageSize)"
    )


def _properties(message: Message, identity: Identity) -> bytes:
    reserved = RESERVED.intersection(message.properties)
    if reserved:
        raise InvalidMessage(f"properties {sorted(reserved)} are RocketMQ's own: give them other names")
    if message.delay_level < 0:
        raise InvalidMessage(f"delay_level={message.delay_level}: expected 0 (at once) or 1 to 18")
    pairs: dict[str, str] = dict(message.properties)
    if message.keys:
        pairs["KEYS"] = message.keys if isinstance(message.keys, str) else " ".join(message.keys)
    if message.tags:
        pairs["TAGS"] = message.tags
    if message.delay_level:
        pairs["DELAY"] = str(message.delay_level)
    if not message.wait_stored:
        pairs["WAIT"] = "false"
    if identity.ordering_key is not None:
        pairs[ORDERING_KEY] = identity.ordering_key
    pairs["UNIQ_KEY"] = identity.message_id
    try:
        encoded = properties.encode(pairs)
    except ValueError as error:
        raise InvalidMessage(str(error)) from None
    if len(encoded) > MAX_PROPERTIES_BYTES:
        raise InvalidMessage(f"properties of {len(encoded)} bytes: a message holds {MAX_PROPERTIES_BYTES}")
    return encoded


def _compressed(content: bytes, settings: ProducerSettings) -> tuple[bytes, int]:
    if settings.compression is None or len(content) <= settings.compress_above:
        return content, 0
    smaller = compress(content, settings.compression)
    return (smaller, settings.compression.sys_flag) if len(smaller) < len(content) else (content, 0)
