"""What goes into the store and what comes out of it."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

import msgspec


class Outgoing(msgspec.Struct, kw_only=True, gc=False):
    """A message to store. Hosts are address and port, 8 or 20 bytes; timestamps milliseconds."""

    topic: str
    queue_id: int
    body: bytes
    properties: bytes = b""
    sys_flag: int = 0
    flag: int = 0
    born_timestamp: int = 0
    born_host: bytes = bytes(8)
    store_host: bytes = bytes(8)
    reconsume_times: int = 0
    prepared_transaction_offset: int = 0


class Put(msgspec.Struct, frozen=True, gc=False):
    """Where a message went. `tags_code` is what its consume queue entry holds: the tag's hash, or the delivery time.

    A record may hold several messages, `count`; then the queue offset is that of the first.
    """

    position: int
    size: int
    queue_offset: int
    store_timestamp: int
    tags_code: int
    count: int = 1

    @property
    def end(self) -> int:
        """The position behind the message."""
        return self.position + self.size


class GetStatus(Enum):
    """How a read of a queue went; the names are RocketMQ's (protocol section 3.8, Pull)."""

    FOUND = auto()
    NO_MATCHED_MESSAGE = auto()
    MESSAGE_WAS_REMOVING = auto()
    OFFSET_FOUND_NULL = auto()
    OFFSET_OVERFLOW_BADLY = auto()
    OFFSET_OVERFLOW_ONE = auto()
    OFFSET_TOO_SMALL = auto()
    NO_MATCHED_LOGIC_QUEUE = auto()
    NO_MESSAGE_IN_QUEUE = auto()


class Got(msgspec.Struct, frozen=True, gc=False):
    """What a queue had to give: the records of `count` messages, one after the other in `body`, and where to go on."""

    status: GetStatus
    next_offset: int
    min_offset: int
    max_offset: int
    body: bytes = b""
    count: int = 0


class Arrival(NamedTuple):
    """A message that came by replication, the last one of its record; `end` is the position behind it."""

    topic: str
    queue_id: int
    queue_offset: int
    tags_code: int
    end: int
