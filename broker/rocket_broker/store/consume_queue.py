"""Plain queues: for each message, where its record is in the commit log (protocol section 4.4).

    consumequeue/<topic>/<queue id>/%020d     entries of 20 bytes: 8 position, 4 size, 8 tag code; zeros behind the last
                                              a file's name is the byte its first entry has in the whole queue

A file has its full size from the start, almost all of it a hole, as Apache's broker expects. Where a queue begins in
the middle of a file, the entries before are (0, 2147483647, 0).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import ClassVar, Final

from rocket_broker.store.choosing import Choice, Wish, choose
from rocket_broker.store.entry_queue import TAIL_BYTES, EntryQueue
from rocket_broker.store.queue_entries import BLANK_SIZE, PLAIN, Unpacked
from rocket_broker.store.values import Put

_BLANK: Final = PLAIN.pack(0, BLANK_SIZE, 0)
_ENTRY_BYTES: Final = PLAIN.size


class ConsumeQueue(EntryQueue):
    """A queue that has an entry for each message: an entry's number is the message's offset."""

    __slots__ = ()

    layout = PLAIN
    folder: ClassVar[str] = "consumequeue"

    def append(self, put: Put) -> None:
        if put.queue_offset != self.max_offset:
            self._realign(put.queue_offset)
        tail, shared = self.tail, self.shared
        tail.extend(PLAIN.pack(put.position, put.size, put.tags_code))
        self.max_offset += 1
        shared.count += 1
        if len(tail) == _ENTRY_BYTES:  # asked after the entry is in: whoever empties the tail sees it or we see that
            shared.unwritten.append(self)
        elif len(tail) >= TAIL_BYTES:
            self._write_tail_now()

    def _realign(self, offset: int) -> None:
        """Makes `offset` the next one: an emptied, a deleted and re-created, or a half copied queue goes on there."""
        if offset < self.max_offset:
            self._cut(offset, offset)
        elif self.max_offset == self.min_offset:
            self.go_on_at(offset)
        else:
            self.shared.log.warning("queue %s lacks the offsets %d to %d", self.place, self.max_offset, offset - 1)
            with self.shared.trim:
                self.tail.extend(_BLANK * (offset - self.max_offset))
                self._end_at(offset)
                self.shared.unwritten.append(self)

    def go_on_at(self, offset: int) -> None:
        within = offset * _ENTRY_BYTES % self.files.file_bytes
        with self.shared.trim:
            self.tail[:] = _BLANK * (within // _ENTRY_BYTES)
            self.tail_start = offset - within // _ENTRY_BYTES
            self.min_offset = offset
            self._end_at(offset)
            self.shared.unwritten.append(self)

    def entries(self, offset: int, messages: int, *, may_block: bool = True) -> list[Unpacked] | None:
        messages = min(messages, self.max_offset - offset)
        return [] if messages <= 0 else self.read(offset, messages, may_block=may_block)

    def entry(self, offset: int) -> Unpacked | None:
        if not self.min_offset <= offset < self.max_offset:
            return None
        found = self.entries(offset, 1)
        return found[0] if found else None

    def choose(self, offset: int, entries: list[Unpacked], wish: Wish, first: int) -> Choice:
        wanted, records, taken = choose(entries, wish, first)
        return wanted, records, records, offset + taken

    def offsets_of(self, entries: list[Unpacked], offset: int) -> Iterable[int]:
        return count(offset)

    def next_file_offset(self, offset: int) -> int:
        return (self.files.base_of(offset * _ENTRY_BYTES) + self.files.file_bytes) // _ENTRY_BYTES

    @property
    def first_number(self) -> int:
        return self.min_offset

    def _begin_with(self, number: int) -> None:
        self.min_offset = number

    def offset_behind(self, number: int) -> int:
        return number
