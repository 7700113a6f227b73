"""Headers of reading messages: pull, search by key, view by position (protocol sections 3.2, 3.8).

PULL_MESSAGE and LITE_PULL_MESSAGE both carry PullMessage.
"""

from __future__ import annotations

from typing import Final

from rocket_wire.headers.header import Header
from rocket_wire.headers.numbers import Int, Long

COMMIT_OFFSET: Final = 1
SUSPEND: Final = 2
SUBSCRIPTION: Final = 4
CLASS_FILTER: Final = 8
LITE_PULL: Final = 16
"""Bits of PullMessage.sys_flag: which of its fields are meant, and which path the request takes."""


class PullMessage(Header, frozen=True):
    """Messages of one queue from `queue_offset` on, waiting up to `suspend_timeout_millis` when there are none.

    `commit_offset`, the wait and `subscription` count only with their bit in `sys_flag`.
    """

    consumer_group: str
    topic: str
    queue_id: Int
    queue_offset: Long
    max_msg_nums: Int
    sys_flag: Int
    commit_offset: Long
    suspend_timeout_millis: Long
    sub_version: Long
    subscription: str | None = None
    expression_type: str | None = None
    max_msg_bytes: Int | None = None
    request_source: Int | None = None
    proxy_froward_client_id: str | None = None
    """The wire's own spelling, `proxyFrowardClientId`."""


class PullMessageAnswer(Header, frozen=True):
    """Where to pull next and from whom. All four numbers are mandatory whatever the code; the body is the records."""

    suggest_which_broker_id: Long
    next_begin_offset: Long
    min_offset: Long
    max_offset: Long
    offset_delta: Long | None = None
    topic_sys_flag: Int | None = None
    group_sys_flag: Int | None = None
    forbidden_type: Int | None = None


class QueryMessage(Header, frozen=True):
    """Messages by key in a span of store times (milliseconds, both ends included)."""

    topic: str
    key: str
    max_num: Int
    begin_timestamp: Long
    end_timestamp: Long


class QueryMessageAnswer(Header, frozen=True):
    """How far the index has come: `index_last_update_phyoffset` is a position in the commit log."""

    index_last_update_timestamp: Long
    index_last_update_phyoffset: Long


class ViewMessageById(Header, frozen=True):
    """The record at this position of the commit log (a message id's second half)."""

    offset: Long
    topic: str | None = None
