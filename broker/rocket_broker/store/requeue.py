"""Gives records that recovery reads their place in a consume queue, and doubts offsets that cannot be.

A record's CRC covers its body only, so a damaged offset looks like any other; believed, it could empty a queue or make
one of a million blanks. So an offset that leaves a gap is believed when the queue's next record goes on from it, or
when enough of the log was passed over as damaged to hold what is missing.
"""

from __future__ import annotations

import logging
from typing import Final

from rocket_broker.store.entry_queue import EntryQueue
from rocket_broker.store.values import Put

_SMALLEST_RECORD: Final = 91


class Short(Exception):
    """A queue lacks entries of records before those that are read."""


class Requeue:
    """One reading of the log. `is_whole`: from its first byte, so that queues need not be complete."""

    def __init__(self, first: int, logger: logging.Logger, *, is_whole: bool) -> None:
        self.damaged_bytes = 0
        self._first = first
        self._logger = logger
        self._is_whole = is_whole
        self._doubted: dict[EntryQueue, Put] = {}

    def enqueue(self, queue: EntryQueue, put: Put) -> None:
        """Makes the record's entry, now, or when its offset is believed. Raises Short."""
        if self._is_whole:
            self._enqueue_any(queue, put)
        elif put.queue_offset > queue.max_offset:
            raise Short(f"queue {queue.topic}/{queue.queue_id} ends at {queue.max_offset} before its time")
        elif put.queue_offset in (0, queue.max_offset):  # 0: the first of a topic that was deleted and made again
            queue.append(put)
        else:
            self._leave_out(put)

    def _enqueue_any(self, queue: EntryQueue, put: Put) -> None:
        offset, doubted = put.queue_offset, self._doubted.pop(queue, None)
        begins_late = queue.max_offset == 0 and self._first > 0  # what was before has expired
        if doubted is not None and doubted.queue_offset + doubted.count == offset:
            queue.append(doubted)
        elif doubted is not None:
            self._leave_out(doubted)
        if offset > queue.max_offset and not begins_late:
            self._doubted[queue] = put
        elif offset == queue.max_offset or not self._is_taken(queue, put):
            queue.append(put)

    def _is_taken(self, queue: EntryQueue, put: Put) -> bool:
        """Whether the offset is this record's already, or an earlier record's, which then is more to be believed."""
        try:
            entry = queue.entry(put.queue_offset)
        except FileNotFoundError:
            return False
        if entry is None or entry[1] <= 0:
            return False
        position = entry[0]
        if position > put.position or (position < put.position and not put.queue_offset):
            return False
        if position < put.position:
            self._leave_out(put)
        return True

    def finish(self) -> None:
        """Nothing more comes: decides about what is still doubted."""
        for queue, put in self._doubted.items():
            gap = put.queue_offset - queue.max_offset
            if gap * _SMALLEST_RECORD <= self.damaged_bytes:
                queue.append(put)
            else:
                self._leave_out(put)

    def _leave_out(self, put: Put) -> None:
        self._logger.error("the record at position %d cannot have offset %d: left out", put.position, put.queue_offset)
