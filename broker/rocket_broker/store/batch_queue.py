"""Queues of topics with the attribute queue.type=BatchCQ: an entry is of a record that may hold several messages.

    batchconsumequeue/<topic>/<queue id>/%020d    entries of 46 bytes; zeros behind the last

     0  8  position, and 8  4  size of the record, bytes      28  8  offset of its first message
    12  8  tag code                                           36  2  how many messages it holds
    20  8  when it was stored, ms                             38  4  -1, and 42  4  0: nobody reads them here

An offset inside of a record is found by bisection. A file's name says which byte of the queue it begins with, nothing
about offsets, so that a queue may begin, or have a gap, anywhere. What an emptied queue goes on with is told by its
last entry; where that is lost, a blank (position 0, size 2147483647) of the message before stands for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import ClassVar, Final

from rocket_broker.store.choosing import Choice, Wish, choose, is_wanted
from rocket_broker.store.entry_queue import TAIL_BYTES, EntryQueue, Shared
from rocket_broker.store.queue_entries import BATCH, BLANK_SIZE, Unpacked, count_of, end_offset, first_offset
from rocket_broker.store.queue_files import QueueFiles
from rocket_broker.store.values import Put

_NOT_COMPACTED: Final = -1


class BatchQueue(EntryQueue):
    """A queue that has an entry for each record."""

    __slots__ = ("_first_number",)

    layout = BATCH
    folder: ClassVar[str] = "batchconsumequeue"

    def __init__(self, topic: str, queue_id: int, files: QueueFiles, shared: Shared) -> None:
        super().__init__(topic, queue_id, files, shared)
        self._first_number = 0

    # -- appending --------------------------------------------------------------------------------------------------

    def append(self, put: Put) -> None:
        if put.queue_offset != self.max_offset:
            self._realign(put.queue_offset)
        self._extend(
            BATCH.pack(
                put.position, put.size, put.tags_code, put.store_timestamp, put.queue_offset, put.count,
                _NOT_COMPACTED, 0,
            )
        )  # fmt: skip
        self._end_at(put.queue_offset + put.count)

    def _extend(self, entry: bytes) -> None:
        self.tail.extend(entry)
        if len(self.tail) == len(entry):
            self.shared.unwritten.append(self)
        elif len(self.tail) >= TAIL_BYTES:
            self._write_tail_now()

    def _realign(self, offset: int) -> None:
        """Makes `offset` the next one. Entries say themselves which offsets they have, so a gap needs no filling."""
        if offset < self.max_offset:
            self._cut(self._number_of(offset), offset)
        elif self.max_offset == self.min_offset:
            self._begin_at(offset)
        else:
            self.shared.log.warning("queue %s lacks the offsets %d to %d", self.place, self.max_offset, offset - 1)
            self._end_at(offset)

    def _begin_at(self, offset: int) -> None:
        self._first_number = self.end_number
        self.min_offset = offset
        self._end_at(offset)

    def go_on_at(self, offset: int) -> None:
        if offset:
            self._extend(BATCH.pack(0, BLANK_SIZE, 0, 0, offset - 1, 1, _NOT_COMPACTED, 0))
        self._begin_at(offset)

    # -- reading ----------------------------------------------------------------------------------------------------

    def entries(self, offset: int, messages: int, *, may_block: bool = True) -> list[Unpacked] | None:
        if offset >= self.max_offset or messages <= 0:
            return []
        number = self._find(offset, may_block=may_block)
        found = None if number is None else self.read(number, messages, may_block=may_block)
        if found is None:
            return None
        sound = [entry for entry in found if self._is_sound(entry)] or [self._passed_over(offset)]
        return list(takewhile(lambda entry: first_offset(entry) < offset + messages, sound)) or sound[:1]

    def entry(self, offset: int) -> Unpacked | None:
        if not self.min_offset <= offset < self.max_offset:
            return None
        found = self.entries(offset, 1)
        return found[0] if found and first_offset(found[0]) <= offset else None

    def choose(self, offset: int, entries: list[Unpacked], wish: Wish, first: int) -> Choice:
        within = _within(entries, wish, first)
        wanted, records, taken = choose(
            [entry[:3] for entry in within], Wish(len(within), wish.max_bytes, wish.tags), first
        )
        messages = sum(count_of(entry) for entry in within[:taken] if is_wanted(entry, wish, first))
        return wanted, records, messages, end_offset(within[taken - 1])

    def offsets_of(self, entries: list[Unpacked], offset: int) -> Iterable[int]:
        return map(first_offset, entries)

    def next_file_offset(self, offset: int) -> int:
        return self._offset_from(self._first_number, offset + 1)

    def _number_of(self, offset: int) -> int:
        number = self._find(offset, may_block=True)
        assert number is not None, "a read that may block has a result"
        return number

    def _find(self, offset: int, *, may_block: bool) -> int | None:
        """The number of the first entry that ends behind `offset`; None where the disk would have to be waited for."""
        low, high = self._first_number, self.end_number
        while low < high:
            middle = (low + high) // 2
            try:
                found = self.read(middle, 1, may_block=may_block)
            except FileNotFoundError:
                found = []
            if found is None:
                return None
            if found and self._is_sound(found[0]):
                is_behind = end_offset(found[0]) > offset
            else:
                is_behind = self._offset_behind_damage(middle) > offset
            low, high = (low, middle) if is_behind else (middle + 1, high)
        return low

    def _is_sound(self, entry: Unpacked) -> bool:
        """Whether an entry has offsets that the queue has: nothing else may say where reading goes on."""
        return count_of(entry) > 0 and self.min_offset <= first_offset(entry) <= end_offset(entry) <= self.max_offset

    def _offset_behind_damage(self, number: int) -> int:
        """The first offset of the next sound entry of the same file, else of what begins behind it."""
        last = self.files.base_of(number * self.layout.size) + self.files.file_bytes
        try:
            found = self.read(number, last // self.layout.size - number) or []
        except FileNotFoundError:
            found = []
        behind = next((entry for entry in found if self._is_sound(entry)), None)
        return self._offset_from(number) if behind is None else first_offset(behind)

    def _passed_over(self, offset: int) -> Unpacked:
        """For damage as far as one read goes: an entry that is of no record, of one message."""
        return 0, BLANK_SIZE, 0, 0, offset, 1

    def _offset_from(self, number: int, least: int = 0) -> int:
        """The first offset, `least` or more, that a file or the tail begins with which begins at `number` or later."""
        width = self.layout.size
        for start in (*self.files.bases(self.place), self.tail_start * width):
            found = self.read(start // width, 1) if start >= number * width else None
            if found and self._is_sound(found[0]) and first_offset(found[0]) >= least:
                return first_offset(found[0])
        return self.max_offset

    # -- its ends ---------------------------------------------------------------------------------------------------

    @property
    def first_number(self) -> int:
        return self._first_number

    def _begin_with(self, number: int) -> None:
        self._first_number = number
        found = self.read(number, 1) if number < self.end_number else None
        self.min_offset = first_offset(found[0]) if found else self.max_offset

    def offset_behind(self, number: int) -> int:
        try:
            found = self.read(number - 1, 1) if number else None
        except FileNotFoundError:
            return 0
        return end_offset(found[0]) if found else 0


def _within(entries: list[Unpacked], wish: Wish, first: int) -> list[Unpacked]:
    """The first entries, up to where those that are wanted hold as many messages as are; at least one that is."""
    room, kept = wish.max_messages, []
    for entry in entries:
        if is_wanted(entry, wish, first):
            if count_of(entry) > room and room < wish.max_messages:
                break
            room -= count_of(entry)
        kept.append(entry)
    return kept
