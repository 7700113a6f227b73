"""Everything that can be tuned, with its unit and its default. RocketMQ's own defaults, where it has one."""

from __future__ import annotations

from pathlib import Path

import msgspec

from rocket_client.errors import InvalidMessage
from rocket_wire.compression import Compression


class ProducerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a producer behaves.

    retries             further tries after a failed one, on other brokers where the message may go anywhere
    compress_above      bodies larger than this are compressed, bytes
    compression         how; None: not at all. Every client reads ZLIB, only 5.0 and newer ones the others
    max_message_bytes   largest body before compression, bytes; brokers refuse more than their maxMessageSize
    new_topic_queues    queues that a topic gets on each broker when the first send to it makes it
    """

    retries: int = 2
    compress_above: int = 4096
    compression: Compression | None = Compression.ZLIB
    max_message_bytes: int = 4 * 1024 * 1024
    new_topic_queues: int = 4

    def __post_init__(self) -> None:
        _require(self.retries >= 0, "retries", self.retries, "0 or more")
        _require(self.max_message_bytes > 0, "max_message_bytes", self.max_message_bytes, "more than 0")
        _require(self.new_topic_queues > 0, "new_topic_queues", self.new_topic_queues, "more than 0")


class ConsumerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a consumer behaves.

    pull_batch             messages that one pull may bring; brokers give at most 32 from memory by default
    long_poll_seconds      how long a broker holds a pull that finds nothing
    max_buffered_messages  a queue is not pulled while it has so many unfinished messages,
    max_buffered_bytes     or so many bytes of them,
    max_span               or so many offsets between the first unfinished and the last pulled one
    commit_seconds         how often offsets are committed
    rebalance_seconds      how often the group's queues are shared out anew; also at once when a member comes or goes
    handler_seconds        a handler that takes longer than this is cancelled and its message retried
    max_reconsume_times    deliveries after which a message goes to the dead letter topic. None: concurrent consumers
                           leave it to the group's setting on the broker (16); orderly ones repeat without end
    suspend_seconds        how long an orderly queue rests after a failure
    shutdown_seconds       how long a stop waits for handlers that are at work
    from_timestamp         FromWhere.TIMESTAMP: where a group without offsets begins, milliseconds since 1970.
                           None: half an hour ago
    offset_folder          where a broadcasting consumer keeps its offsets,
    instance_name          and under which name: consumers that share a host need different names, and must keep them
                           over restarts
    """

    pull_batch: int = 32
    long_poll_seconds: float = 15.0
    max_buffered_messages: int = 1000
    max_buffered_bytes: int = 64 * 1024 * 1024
    max_span: int = 2000
    commit_seconds: float = 5.0
    rebalance_seconds: float = 20.0
    handler_seconds: float = 900.0
    max_reconsume_times: int | None = None
    suspend_seconds: float = 1.0
    shutdown_seconds: float = 30.0
    from_timestamp: int | None = None
    offset_folder: Path = Path("~/.rocketmq_offsets")
    instance_name: str = "DEFAULT"

    def __post_init__(self) -> None:
        _require(1 <= self.pull_batch <= 1024, "pull_batch", self.pull_batch, "1 to 1024")
        _require(self.long_poll_seconds > 0, "long_poll_seconds", self.long_poll_seconds, "more than 0")
        _require(self.max_buffered_messages > 0, "max_buffered_messages", self.max_buffered_messages, "more than 0")
        _require(self.max_buffered_bytes > 0, "max_buffered_bytes", self.max_buffered_bytes, "more than 0")
        _require(self.max_span > 0, "max_span", self.max_span, "more than 0")
        _require(self.commit_seconds > 0, "commit_seconds", self.commit_seconds, "more than 0")
        _require(self.rebalance_seconds > 0, "rebalance_seconds", self.rebalance_seconds, "more than 0")


def _require(holds: bool, name: str, value: object, allowed: str) -> None:
    if not holds:
        raise InvalidMessage(f"{name}={value}: expected {allowed}")
