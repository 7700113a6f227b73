"""What a start finds of the consume queues, and whether that is what was there.

Files may be missing, cut, of another configured size, or hold what no queue can hold: then the queue is damaged, and is
made again from the log. The number of entries is found without reading a file whole, since there are many of them: what
a file lacks in its middle shows as a hole, or by entries that stand behind nothing.
"""

from __future__ import annotations

import os
from itertools import takewhile
from struct import Struct
from typing import Final, NamedTuple

from rocket_broker.store.files import File
from rocket_broker.store.queue_entries import BLANK_SIZE, Unpacked, is_plausible
from rocket_broker.store.queue_files import QueueFiles

_BLOCK_BYTES: Final = 4096
_READ_BYTES: Final = 256 * 1024


class Numbers(NamedTuple):
    """The number of a queue's first entry, and the one behind its last."""

    least: int
    end: int


class QueueLoader:
    """Loads queues of a log that begins at position `first` and ends somewhere before `limit`.

    Entries, which `layout` describes, count if they are of records before position `end`. All raise OSError.
    """

    def __init__(self, files: QueueFiles, layout: Struct, end: int, first: int, limit: int) -> None:
        self._files = files
        self._layout = layout
        self._width = layout.size
        self._end = end
        self._first = first
        self._limit = limit

    def load(self, place: str) -> Numbers | None:
        """What a queue has; None where its files are damaged. Entries that do not count go."""
        bases = self._files.bases(place)
        if not self._are_all_there(place, bases):
            return None
        while True:
            file = self._files.open(place, bases[-1])
            before = self._files.open(place, bases[-2]) if len(bases) > 1 else None
            behind = self._entry(before, self._files.file_bytes // self._width - 1)[0] if before else -1
            count = self._count(file, self._end, behind)
            position, size, *rest = self._entry(file, count)
            is_later = self._end <= position < self._limit and size <= self._limit - position
            if not is_later and (position or size or any(rest)):
                return None
            more = self._first_behind(file, count)
            if more is not None and more > count and 0 < self._entry(file, more)[0] < self._end:
                return None
            if count or len(bases) == 1:
                break
            self._files.unlink(place, bases.pop())
        if file.data_end() < count * self._width or any(self._has_hole(place, base) for base in bases[:-1]):
            return None
        end = bases[-1] // self._width + count
        if more is not None:
            self._files.cut(place, end * self._width)
        return Numbers(bases[0] // self._width, end)

    def _are_all_there(self, place: str, bases: list[int]) -> bool:
        size = self._files.file_bytes
        if bases != list(range(bases[0], bases[-1] + 1, size)) or bases[0] % size:
            return False
        if any(os.path.getsize(self._files.path(place, base)) != size for base in bases):
            return False
        # Deleting what has expired leaves an entry of an expired record: where there is none, a file before is missing.
        return not bases[0] or self._entry(self._files.open(place, bases[0]), 0)[0] < self._first

    def _has_hole(self, place: str, base: int) -> bool:
        """Whether a file whose entries all count lacks some of them."""
        return File(self._files.path(place, base), os.O_RDONLY).data_end() < self._files.file_bytes

    def end_of_damaged(self, place: str) -> int:
        """The number behind the last entry that a damaged queue still tells of."""
        last = self._files.bases(place)[-1]
        return last // self._width + self._count(self._files.open(place, last), 1 << 62, -1)

    def _count(self, file: File, end: int, behind: int) -> int:
        """How many entries, from the first on, are of records from `behind` to `end`, each behind the one before."""

        def counts(entry: Unpacked) -> bool:
            nonlocal behind
            position, size = entry[:2]
            if size == BLANK_SIZE:
                return end > 0
            is_next = is_plausible(entry) and behind < position < end
            behind = position
            return is_next

        total = file.size() // self._width
        first = file.read(0, min(_BLOCK_BYTES // self._width, total) * self._width) or b""
        low = sum(1 for _ in takewhile(counts, self._layout.iter_unpack(first)))
        if low < len(first) // self._width:
            return low
        high, block_end = total, behind
        while low < high:
            middle, behind = (low + high) // 2, block_end
            if counts(self._entry(file, middle)):
                low = middle + 1
            else:
                high = middle
        return low

    def _entry(self, file: File, number: int) -> Unpacked:
        content = bytes(file.read(number * self._width, self._width) or b"")
        return self._layout.unpack(content.ljust(self._width, b"\0"))

    def _first_behind(self, file: File, number: int) -> int | None:
        """The first entry from this number on that holds anything but zeros; None where there is none."""
        start = number * self._width
        block_end = start - start % _BLOCK_BYTES + _BLOCK_BYTES
        for begin, end in [(start, block_end), *file.data_regions(block_end)]:
            for at in range(begin, end, _READ_BYTES):
                content = file.read(at, min(_READ_BYTES, end - at)) or b""
                if rest := content.lstrip(b"\0"):
                    return (at + len(content) - len(rest)) // self._width
        return None
