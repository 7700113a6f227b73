"""Telling the consume queue and the index of a record that is in the log: one function, whoever put the record there.

A prepared or rolled back transactional message (sysFlag 0x4, 0xC) has no place in its queue, and a rolled back one
none in the index, as in Apache's broker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from rocket_broker.store.consume_queues import ConsumeQueues
from rocket_broker.store.entry_queue import EntryQueue
from rocket_broker.store.index import Index
from rocket_broker.store.queue_entries import MAX_BATCH
from rocket_broker.store.values import Put
from rocket_wire import properties, record
from rocket_wire.errors import ProtocolError
from rocket_wire.hashing import utf8_hash

NOT_QUEUED: Final = 0x4
_TRANSACTION: Final = 0xC
_ROLLED_BACK: Final = 0xC
_DEFAULT_DELAY: Final = 1000
#: Offsets that a queue may lack in its middle: more than that is damage, not loss.
MAX_GAP: Final = 1_000_000

#: A record that is in the log: its queue, where it is, its sysFlag and its properties.
Dispatch = tuple[EntryQueue, Put, int, bytes]


class Dispatcher:
    """Dispatches to one store's queues and index (None where it is switched off).

    `mark` says up to which position of the log both know of it, and how many entries the queues have then: one value,
    so that another thread may ask. Whoever dispatches moves it, by `reached`. `store_time_at` tells of a record's
    position when it was stored.
    """

    def __init__(
        self,
        queues: ConsumeQueues,
        index: Index | None,
        delay_levels: tuple[int, ...],
        store_time_at: Callable[[int], int | None],
    ) -> None:
        self.queues = queues
        self.index = index
        self.mark = (0, 0)
        self._shared = queues.shared
        self._delay_levels = delay_levels
        self._store_time_at = store_time_at

    @property
    def position(self) -> int:
        """Up to where queues and index know of the log."""
        return self.mark[0]

    def reached(self, position: int) -> None:
        """Every record before `position` is dispatched, and none behind it."""
        self.mark = (position, self._shared.count)

    def dispatch(self, records: Sequence[Dispatch]) -> None:
        """These records are in the log: from now on readers find them."""
        for queue, put, sys_flag, _ in records:
            if not sys_flag & NOT_QUEUED:
                queue.append(put)
        self.add_to_index(records)

    def add_to_index(self, records: Sequence[Dispatch]) -> None:
        """The index's half of `dispatch`."""
        if self.index is not None:
            self.index.add(
                [
                    (put.position, put.store_timestamp, queue.topic, content)
                    for queue, put, sys_flag, content in records
                    if sys_flag & _TRANSACTION != _ROLLED_BACK
                ]
            )

    def dispatch_read(self, message: record.Message) -> Put:
        """The same for a record that came from a master. Raises ProtocolError for one that no queue can hold."""
        queue = self.queue_of(message)
        gap = message.queue_offset - queue.max_offset if queue.max_offset else 0
        if message.queue_id < 0 or message.queue_offset < 0 or gap > MAX_GAP:
            raise ProtocolError(f"queue {message.topic}/{message.queue_id} cannot go on at {message.queue_offset}")
        put = self.put_of(queue, message)
        self.dispatch(((queue, put, message.sys_flag, message.properties),))
        return put

    def queue_of(self, message: record.Message) -> EntryQueue:
        """The queue of a record that is read: of batches, where it holds several messages. As `ensure_batch`."""
        if messages_in(message) > 1:
            return self.queues.ensure_batch(message.topic, message.queue_id, self._store_time_at)
        return self.queues.ensure(message.topic, message.queue_id)

    def batch_queue(self, topic: str, queue_id: int) -> EntryQueue:
        """The queue for a record that is about to hold several messages. As `ensure_batch`."""
        return self.queues.ensure_batch(topic, queue_id, self._store_time_at)

    def make_batches(self) -> None:
        """See `ConsumeQueues.make_batches`."""
        self.queues.make_batches(self._store_time_at)

    def put_of(self, queue: EntryQueue, message: record.Message) -> Put:
        """What the put of this record returned."""
        tags_code = self.tags_code(queue, message.properties, message.store_timestamp)
        return Put(
            message.position,
            message.size,
            message.queue_offset,
            message.store_timestamp,
            tags_code,
            messages_in(message),
        )

    def tags_code(self, queue: EntryQueue, content: bytes, timestamp: int) -> int:
        """What the queue's entry holds: the tag's hash, or the time of delivery (ms) of a message that is delayed."""
        if queue.is_schedule:
            level = properties.find(content, b"DELAY")
            if level is not None and level.isdigit() and int(level) > 0:
                return timestamp + self._delay(int(level))
        tag = properties.find(content, b"TAGS")
        return 0 if tag is None else _tag_code(tag)

    def _delay(self, level: int) -> int:
        levels = self._delay_levels
        return levels[min(level, len(levels)) - 1] if levels else _DEFAULT_DELAY


def messages_in(message: record.Message) -> int:
    """How many messages the record holds. What its properties say counts only for a record that says it is a batch."""
    if not message.sys_flag & record.INNER_BATCH:
        return 1
    number = properties.find(message.properties, b"INNER_NUM")
    return min(max(int(number), 1), MAX_BATCH) if number is not None and number.isdigit() else 1


@lru_cache(maxsize=4096)
def _tag_code(tag: bytes) -> int:
    return utf8_hash(tag)
