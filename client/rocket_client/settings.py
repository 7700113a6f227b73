"""Everything that can be tuned, with its unit and its default. RocketMQ's own defaults, where it has one."""

from __future__ import annotations

from pathlib import Path

import msgspec

from rocket_client.errors import InvalidMessage
from rocket_wire.compression import Compression


class ProducerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a producer behaves."""

    #: Further tries after a failed one, on other brokers where the message may go anywhere.
    retries: int = 2
    #: Bodies larger than this are compressed, bytes.
    compress_above: int = 4096
    #: How; None: not at all. Every client reads ZLIB, only 5.0 and newer ones the others.
    compression: Compression | None = Compression.ZLIB
    #: Largest body before compression, bytes. Brokers refuse more than their maxMessageSize.
    max_message_bytes: int = 4 * 1024 * 1024
    #: Queues that a topic gets on each broker when the first send to it makes it.
    new_topic_queues: int = 4

    def __post_init__(self) -> None:
        _require(self.retries >= 0, "retries", self.retries, "0 or more")
        _require(self.max_message_bytes > 0, "max_message_bytes", self.max_message_bytes, "more than 0")
        _require(self.new_topic_queues > 0, "new_topic_queues", self.new_topic_queues, "more than 0")


class ConsumerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a consumer behaves."""

    #: Messages that one pull may bring; brokers give at most 32 from memory by default.
    pull_batch: int = 32
    #: How long a broker holds a pull that finds nothing, seconds.
    long_poll_seconds: float = 15.0
    #: A queue is not pulled while it has so many unfinished messages,
    max_buffered_messages: int = 1000
    #: or so many bytes of them,
    max_buffered_bytes: int = 64 * 1024 * 1024
    #: or so many offsets between the first unfinished and the last pulled one.
    max_span: int = 2000
    #: How often offsets are committed, seconds.
    commit_seconds: float = 5.0
    #: How often the group's queues are shared out anew, seconds; also at once when a member comes or goes.
    rebalance_seconds: float = 20.0
    #: A handler that takes longer than this is cancelled and its message retried, seconds.
    handler_seconds: float = 900.0
    #: Deliveries after which a message goes to the dead letter topic. None: concurrent consumers leave it to the
    #: group's setting on the broker (16); orderly ones repeat without end.
    max_reconsume_times: int | None = None
    #: How long an orderly queue rests after a failure, seconds.
    suspend_seconds: float = 1.0
    #: How long a stop waits for handlers that are at work, seconds.
    shutdown_seconds: float = 30.0
    #: CONSUME_FROM_TIMESTAMP: where a group without offsets begins, milliseconds since 1970. None: half an hour ago.
    from_timestamp: int | None = None
    #: Where a broadcasting consumer keeps its offsets, and under which name: consumers that share a host need
    #: different names, and must keep them over restarts.
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
