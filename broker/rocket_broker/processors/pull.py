"""PULL_MESSAGE and LITE_PULL_MESSAGE: records of one queue, now or when one arrives (protocol section 3.8).

The checks stand in RocketMQ's order. The broker filters by the tags' hash codes only; the client filters again by
text. A read that would wait for the disk is done in a thread, so that nobody else waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final

from rocket_broker.state import Broker
from rocket_broker.store.store import GetStatus, Got
from rocket_broker.topics import PERM_READ
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, Reply
from rocket_wire import hashing
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.heartbeat import MessageModel, SubscriptionData
from rocket_wire.bodies.topics import TopicConfig
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers import pull as flags
from rocket_wire.headers.pull import PullMessage, PullMessageAnswer

_CODES: Final = {
    GetStatus.FOUND: ResponseCode.SUCCESS,
    GetStatus.NO_MATCHED_MESSAGE: ResponseCode.PULL_RETRY_IMMEDIATELY,
    GetStatus.MESSAGE_WAS_REMOVING: ResponseCode.PULL_RETRY_IMMEDIATELY,
    GetStatus.NO_MATCHED_LOGIC_QUEUE: ResponseCode.PULL_OFFSET_MOVED,
    GetStatus.NO_MESSAGE_IN_QUEUE: ResponseCode.PULL_OFFSET_MOVED,
    GetStatus.OFFSET_FOUND_NULL: ResponseCode.PULL_NOT_FOUND,
    GetStatus.OFFSET_OVERFLOW_ONE: ResponseCode.PULL_NOT_FOUND,
    GetStatus.OFFSET_OVERFLOW_BADLY: ResponseCode.PULL_OFFSET_MOVED,
    GetStatus.OFFSET_TOO_SMALL: ResponseCode.PULL_OFFSET_MOVED,
}
_EMPTY: Final = (GetStatus.NO_MATCHED_LOGIC_QUEUE, GetStatus.NO_MESSAGE_IN_QUEUE)
_MAX_SUSPEND_SECONDS: Final = 120.0


@dataclass(slots=True)
class _Pull:
    """A checked pull: what is asked, and what the checks found out about it."""

    header: PullMessage
    request: Command
    topic: TopicConfig
    group: SubscriptionGroupConfig
    tags: frozenset[int] | None


def pull_message(broker: Broker, header: PullMessage, request: Command, connection: Connection) -> Answer:
    """Records from `queue_offset` on, or where to go on; held while there are none and the client may wait."""
    broker.role.check_serve()
    pull = _checked(broker, header, request)
    if header.sys_flag & flags.COMMIT_OFFSET and broker.config.settings.is_master and header.commit_offset >= 0:
        broker.offsets.commit(header.consumer_group, header.topic, header.queue_id, header.commit_offset)
    if (moved := _reset(broker, pull)) is not None:
        return moved
    got = _read(broker, pull)
    if got is None:
        return _cold(broker, pull)
    code = _code(broker, pull, got)
    if code is ResponseCode.PULL_NOT_FOUND and header.sys_flag & flags.SUSPEND:
        return _held(broker, pull, _arrival(broker, pull))
    return _answer(broker, pull, got, code)


def _arrival(broker: Broker, pull: _Pull) -> Awaitable[None]:
    settings, header = broker.config.settings, pull.header
    milliseconds = header.suspend_timeout_millis if settings.long_polling_enable else settings.short_polling_time_mills
    seconds = min(max(milliseconds, 0) / 1000, _MAX_SUSPEND_SECONDS)
    return broker.arrivals.wait(header.topic, header.queue_id, header.queue_offset, pull.tags, seconds)


async def _held(broker: Broker, pull: _Pull, arrival: Awaitable[None]) -> Reply:
    await arrival
    if (moved := _reset(broker, pull)) is not None:
        return moved
    got = _read(broker, pull)
    if got is None:
        return await _cold(broker, pull)
    return _answer(broker, pull, got, _code(broker, pull, got))


def _reset(broker: Broker, pull: _Pull) -> Command | None:
    """The answer that sends a consumer to the offset that an administrator chose; None where there is no such."""
    header, store = pull.header, broker.store
    offset = broker.offsets.take_reset(header.consumer_group, header.topic, header.queue_id)
    if offset is None:
        return None
    least, most = store.min_offset(header.topic, header.queue_id), store.max_offset(header.topic, header.queue_id)
    reply = pull.request.reply(PullMessageAnswer(0, offset, least, most))
    reply.code, reply.remark = ResponseCode.PULL_OFFSET_MOVED, "OFFSET_RESET"
    return reply


async def _cold(broker: Broker, pull: _Pull) -> Reply:
    """The same read where it may block."""
    got = await asyncio.to_thread(_read, broker, pull, may_block=True)
    assert got is not None, "a read that may block has a result"
    return _answer(broker, pull, got, _code(broker, pull, got))


def _read(broker: Broker, pull: _Pull, *, may_block: bool = False) -> Got | None:
    settings, header = broker.config.settings, pull.header
    limit = settings.max_transfer_bytes_on_message_in_memory
    return broker.store.get(
        header.topic,
        header.queue_id,
        header.queue_offset,
        max_messages=max(1, min(header.max_msg_nums, settings.max_transfer_count_on_message_in_memory)),
        max_bytes=min(limit, header.max_msg_bytes or limit),
        tags=pull.tags,
        may_block=may_block,
    )


def _code(broker: Broker, pull: _Pull, got: Got) -> ResponseCode:
    if got.status in _EMPTY and pull.header.queue_offset == 0:
        return ResponseCode.PULL_NOT_FOUND
    code = _CODES[got.status]
    if not broker.config.settings.is_master:
        if code is ResponseCode.PULL_OFFSET_MOVED:  # a slave that lags must not move anybody's offset
            return ResponseCode.PULL_RETRY_IMMEDIATELY
        if code is not ResponseCode.SUCCESS and broker.master.is_connected:
            return ResponseCode.PULL_RETRY_IMMEDIATELY
    return code


def _answer(broker: Broker, pull: _Pull, got: Got, code: ResponseCode) -> Command:
    passes_over = _CODES[got.status] is ResponseCode.PULL_RETRY_IMMEDIATELY  # all that was seen is unwanted
    is_lagging_slave = code is ResponseCode.PULL_RETRY_IMMEDIATELY and not passes_over
    answer = PullMessageAnswer(
        suggest_which_broker_id=_next_broker_id(broker, pull),
        next_begin_offset=pull.header.queue_offset if is_lagging_slave else got.next_offset,
        min_offset=got.min_offset,
        max_offset=got.max_offset,
        topic_sys_flag=pull.topic.topic_sys_flag,
        group_sys_flag=pull.group.group_sys_flag,
    )
    reply = pull.request.reply(answer, got.body)
    reply.code = code
    reply.remark = got.status.name
    if code is ResponseCode.SUCCESS:
        broker.statistics.delivered(pull.header.topic, pull.header.consumer_group, got.count, len(got.body))
    else:
        reply.body = b""
    return reply


def _next_broker_id(broker: Broker, pull: _Pull) -> int:
    settings = broker.config.settings
    if settings.is_master or broker.master.is_connected:
        return 0
    return settings.broker_id


def _checked(broker: Broker, header: PullMessage, request: Command) -> _Pull:
    settings = broker.config.settings
    if not settings.broker_permission & PERM_READ:
        raise RequestError(
            ResponseCode.NO_PERMISSION, f"the broker[{settings.broker_ip1}] pulling message is forbidden"
        )
    group = broker.groups.require(header.consumer_group)
    if not group.consume_enable:
        remark = f"subscription group no permission, {header.consumer_group}"
        raise RequestError(ResponseCode.NO_PERMISSION, remark)
    topic = broker.topics.get(header.topic)
    if topic is None:
        remark = f"topic[{header.topic}] not exist, apply first please!"
        raise RequestError(ResponseCode.TOPIC_NOT_EXIST, remark)
    if not topic.perm & PERM_READ:
        raise RequestError(ResponseCode.NO_PERMISSION, f"the topic[{header.topic}] pulling message is forbidden")
    if not 0 <= header.queue_id < topic.read_queue_nums:
        remark = (
            f"queueId[{header.queue_id}] is illegal, topic:[{header.topic}] "
            f"topicConfig.readQueueNums:[{topic.read_queue_nums}] consumer:[{header.consumer_group}]"
        )
        raise RequestError(ResponseCode.INVALID_PARAMETER, remark)
    return _Pull(header, request, topic, group, _tags(broker, header, group))


def _tags(broker: Broker, header: PullMessage, group: SubscriptionGroupConfig) -> frozenset[int] | None:
    """Tag codes to deliver, None for all."""
    if header.sys_flag & flags.SUBSCRIPTION:
        expression = header.subscription or "*"
        if header.expression_type not in (None, "", "TAG"):
            raise _unsupported_filter(header.expression_type)
        return parse_tags(expression)
    live = broker.clients.consumers.get(header.consumer_group)
    if live is None:
        raise RequestError(ResponseCode.SUBSCRIPTION_NOT_EXIST, "the consumer's group info not exist")
    if live.message_model is MessageModel.BROADCASTING and not group.consume_broadcast_enable:
        remark = f"the consumer group[{header.consumer_group}] can not consume by broadcast way"
        raise RequestError(ResponseCode.NO_PERMISSION, remark)
    subscription = live.subscriptions.get(header.topic)
    if subscription is None:
        raise RequestError(ResponseCode.SUBSCRIPTION_NOT_EXIST, "the consumer's subscription not exist")
    if subscription.sub_version < header.sub_version:
        raise RequestError(ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest")
    return _subscribed_tags(subscription)


def _subscribed_tags(subscription: SubscriptionData) -> frozenset[int] | None:
    if subscription.expression_type != "TAG":
        raise _unsupported_filter(subscription.expression_type)
    if subscription.sub_string in ("", "*"):
        return None
    return subscription.code_set or parse_tags(subscription.sub_string)


def parse_tags(expression: str) -> frozenset[int] | None:
    """Tag codes of `TagA || TagB`; None of `*` and of nothing, which mean all."""
    if expression.strip() in ("", "*"):
        return None
    tags = [tag.strip() for tag in expression.split("||")]
    if not any(tags):
        raise RequestError(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed")
    return frozenset(hashing.string_hash(tag) for tag in tags if tag)


def _unsupported_filter(expression_type: str | None) -> RequestError:
    remark = f"The broker does not support consumer to filter message by {expression_type}"
    return RequestError(ResponseCode.SYSTEM_ERROR, remark)
