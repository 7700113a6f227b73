"""Headers about offsets: a queue's ends, a time's offset, what a consumer group has consumed (protocol section 3.3)."""

from __future__ import annotations

from rocket_wire.headers.header import Header
from rocket_wire.headers.numbers import Int, Long


class QueryConsumerOffset(Header, frozen=True):
    """The next offset that the group will consume. `set_zero_if_not_found` False asks for a plain "none" (3.8)."""

    consumer_group: str
    topic: str
    queue_id: Int
    set_zero_if_not_found: bool | None = None


class QueryConsumerOffsetAnswer(Header, frozen=True):
    """The group's offset; an answer without one has code QUERY_NOT_FOUND instead."""

    offset: Long


class UpdateConsumerOffset(Header, frozen=True):
    """`commit_offset` is the next offset that the group will consume. Usually sent one-way."""

    consumer_group: str
    topic: str
    queue_id: Int
    commit_offset: Long


class SearchOffsetByTimestamp(Header, frozen=True):
    """The offset of the first message stored at `timestamp` (milliseconds) or later.

    `boundary_type` "UPPER" asks for the last of several stored in that millisecond, "LOWER" (or None) for the first.
    """

    topic: str
    queue_id: Int
    timestamp: Long
    boundary_type: str | None = None


class SearchOffsetByTimestampAnswer(Header, frozen=True):
    """The offset found."""

    offset: Long


class GetMaxOffset(Header, frozen=True):
    """The offset that the queue's next message will get; `committed` False also counts what is not yet readable."""

    topic: str
    queue_id: Int
    committed: bool = True


class GetMaxOffsetAnswer(Header, frozen=True):
    """The queue's end."""

    offset: Long


class GetMinOffset(Header, frozen=True):
    """The offset of the queue's oldest message."""

    topic: str
    queue_id: Int


class GetMinOffsetAnswer(Header, frozen=True):
    """The queue's begin."""

    offset: Long


class GetEarliestMsgStoretime(Header, frozen=True):
    """When the queue's oldest message was stored."""

    topic: str
    queue_id: Int


class GetEarliestMsgStoretimeAnswer(Header, frozen=True):
    """Milliseconds since 1970, or -1 of an empty queue."""

    timestamp: Long


class InvokeBrokerToResetOffset(Header, frozen=True):
    """An operator sets a group's offsets: to `offset` of one queue, or of all queues (-1) to `timestamp`."""

    topic: str
    group: str
    timestamp: Long
    is_force: bool
    queue_id: Int = -1
    offset: Long | None = None


class ResetConsumerClientOffset(InvokeBrokerToResetOffset, frozen=True):
    """Broker to consumer, one-way: take these offsets. The body (ResetOffsetBody) has them."""


class GetConsumerStatusFromClient(Header, frozen=True):
    """Broker to consumer: which offsets do you hold? Answered with a GetConsumerStatusBody."""

    topic: str
    group: str
    client_addr: str | None = None
