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
from rocket_broker.store.queue_files import QueueFiles

ENTRY: Final = Struct(">qiq")
ENTRY_BYTES: Final = 20
#: The size that an entry claims which stands for no record.
BLANK_SIZE: Final = 0x7FFFFFFF
_NOTHING: Final = bytes(ENTRY_BYTES)
_BLOCK_BYTES: Final = 4096
_READ_BYTES: Final = 256 * 1024


class Offsets(NamedTuple):
    """A queue's first offset and the one behind its last."""

    least: int
    end: int


class QueueLoader:
    """Loads queues of a log that begins at position `first` and ends somewhere before `limit`.

    Entries count if they are of records before position `end`. All raise OSError.
    """

    def __init__(self, files: QueueFiles, end: int, first: int, limit: int) -> None:
        self._files = files
        self._end = end
        self._first = first
        self._limit = limit

    def load(self, place: str) -> Offsets | None:
        """What a queue has; None where its files are damaged. Entries that do not count go."""
        bases = self._files.bases(place)
        if not self._are_all_there(place, bases):
            return None
        while True:
            file = self._files.open(place, bases[-1])
            before = self._files.open(place, bases[-2]) if len(bases) > 1 else None
            behind = _entry(before, self._files.file_bytes // ENTRY_BYTES - 1)[0] if before else -1
            count = self._count(file, self._end, behind)
            position, size, tags_code = _entry(file, count)
            is_later = self._end <= position < self._limit and size <= self._limit - position
            if not is_later and (position or size or tags_code):
                return None
            more = _first_behind(file, count)
            if more is not None and more > count and 0 < _entry(file, more)[0] < self._end:
                return None
            if count or len(bases) == 1:
                break
            self._files.unlink(place, bases.pop())
        if file.data_end() < count * ENTRY_BYTES or any(self._has_hole(place, base) for base in bases[:-1]):
            return None
        end = bases[-1] // ENTRY_BYTES + count
        if more is not None:
            self._files.cut(place, end * ENTRY_BYTES)
        return Offsets(bases[0] // ENTRY_BYTES, end)

    def _are_all_there(self, place: str, bases: list[int]) -> bool:
        size = self._files.file_bytes
        if bases != list(range(bases[0], bases[-1] + 1, size)) or bases[0] % size:
            return False
        if any(os.path.getsize(self._files.path(place, base)) != size for base in bases):
            return False
        # Deleting what has expired leaves an entry of an expired record: where there is none, a file before is missing.
        return not bases[0] or _entry(self._files.open(place, bases[0]), 0)[0] < self._first

    def _has_hole(self, place: str, base: int) -> bool:
        """Whether a file whose entries all count lacks some of them."""
        return File(self._files.path(place, base), os.O_RDONLY).data_end() < self._files.file_bytes

    def end_of_damaged(self, place: str) -> int:
        """The offset behind the last one that a damaged queue still tells of."""
        last = self._files.bases(place)[-1]
        return last // ENTRY_BYTES + self._count(self._files.open(place, last), 1 << 62, -1)

    def _count(self, file: File, end: int, behind: int) -> int:
        """How many entries, from the first on, are of records from `behind` to `end`, each behind the one before."""

        def counts(entry: tuple[int, int, int]) -> bool:
            nonlocal behind
            position, size, _ = entry
            if size == BLANK_SIZE:
                return end > 0
            is_next = size > 0 and behind < position < end
            behind = position
            return is_next

        total = file.size() // ENTRY_BYTES
        first = file.read(0, min(_BLOCK_BYTES // ENTRY_BYTES, total) * ENTRY_BYTES) or b""
        low = sum(1 for _ in takewhile(counts, ENTRY.iter_unpack(first)))
        if low < len(first) // ENTRY_BYTES:
            return low
        high, block_end = total, behind
        while low < high:
            middle, behind = (low + high) // 2, block_end
            if counts(_entry(file, middle)):
                low = middle + 1
            else:
                high = middle
        return low


def _entry(file: File, number: int) -> tuple[int, int, int]:
    content = bytes(file.read(number * ENTRY_BYTES, ENTRY_BYTES) or b"")
    position, size, tags_code = ENTRY.unpack(content.ljust(ENTRY_BYTES, b"\0"))
    return position, size, tags_code


def _first_behind(file: File, number: int) -> int | None:
    """The first entry from this number on that holds anything but zeros; None where there is none."""
    start = number * ENTRY_BYTES
    block_end = start - start % _BLOCK_BYTES + _BLOCK_BYTES
    for begin, end in [(start, block_end), *file.data_regions(block_end)]:
        for at in range(begin, end, _READ_BYTES):
            content = file.read(at, min(_READ_BYTES, end - at)) or b""
            if rest := content.lstrip(b"\0"):
                return (at + len(content) - len(rest)) // ENTRY_BYTES
    return None
