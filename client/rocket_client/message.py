"""Messages as an application writes and reads them, and what comes back from a send.

Times are milliseconds since 1970, as the protocol has them; offsets count messages; sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import msgspec

from rocket_wire.bodies.body import MessageQueue
from rocket_wire.topic_names import DLQ_PREFIX, RETRY_PREFIX

#: Where an ordering key travels with its message.
ORDERING_KEY: Final = "__SHARDINGKEY"


@dataclass(frozen=True, slots=True)
class Message:
    """A message to send.

    `body`          bytes, or text (sent as UTF-8)
    `tags`          one tag, by which consumers choose
    `keys`          business keys for looking the message up later; blanks separate several in one text
    `properties`    text by text, for the application's own use
    `delay_level`   1 to 18: deliver after 1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h (the broker's
                    messageDelayLevel); 0: at once
    `flag`          a number for the application's own use
    `wait_stored`   False: the broker answers before the message is flushed or replicated, whatever its settings

    Example:

        Message("orders", "one coffee", tags="new", keys=["order-17"], properties={"shop": "north"})
        Message("orders", b"\x01\x02", delay_level=3)
    """

    topic: str
    body: bytes | str
    tags: str | None = field(default=None, kw_only=True)
    keys: str | Sequence[str] | None = field(default=None, kw_only=True)
    properties: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    delay_level: int = field(default=0, kw_only=True)
    flag: int = field(default=0, kw_only=True)
    wait_stored: bool = field(default=True, kw_only=True)

    @property
    def content(self) -> bytes:
        """The body as bytes."""
        return self.body.encode() if isinstance(self.body, str) else bytes(self.body)


class SendStatus(Enum):
    """How safely a broker holds an acknowledged message. All but SEND_OK mean: stored, but not as safely as asked."""

    SEND_OK = 0
    FLUSH_DISK_TIMEOUT = 10
    SLAVE_NOT_AVAILABLE = 11
    FLUSH_SLAVE_TIMEOUT = 12


@dataclass(frozen=True, slots=True)
class SendResult:
    """An acknowledged message: its two ids, and where it lies.

    `message_id` was made by the producer and survives retries and delays; `offset_message_id` names the record on
    the broker. `queue_offset` is the message's place in `queue`.
    """

    status: SendStatus
    message_id: str
    offset_message_id: str
    queue: MessageQueue
    queue_offset: int


class ReceivedMessage(msgspec.Struct, frozen=True, gc=False):
    """A message from a broker.

    `topic`              as it was sent; `queue` is where it was read, which for a retried message is another topic
    `body`               decompressed
    `message_id`         made by its producer, the same for each delivery
    `offset_message_id`  names the record on the broker
    `reconsume_times`    how often it failed before
    `born_*`, `store_*`  when and where it was sent, and stored: milliseconds since 1970, `host:port`
    `position`           where its record lies in the broker's log, bytes
    `stored_bytes`       size of its record on the broker
    `is_intact`          False: the body is not what was stored, or cannot be decompressed; it is given as it came
    """

    topic: str
    body: bytes
    queue: MessageQueue
    queue_offset: int
    message_id: str
    offset_message_id: str
    properties: dict[str, str]
    reconsume_times: int
    born_timestamp: int
    born_host: str
    store_timestamp: int
    store_host: str
    flag: int
    position: int
    stored_bytes: int
    is_intact: bool

    @property
    def text(self) -> str:
        """The body as UTF-8 text. Raises UnicodeDecodeError."""
        return self.body.decode()

    @property
    def tags(self) -> str | None:
        return self.properties.get("TAGS")

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.properties.get("KEYS", "").split())

    @property
    def queue_id(self) -> int:
        return self.queue.queue_id

    @property
    def broker_name(self) -> str:
        return self.queue.broker_name

    @property
    def ordering_key(self) -> str | None:
        return self.properties.get(ORDERING_KEY)


def retry_topic(group: str) -> str:
    """The topic through which a consumer group's failed messages come again."""
    return RETRY_PREFIX + group


def dead_letter_topic(group: str) -> str:
    """The topic where a consumer group's messages end that failed too often."""
    return DLQ_PREFIX + group


def queue_text(queue: MessageQueue) -> str:
    """A queue for people."""
    return f"{queue.topic} queue {queue.queue_id} on {queue.broker_name}"
