"""The message store: append, then dispatch; read; recover (protocol section 4, design section 5).

A put builds the record's bytes once and appends them to the commit log; only then the consume queue and the index
learn of it, by `_dispatch`, which recovery and replication use too. What put() returned is in the kernel and survives
the process; what `flushed_position` covers survives the machine.

Threads: one thread calls what changes the store (put, append_replica, delete_topic, delete_expired). `flush`,
`sync_log`, and reads with may_block=True may run in others at the same time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Final
from zlib import crc32

from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.consume_queue import ConsumeQueue, ConsumeQueues
from rocket_broker.store.reading import Reader, Wish, WouldBlock, outside
from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.values import Arrival, Entry, GetStatus, Got, Outgoing, Put
from rocket_wire import properties, record
from rocket_wire.hashing import utf8_hash

__all__ = ["Arrival", "Entry", "GetStatus", "Got", "MessageStore", "Outgoing", "Put"]

_LENGTH: Final = Struct(">H")
_HOST_BITS: Final = record.BORN_HOST_V6 | record.STORE_HOST_V6
_TRANSACTION: Final = 0xC
_ROLLBACK: Final = 0xC
_NOT_QUEUED: Final = 0x4  # prepared (0x4) and rolled back (0xC) messages have no place in a queue


class MessageStore:
    """The messages of one broker. Made by `open`, ended by `close`."""

    def __init__(self, settings: StoreSettings, now_ms: Callable[[], int], log: logging.Logger) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._logger = log
        self._log = CommitLog(settings.commitlog_path, settings.segment_size, settings.open_files, log)
        self._queues = ConsumeQueues(settings.root / "consumequeue", settings.queue_file_size, settings.open_files, log)
        self._reader = Reader(self._log, self._queues)
        self._by_topic = self._queues.by_topic
        self._last_timestamp = 0
        self._arrivals: list[Arrival] = []

    @classmethod
    def open(cls, settings: StoreSettings, *, now_ms: Callable[[], int], log: logging.Logger) -> MessageStore:
        """Locks the folder, recovers what is in it. Raises StoreLocked, StoreError, OSError."""
        store = cls(settings, now_ms, log)
        settings.root.mkdir(parents=True, exist_ok=True)
        return store

    def close(self) -> None:
        """Makes everything durable and gives the folder back. Raises OSError when that cannot be done."""
        self.flush()
        self._log.close()
        self._queues.close()

    # -- putting ----------------------------------------------------------------------------------------------------

    def put(self, message: Outgoing) -> Put:
        """Appends one message; when this returns, the kernel has it. Raises StoreFull and StoreError."""
        queues = self._by_topic.get(message.topic)
        queue = queues.get(message.queue_id) if queues is not None else None
        if queue is None:
            queue = self._new_queue(message)
        sys_flag = _sys_flag(message)
        size = (
            record.HEADERS[sys_flag >> 4 & 3].size + len(message.body) + len(queue.topic_field)
            + 2 + len(message.properties)
        )  # fmt: skip
        position = self._log.room(size)
        put = self._place(message, queue, position, size, queue.max_offset)
        self._log.append(_encode(message, queue, put, sys_flag))
        self._dispatch(queue, put, sys_flag, message.properties)
        return put

    def put_many(self, messages: list[Outgoing]) -> list[Put]:
        """Appends all or none of `messages` in one write. Raises StoreFull and StoreError."""
        placed = []
        total = 0
        for message in messages:
            queue = self._queues.get(message.topic, message.queue_id) or self._new_queue(message)
            sys_flag = _sys_flag(message)
            size = (
                record.HEADERS[sys_flag >> 4 & 3].size + len(message.body) + len(queue.topic_field)
                + 2 + len(message.properties)
            )  # fmt: skip
            placed.append((message, queue, sys_flag, size))
            total += size
        position = self._log.room(total)
        puts = []
        parts = []
        offsets: dict[ConsumeQueue, int] = {}
        for message, queue, sys_flag, size in placed:
            offset = offsets.get(queue, queue.max_offset)
            put = self._place(message, queue, position, size, offset)
            if not sys_flag & _NOT_QUEUED:
                offsets[queue] = offset + 1
            parts.append(_encode(message, queue, put, sys_flag))
            puts.append(put)
            position += size
        self._log.append(b"".join(parts))
        for put, (message, queue, sys_flag, _) in zip(puts, placed, strict=True):
            self._dispatch(queue, put, sys_flag, message.properties)
        return puts

    def _new_queue(self, message: Outgoing) -> ConsumeQueue:
        return self._queues.ensure(message.topic, message.queue_id)

    def _place(self, message: Outgoing, queue: ConsumeQueue, position: int, size: int, offset: int) -> Put:
        timestamp = self._now_ms()
        if timestamp < self._last_timestamp:  # a clock set back must not put the log out of order
            timestamp = self._last_timestamp
        self._last_timestamp = timestamp
        if message.sys_flag & _NOT_QUEUED:
            offset = 0
        return Put(position, size, offset, timestamp, self._tags_code(queue, message.properties, timestamp))

    def _tags_code(self, queue: ConsumeQueue, content: bytes, timestamp: int) -> int:
        if queue.is_schedule:
            level = properties.find(content, b"DELAY")
            if level is not None and level.isdigit() and int(level) > 0:
                return timestamp + self._delay(int(level))
        tag = properties.find(content, b"TAGS")
        return 0 if tag is None else _tag_code(tag)

    def _delay(self, level: int) -> int:
        levels = self._settings.delay_levels
        return levels[min(level, len(levels)) - 1] if levels else 1000

    def _dispatch(self, queue: ConsumeQueue, put: Put, sys_flag: int, content: bytes) -> None:
        """Tells queue and index of a record that is in the log: after a put, a replicated append, and in recovery."""
        if not sys_flag & _NOT_QUEUED:
            self._queues.append(queue, put)

    # -- reading ----------------------------------------------------------------------------------------------------

    def get(
        self, topic: str, queue_id: int, offset: int, *, max_messages: int, max_bytes: int,
        tags: frozenset[int] | None, may_block: bool = False,
    ) -> Got | None:  # fmt: skip
        """Records of a queue from `offset` on: up to `max_messages` and `max_bytes`, the first whatever its size.

        Only messages whose tag code is in `tags`, where given. None where the disk would have to be waited for: ask
        again with may_block=True, in a thread. Raises StoreError when the disk fails.
        """
        queue = self._queues.get(topic, queue_id)
        got = outside(queue, offset)
        if got is not None or queue is None:
            return got
        try:
            return self._reader.get(queue, offset, Wish(max_messages, max_bytes, tags), may_block=may_block)
        except WouldBlock:
            return None

    def max_offset(self, topic: str, queue_id: int) -> int:
        """The offset that the queue's next message gets; 0 for a queue that never had one."""
        queue = self._queues.get(topic, queue_id)
        return 0 if queue is None else queue.max_offset

    def min_offset(self, topic: str, queue_id: int) -> int:
        """The queue's first offset that can still be read; 0 for a queue that never had one."""
        queue = self._queues.get(topic, queue_id)
        return 0 if queue is None else queue.min_offset

    @property
    def min_position(self) -> int:
        """The first position of the commit log that is still there, bytes."""
        return self._log.first

    @property
    def max_position(self) -> int:
        """Where the commit log ends, bytes."""
        return self._log.end

    @property
    def flushed_position(self) -> int:
        """Up to where the commit log is on the disk, bytes."""
        return self._log.flushed

    def flush(self) -> None:
        self._log.sync()
        self._queues.write_tails()


def _encode(message: Outgoing, queue: ConsumeQueue, put: Put, sys_flag: int) -> bytes:
    body, content = message.body, message.properties
    fixed = record.HEADERS[sys_flag >> 4 & 3].pack(
        put.size, queue.magic, crc32(body) & 0x7FFFFFFF, message.queue_id, message.flag, put.queue_offset,
        put.position, sys_flag, message.born_timestamp, message.born_host, put.store_timestamp, message.store_host,
        message.reconsume_times, message.prepared_transaction_offset, len(body),
    )  # fmt: skip
    return b"".join((fixed, body, queue.topic_field, _LENGTH.pack(len(content)), content))


def _sys_flag(message: Outgoing) -> int:
    """The sysFlag with the bits that say how long the hosts are."""
    flags = message.sys_flag & ~_HOST_BITS
    if len(message.born_host) + len(message.store_host) != 16:
        flags |= record.host_flags(message.born_host, message.store_host)
    return flags


@lru_cache(maxsize=4096)
def _tag_code(tag: bytes) -> int:
    return utf8_hash(tag)
