"""Reading queues: which entries, then which bytes of the log, in as few system calls as their nearness allows.

Nothing here waits for the disk unless told that it may: where bytes are not in memory, `WouldBlock` says so, and the
caller asks again in a thread.

An entry that is of no record, since its file is damaged, is passed over, as Apache's broker does.
"""

from __future__ import annotations

import logging
from struct import Struct
from typing import Final

from rocket_broker.store.choosing import Wish
from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.entry_queue import EntryQueue
from rocket_broker.store.errors import refused
from rocket_broker.store.queue_entries import BLANK_SIZE, Unpacked
from rocket_broker.store.values import GetStatus, Got
from rocket_wire import record

#: Entries looked at in one read of a queue, however few of them match (Apache's maxFilterMessageSize, 16000 bytes).
_MAX_ENTRIES: Final = 800
#: Reading this much that nobody wants costs about as much as another system call (measured: at 22 KiB it costs twice).
_NEAR_BYTES: Final = 4 * 1024

#: A record that is not longer is looked up in one read.
_LOOK_UP_BYTES: Final = 4096
_SIZE_AND_MAGIC: Final = Struct(">ii")
_SIZE: Final = Struct(">i")
_LONG: Final = Struct(">q")
_POSITION_AT: Final = 28
_SYS_FLAG_AT: Final = 36

#: One system call takes 1024.
_MAX_BUFFERS: Final = 1000

_MAGICS: Final = (record.MAGIC_V1, record.MAGIC_V2)
_OF_NO_RECORD: Final = (0, BLANK_SIZE, 0)

Entries = list[Unpacked]


class WouldBlock(Exception):
    """What is asked for is not in memory, and the caller did not allow to wait for the disk."""


def outside(queue: EntryQueue | None, offset: int, high: int) -> Got | None:
    """The answer to a read that has nothing to read; None where there is something. The queue ends at `high`."""
    if queue is None:
        return Got(GetStatus.NO_MATCHED_LOGIC_QUEUE, 0, 0, 0)
    low = queue.min_offset
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

    def __init__(self, log: CommitLog, logger: logging.Logger) -> None:
        self._log = log
        self._logger = logger
        self._unwanted = memoryview(bytearray(_NEAR_BYTES))

    def get(self, queue: EntryQueue, offset: int, high: int, wish: Wish, *, may_block: bool) -> Got:
        """Records from `offset`, which the queue must have, up to `high` at most. Raises WouldBlock and StoreError."""
        low = queue.min_offset
        count = wish.max_messages if wish.tags is None else max(_MAX_ENTRIES, wish.max_messages)
        count = min(count, high - offset)
        entries = self.entries(queue, offset, count, may_block=may_block)
        if not entries:
            return Got(GetStatus.OFFSET_FOUND_NULL, queue.next_file_offset(offset), low, high)
        wanted, records, messages, following = queue.choose(offset, entries, wish, self._log.first)
        body = self._records(wanted, records, may_block=may_block)
        if body is None:
            if not may_block:
                raise WouldBlock
            entries = self._without_rubbish(queue, offset, entries)
            wanted, records, messages, following = queue.choose(offset, entries, wish, self._log.first)
            body = self._read(wanted, may_block=True)
        if not records:
            is_removed = any(entry[0] < self._log.first or entry[1] == BLANK_SIZE for entry in entries)
            status = GetStatus.MESSAGE_WAS_REMOVING if is_removed else GetStatus.NO_MATCHED_MESSAGE
            return Got(status, following, low, high)
        return Got(GetStatus.FOUND, following, low, high, body, messages)

    def entries(self, queue: EntryQueue, offset: int, count: int, *, may_block: bool) -> Entries:
        """Entries of a queue, none where their file is missing. Raises WouldBlock and StoreError."""
        try:
            entries = queue.entries(offset, count, may_block=may_block)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise refused(f"cannot read queue {queue.topic}/{queue.queue_id}", error) from error
        if entries is None:
            raise WouldBlock
        return entries

    def _records(self, wanted: list[tuple[int, int]], count: int, *, may_block: bool) -> bytes | None:
        """Those bytes, None where they are not `count` records: what each claims to be its size leads to the next."""
        if any(size > self._log.segment_size for _, size in wanted):
            return None
        try:
            body = self._read(wanted, may_block=may_block)
        except EOFError:
            return None
        at, last = 0, len(body) - _SIZE.size
        while at <= last:
            (size,) = _SIZE.unpack_from(body, at)
            if size <= 0:
                return None
            at += size
            count -= 1
        return None if count or at != len(body) else body

    def _without_rubbish(self, queue: EntryQueue, offset: int, entries: Entries) -> Entries:
        kept = []
        for number, (position, size, tags_code, *rest) in zip(queue.offsets_of(entries, offset), entries, strict=False):
            content = self.record(position, size)
            is_whole = content is not None and len(content) == size
            if not is_whole:
                self._logger.error(
                    "queue %s: the entry at offset %d is of no record: passed over", queue.place, number
                )  # fmt: skip
            kept.append((position, size, tags_code, *rest) if is_whole else (*_OF_NO_RECORD, *rest))
        return kept

    def _read(self, wanted: list[tuple[int, int]], *, may_block: bool) -> bytes:
        """Those bytes, one piece after the other. What lies between near ones is read, too, and thrown away."""
        log = self._log
        body = bytearray(sum(size for _, size in wanted))
        view = memoryview(body)
        start = end = at = 0
        buffers: list[memoryview] = []
        for position, size in wanted:
            is_near = 0 <= position - end <= _NEAR_BYTES and len(buffers) < _MAX_BUFFERS
            if not is_near or log.base_of(position) != log.base_of(start):
                self._fill(start, buffers, may_block=may_block)
                start, buffers = position, []
            elif position > end:
                buffers.append(self._unwanted[: position - end])
            buffers.append(view[at : at + size])
            at += size
            end = position + size
        self._fill(start, buffers, may_block=may_block)
        return bytes(body)

    def _fill(self, position: int, buffers: list[memoryview], *, may_block: bool) -> None:
        if buffers and not self._log.read_into(position, buffers, may_block=may_block):
            raise WouldBlock

    # -- single records ---------------------------------------------------------------------------------------------

    def record(self, position: int, size: int | None = None) -> bytes | None:
        """The record at `position`; None where none begins. Raises StoreError when the disk fails."""
        if not self._log.first <= position < self._log.end:
            return None
        is_possible = size is not None and 0 < size < self._log.segment_size
        content = self._log.read(position, size if size is not None and is_possible else _LOOK_UP_BYTES) or b""
        if len(content) < record.HEADERS[0].size:
            return None
        size, magic = _SIZE_AND_MAGIC.unpack_from(content)
        if magic not in _MAGICS or _LONG.unpack_from(content, _POSITION_AT)[0] != position:
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

    def store_time(self, queue: EntryQueue, offset: int) -> int | None:
        """When the message at `offset` was stored, ms; None where there is none."""
        try:
            entry = queue.entry(offset)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refused(f"cannot read queue {queue.topic}/{queue.queue_id}", error) from error
        return None if entry is None else self.store_time_at(entry[0])

    def offset_by_time(self, queue: EntryQueue, timestamp: int, *, upper: bool) -> int:
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
