"""Headers of the sending path: messages, replies, messages that come back, transactions (protocol sections 3.2, 3.8).

Two spellings of one request. The old one has long names; Java's clients send the new one, whose names are letters:

    SendMessage     producerGroup topic defaultTopic defaultTopicQueueNums queueId sysFlag bornTimestamp flag ...
    SendMessageV2   a             b     c            d                     e       f       g             h    ...

`SendMessageV2` is a `SendMessage` with the same fields, so that a processor reads either without asking which it got.

    SEND_MESSAGE, SEND_REPLY_MESSAGE                               carry SendMessage
    SEND_MESSAGE_V2, SEND_BATCH_MESSAGE, SEND_REPLY_MESSAGE_V2     carry SendMessageV2
"""

from __future__ import annotations

import msgspec

from rocket_wire.headers.header import Header
from rocket_wire.headers.numbers import Int, Long


class SendMessage(Header, frozen=True):
    """A message's whereabouts; its content is the body. `default_topic` is the model for a topic made on demand."""

    producer_group: str
    topic: str
    default_topic: str
    default_topic_queue_nums: Int
    queue_id: Int
    sys_flag: Int
    born_timestamp: Long
    flag: Int
    properties: str | None = None
    reconsume_times: Int | None = None
    unit_mode: bool | None = None
    batch: bool | None = None
    max_reconsume_times: Int | None = None
    """None: as the consumer group is configured. Only a send to a retry topic reads it."""


class SendMessageV2(SendMessage, frozen=True):
    """`SendMessage` under one-letter names (section 2.4)."""

    producer_group: str = msgspec.field(name="a")
    topic: str = msgspec.field(name="b")
    default_topic: str = msgspec.field(name="c")
    default_topic_queue_nums: Int = msgspec.field(name="d")
    queue_id: Int = msgspec.field(name="e")
    sys_flag: Int = msgspec.field(name="f")
    born_timestamp: Long = msgspec.field(name="g")
    flag: Int = msgspec.field(name="h")
    properties: str | None = msgspec.field(default=None, name="i")
    reconsume_times: Int | None = msgspec.field(default=None, name="j")
    unit_mode: bool | None = msgspec.field(default=None, name="k")
    batch: bool | None = msgspec.field(default=None, name="m")
    max_reconsume_times: Int | None = msgspec.field(default=None, name="l")
    broker_name: str | None = msgspec.field(default=None, name="n")


class SendMessageAnswer(Header, frozen=True):
    """Where the message lies. Java's client dies without the first three and without any of the last two (3.8)."""

    msg_id: str
    queue_id: Int
    queue_offset: Long
    transaction_id: str | None = None
    batch_uniq_id: str | None = None
    recall_handle: str | None = None
    region: str = msgspec.field(default="DefaultRegion", name="MSG_REGION")
    trace_on: bool = msgspec.field(default=True, name="TRACE_ON")


class ConsumerSendMsgBack(Header, frozen=True):
    """A message that its consumer could not handle: `offset` is its position in the commit log (section 6.4)."""

    offset: Long
    group: str
    delay_level: Int
    origin_msg_id: str | None = None
    origin_topic: str | None = None
    unit_mode: bool = False
    max_reconsume_times: Int | None = None


class EndTransaction(Header, frozen=True):
    """Commit or rollback of a half message. `commit_or_rollback` holds sysFlag bits: 8, 12, or 0 for unknown (6.5)."""

    producer_group: str
    tran_state_table_offset: Long
    commit_log_offset: Long
    commit_or_rollback: Int
    msg_id: str
    topic: str | None = None
    from_transaction_check: bool = False
    transaction_id: str | None = None


class CheckTransactionState(Header, frozen=True):
    """Broker to producer: what became of this half message? The body is its record."""

    tran_state_table_offset: Long
    commit_log_offset: Long
    topic: str | None = None
    msg_id: str | None = None
    transaction_id: str | None = None
    offset_msg_id: str | None = None


class PushReplyMessageToClient(Header, frozen=True):
    """Broker to requester: the reply to a request-reply message (section 6.8). The body is the reply's body."""

    producer_group: str
    topic: str
    default_topic: str
    default_topic_queue_nums: Int
    queue_id: Int
    sys_flag: Int
    born_timestamp: Long
    flag: Int
    born_host: str
    store_host: str
    store_timestamp: Long
    properties: str | None = None
    reconsume_times: Int | None = None
    unit_mode: bool = False
