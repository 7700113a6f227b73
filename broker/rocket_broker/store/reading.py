"""Reading queues: which entries, then which bytes of the log, in as few system calls as their nearness allows.

Nothing here waits for the disk unless told that it may: where bytes are not in memory, `WouldBlock` says so, and the
caller asks again in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.consume_queue import BLANK_SIZE, ConsumeQueue, ConsumeQueues
from rocket_broker.store.errors import StoreError, refused
from rocket_broker.store.values import GetStatus, Got
from rocket_wire import record

#: Entries looked at in one read of a queue, however few of them match (Apache's maxFilterMessageSize, 16000 bytes).
_MAX_ENTRIES: Final = 800
#: Reading this much that nobody wants costs about as much as another system call (measured: 16 KiB, 1 microsecond).
_NEAR_BYTES: Final = 16 * 1024

#: A record that is not longer is looked up in one read.
_LOOK_UP_BYTES: Final = 4096
_SIZE_AND_MAGIC: Final = Struct(">ii")
_LONG: Final = Struct(">q")
_POSITION_AT: Final = 28
_SYS_FLAG_AT: Final = 36

Entries = list[tuple[int, int, int]]


class WouldBlock(Exception):
    """What is asked for is not in memory, and the caller did not allow to wait for the disk."""


class Wish:
    """How much of a queue is wanted: so many messages, so many bytes (the first message counts always), which tags."""

    __slots__ = ("max_bytes", "max_messages", "tags")

    def __init__(self, max_messages: int, max_bytes: int, tags: frozenset[int] | None) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.tags = tags


def outside(queue: ConsumeQueue | None, offset: int) -> Got | None:
    """The answer to a read that has nothing to read; None where there is something."""
    if queue is None:
        return Got(GetStatus.NO_MATCHED_LOGIC_QUEUE, 0, 0, 0)
    low, high = queue.min_offset, queue.max_offset
    if low <= offset < high:
        return None
    if high == 0:
        return Got(GetStatus.NO_MESSAGE_IN_QUEUE, 0, low, high)
    if offset < low:
        return Got(GetStatus.OFFSET_TOO_SMALL, low, low, high)
    if offset == high:
        return Got(GetStatus.OFFSET_OVERFLOW_ONE, offset, low, high)
    return Got(GetStatus.OFFSET_OVERFLOW_BADLY, high, low, high)


class Reader:
    """Reads queues of one store."""

    def __init__(self, log: CommitLog, queues: ConsumeQueues) -> None:
        self._log = log
        self._queues = queues

    def get(self, queue: ConsumeQueue, offset: int, wish: Wish, *, may_block: bool) -> Got:
        """Records from `offset` on, which the queue must have. Raises WouldBlock and StoreError."""
        low, high = queue.min_offset, queue.max_offset
        count = wish.max_messages if wish.tags is None else max(_MAX_ENTRIES, wish.max_messages)
        entries = self._entries(queue, offset, count, may_block=may_block)
        if not entries:
            return Got(GetStatus.OFFSET_FOUND_NULL, offset, low, high)
        wanted, taken, is_removed = self._choose(entries, wish)
        if not wanted:
            status = GetStatus.MESSAGE_WAS_REMOVING if is_removed else GetStatus.NO_MATCHED_MESSAGE
            return Got(status, offset + taken, low, high)
        body = b"".join(self._records(wanted, may_block=may_block))
        return Got(GetStatus.FOUND, offset + taken, low, high, body, len(wanted))

    def _entries(self, queue: ConsumeQueue, offset: int, count: int, *, may_block: bool) -> Entries:
        try:
            entries = self._queues.entries(queue, offset, count, may_block=may_block)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise refused(f"cannot read queue {queue.topic}/{queue.queue_id}", error) from error
        if entries is None:
            raise WouldBlock
        return entries

    def _choose(self, entries: Entries, wish: Wish) -> tuple[list[tuple[int, int]], int, bool]:
        """(position, size) of what to read, how many entries that takes, and whether any was gone from the log."""
        wanted: list[tuple[int, int]] = []
        first, tags, room = self._log.first, wish.tags, wish.max_bytes
        is_removed = False
        for number, (position, size, tags_code) in enumerate(entries):
            if tags is not None and tags_code not in tags:
                continue
            if position < first or size == BLANK_SIZE:
                is_removed = True
                continue
            room -= size
            if wanted and (room < 0 or len(wanted) == wish.max_messages):
                return wanted, number, is_removed
            wanted.append((position, size))
        return wanted, len(entries), is_removed

    def _records(self, wanted: list[tuple[int, int]], *, may_block: bool) -> Iterator[memoryview | bytearray]:
        for run in self._runs(wanted):
            start = run[0][0]
            content = self._log.read(start, run[-1][0] + run[-1][1] - start, may_block=may_block)
            if content is None:
                raise WouldBlock
            if len(content) != run[-1][0] + run[-1][1] - start:
                raise StoreError(f"the log ends inside the record at position {run[-1][0]}")
            if sum(size for _, size in run) == len(content):
                yield content
            else:
                view = memoryview(content)
                for position, size in run:
                    yield view[position - start : position - start + size]

    def _runs(self, wanted: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
        """Neighbours that are cheaper to read at once, in one segment."""
        run = [wanted[0]]
        end = wanted[0][0] + wanted[0][1]
        for position, size in wanted[1:]:
            if 0 <= position - end <= _NEAR_BYTES and self._log.base_of(position) == self._log.base_of(run[0][0]):
                run.append((position, size))
            else:
                yield run
                run = [(position, size)]
            end = position + size
        yield run

    # -- single records ---------------------------------------------------------------------------------------------

    def record(self, position: int, size: int | None = None) -> bytes | None:
        """The record at `position`; None where none begins. Raises StoreError when the disk fails."""
        if not self._log.first <= position < self._log.end:
            return None
        content = self._log.read(position, size or _LOOK_UP_BYTES) or b""
        if len(content) < record.HEADERS[0].size:
            return None
        size, magic = _SIZE_AND_MAGIC.unpack_from(content)
        if magic not in (record.MAGIC_V1, record.MAGIC_V2) or _LONG.unpack_from(content, _POSITION_AT)[0] != position:
            return None
        if size > len(content):
            content = self._log.read(position, size) or b""
        return bytes(content[:size]) if len(content) >= size else None

    def store_time_at(self, position: int) -> int | None:
        """When the record at `position` was stored, ms; None where none begins."""
        content = self.record(position)
        if content is None:
            return None
        is_born_v6 = content[_SYS_FLAG_AT + 3] & record.BORN_HOST_V6
        timestamp: int = _LONG.unpack_from(content, 68 if is_born_v6 else 56)[0]
        return timestamp

    def store_time(self, queue: ConsumeQueue, offset: int) -> int | None:
        """When the message at `offset` was stored, ms; None where there is none."""
        try:
            entry = self._queues.entry(queue, offset)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(f"cannot read queue {queue.topic}/{queue.queue_id}", error) from error
        return None if entry is None else self.store_time_at(entry.position)

    def offset_by_time(self, queue: ConsumeQueue, timestamp: int, *, upper: bool) -> int:
        """The first offset stored at `timestamp` or later, else the maximum; for `upper` see the store."""
        low, high = queue.min_offset, queue.max_offset
        while low < high:
            middle = (low + high) // 2
            stored = self.store_time(queue, middle)
            if stored is None or stored < timestamp or (upper and stored == timestamp):
                low = middle + 1
            else:
                high = middle
        return max(low - 1, queue.min_offset) if upper else low
