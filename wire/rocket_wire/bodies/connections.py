"""Connected clients, and what one of them says it is doing (protocol sections 3.4, 3.5)."""

from __future__ import annotations

import msgspec

from rocket_wire.bodies.body import Body, KeyedBody, MessageQueue, written, written_new
from rocket_wire.bodies.heartbeat import ConsumeFromWhere, ConsumeType, MessageModel, SubscriptionData
from rocket_wire.headers.numbers import Int, Long


class Connection(Body, frozen=True):
    """One client. `language` is a name of `codes.LANGUAGES`, `version` the ordinal of its release."""

    client_id: str
    client_addr: str
    language: str = written("JAVA")
    version: Int = written(0)


class ConsumerConnection(Body, frozen=True):
    """GET_CONSUMER_CONNECTION_LIST's answer: a group's members and its subscriptions by topic."""

    connection_set: tuple[Connection, ...] = written(())
    subscription_table: dict[str, SubscriptionData] = written_new(dict)
    consume_type: ConsumeType | None = None
    message_model: MessageModel | None = None
    consume_from_where: ConsumeFromWhere | None = None


class ProducerConnection(Body, frozen=True):
    """GET_PRODUCER_CONNECTION_LIST's answer."""

    connection_set: tuple[Connection, ...] = written(())


class ProducerInfo(Body, frozen=True):
    """One producer and when its last heartbeat came (milliseconds)."""

    client_id: str
    remote_ip: str = msgspec.field(name="remoteIP")
    language: str = written("JAVA")
    version: Int = written(0)
    last_update_timestamp: Long = written(0)


class ProducerTable(Body, frozen=True):
    """GET_ALL_PRODUCER_INFO's answer: members by producer group."""

    producers: dict[str, tuple[ProducerInfo, ...]] = written_new(dict, name="data")


class ProcessQueueInfo(Body, frozen=True):
    """A push consumer's state of one queue. `droped` is the wire's spelling."""

    commit_offset: Long = written(0)
    cached_msg_min_offset: Long = written(0)
    cached_msg_max_offset: Long = written(0)
    cached_msg_count: Int = written(0)
    cached_msg_size_in_mib: Int = written(0, name="cachedMsgSizeInMiB")
    transaction_msg_min_offset: Long = written(0)
    transaction_msg_max_offset: Long = written(0)
    transaction_msg_count: Int = written(0)
    locked: bool = written(False)
    try_unlock_times: Long = written(0)
    last_lock_timestamp: Long = written(0)
    droped: bool = written(False)
    last_pull_timestamp: Long = written(0)
    last_consume_timestamp: Long = written(0)


class PopProcessQueueInfo(Body, frozen=True):
    """A pop consumer's state of one queue."""

    wait_ack_count: Int = written(0)
    droped: bool = written(False)
    last_pop_timestamp: Long = written(0)


class ConsumeStatus(Body, frozen=True):
    """A consumer's speed on one topic: response times in milliseconds, rates in messages a second."""

    pull_rt: float = written(0.0, name="pullRT")
    pull_tps: float = written(0.0, name="pullTPS")
    consume_rt: float = written(0.0, name="consumeRT")
    consume_ok_tps: float = written(0.0, name="consumeOKTPS")
    consume_failed_tps: float = written(0.0, name="consumeFailedTPS")
    consume_failed_msgs: Long = written(0)


class ConsumerRunningInfo(KeyedBody, frozen=True):
    """GET_CONSUMER_RUNNING_INFO's answer. A broker relays it unread."""

    properties: dict[str, str] = written_new(dict)
    subscription_set: tuple[SubscriptionData, ...] = written(())
    mq_table: dict[MessageQueue, ProcessQueueInfo] = written_new(dict)
    mq_pop_table: dict[MessageQueue, PopProcessQueueInfo] = written_new(dict)
    status_table: dict[str, ConsumeStatus] = written_new(dict)
    user_consumer_info: dict[str, str] = written_new(dict)
    jstack: str | None = None


class ConsumeMessageDirectlyResult(Body, frozen=True):
    """CONSUME_MESSAGE_DIRECTLY's answer.

    `consume_result` is CR_SUCCESS, CR_LATER, CR_ROLLBACK, CR_COMMIT, CR_THROW_EXCEPTION or CR_RETURN_NULL.
    """

    order: bool = written(False)
    auto_commit: bool = written(True)
    consume_result: str | None = None
    remark: str | None = None
    spent_time_mills: Long = written(0)
