"""One index file: where messages with a key are (protocol section 4.5).

     0  40       header: 8 begin and 8 end store time (ms), 8 begin and 8 end position, 4 used slots, 4 count
    40  4 each   slots: a key's hash modulo their number chooses one; it holds the newest entry's number
     …  20 each  entries, from number 1: 4 hash, 8 position, 4 seconds since the begin, 4 number of the one before in
                 the same slot

Entries are written at once, a batch at a time; header and slots change in memory and are written by `sync`, the header
last: a process killed in between leaves entries that the header does not count, and `undo` takes back what slots say
about those. Nothing is mapped, so that a disk that fails cannot kill the process (pages.py); what header and slots need
is reserved, so that a full one cannot hold up `sync`.
"""

from __future__ import annotations

import os
import sys
from array import array
from pathlib import Path
from struct import Struct
from typing import Final

from rocket_broker.store.files import SECTOR_BYTES, File
from rocket_broker.store.pages import Pages

_HEADER: Final = Struct(">qqqqii")
_SLOT: Final = Struct(">i")
_ENTRY: Final = Struct(">iqii")
_ENTRY_BYTES: Final = 20
_MEND_ENTRIES: Final = 10_000
_MAX_SECONDS: Final = 0x7FFFFFFF


#: One thing to be found: the hash of `topic#key` (not negative), where, and stored when (ms).
Key = tuple[int, int, int]


def is_index_file(path: Path, slots: int, capacity: int) -> bool:
    """Whether the file at `path` has this shape, by its length and what its header counts. Raises OSError."""
    file = File(path, os.O_RDONLY)
    if file.size() != _HEADER.size + slots * _SLOT.size + capacity * _ENTRY_BYTES:
        return False
    header: tuple[int, ...] = _HEADER.unpack(file.read(0, _HEADER.size) or bytes(_HEADER.size))
    return 0 <= header[-2] <= slots and 0 <= header[-1] <= capacity


class IndexFile:
    """An index file with `slots` slots and room for entries 1 to `capacity` - 1. Raises OSError throughout."""

    def __init__(self, path: Path, slots: int, capacity: int) -> None:
        self.path = path
        self.slots = slots
        self.capacity = capacity
        self._entries_start = _HEADER.size + slots * _SLOT.size
        self._file = File(path, os.O_RDWR | os.O_CREAT)
        total = self._entries_start + capacity * _ENTRY_BYTES
        if self._file.size() < total:
            os.ftruncate(self._file.fd, total)
        self._file.reserve(self._entries_start)
        self._pages = Pages(self._file, self._entries_start)
        header: tuple[int, ...] = self._pages.get(_HEADER, 0)
        self.begin_time, self.end_time, self.begin_position, self.end_position, self.used_slots, count = header
        self.count = max(1, count)

    @property
    def name(self) -> int:
        """The file's name, which is a date, as a number."""
        return int(self.path.name)

    @property
    def is_full(self) -> bool:
        return self.count >= self.capacity

    def put(self, keys: list[Key]) -> int:
        """Adds keys, oldest first, and returns how many there was room for."""
        keys = keys[: self.capacity - self.count]
        if not keys:
            return 0
        self._pages.keep(_HEADER, 0)
        if self.count == 1:
            _, self.begin_position, self.begin_time = keys[0]
        begin, count, number, used = self.begin_time, self.count, self.count, self.used_slots
        slots, pack, keep = self.slots, _ENTRY.pack, self._pages.keep
        newest: dict[int, int] = {}
        entries = bytearray()
        for key_hash, position, timestamp in keys:
            slot = _HEADER.size + key_hash % slots * 4
            before = newest.get(slot)
            if before is None:
                before = _existing(keep(_SLOT, slot), count)
                used += not before
            seconds = min(max(0, timestamp - begin) // 1000, _MAX_SECONDS)
            entries += pack(key_hash, position, seconds, before)
            newest[slot] = number
            number += 1
        self._file.write(self._entries_start + count * _ENTRY_BYTES, entries)
        for slot, last in newest.items():
            self._pages.change(_SLOT, slot, last)
        self.count, self.used_slots = number, used
        _, self.end_position, self.end_time = keys[-1]
        self._set_header()
        return len(keys)

    def find(self, key_hash: int, begin: int, end: int, limit: int) -> list[int]:
        """Positions of up to `limit` keys of this hash stored from `begin` to `end` (ms, roughly), newest first."""
        positions: list[int] = []
        number = _existing(self._pages.get(_SLOT, _HEADER.size + key_hash % self.slots * 4), self.count)
        while number and len(positions) < limit:
            found = self._entry(number)
            if found is None:
                break
            found_hash, position, seconds, before = found
            stored = self.begin_time + seconds * 1000
            if stored + 1000 <= begin:
                break
            if found_hash == key_hash and stored <= end:
                positions.append(position)
            number = before if 0 < before < number else 0
        return positions

    def count_before(self, position: int) -> int:
        """The number of the first entry of a record at or behind `position`; `count` where there is none."""
        low, high = 1, self.count
        while low < high:
            middle = (low + high) // 2
            entry = self._entry(middle)
            if entry is not None and entry[1] < position:
                low = middle + 1
            else:
                high = middle
        return low

    def undo(self, count: int) -> None:
        """Takes back everything from entry number `count` on, whatever the header says."""
        self._pages.keep(_HEADER, 0)
        number = count
        undone = []
        while number < self.capacity and (found := self._entry(number)) is not None and any(found):
            undone.append(found)
            number += 1
        content_end = self._entries_start + number * _ENTRY_BYTES
        if undone and 0 < content_end % SECTOR_BYTES < _ENTRY_BYTES:
            undone.pop()  # its end may be in a sector that was never written: _mend_slots finds what it followed
            number -= 1
        for key_hash, _, _, before in reversed(undone):
            number -= 1
            slot = _HEADER.size + key_hash % self.slots * 4
            if self._pages.keep(_SLOT, slot)[0] == number:
                self._pages.change(_SLOT, slot, before)
        start = self._entries_start + count * _ENTRY_BYTES
        self._file.write(start, bytes(content_end - start))
        self._mend_slots(count)
        self.count = count
        last = self._entry(count - 1) if count > 1 else None
        self.end_position = last[1] if last else 0
        self.end_time = self.begin_time + last[2] * 1000 if last else 0
        self._set_header()
        self._pages.write(self._pages.take_changed())

    def _mend_slots(self, count: int) -> None:
        """Slots may speak of entries that the disk never got, when the power failed: looks for those slots' newest."""
        self._pages.write(self._pages.take_changed())
        slots = array("i", self._file.read(_HEADER.size, self.slots * _SLOT.size) or b"")
        if sys.byteorder == "little":
            slots.byteswap()
        if max(slots) < count:
            return
        newest = {slot: 0 for slot, number in enumerate(slots) if number >= count}
        for begin in range(1, count, _MEND_ENTRIES):
            size = min(_MEND_ENTRIES, count - begin) * _ENTRY_BYTES
            content = self._file.read(self._entries_start + begin * _ENTRY_BYTES, size) or b""
            for number, (key_hash, _, _, _) in enumerate(_ENTRY.iter_unpack(content), begin):
                if key_hash % self.slots in newest:
                    newest[key_hash % self.slots] = number
        for slot, number in newest.items():
            self._pages.keep(_SLOT, _HEADER.size + slot * 4)
            self._pages.change(_SLOT, _HEADER.size + slot * 4, number)

    def _entry(self, number: int) -> tuple[int, int, int, int] | None:
        content = self._file.read(self._entries_start + number * _ENTRY_BYTES, _ENTRY_BYTES)
        if content is None or len(content) < _ENTRY_BYTES:
            return None
        key_hash, position, seconds, before = _ENTRY.unpack(content)
        return key_hash, position, seconds, before

    def _set_header(self) -> None:
        self._pages.change(
            _HEADER, 0, self.begin_time, self.end_time, self.begin_position, self.end_position, self.used_slots,
            self.count,
        )  # fmt: skip

    def take_changed(self) -> set[int]:
        """What `sync` is to write. Not while another thread puts."""
        return self._pages.take_changed()

    def sync(self, changed: set[int]) -> None:
        """Makes entries, slots and header durable. Another thread may put meanwhile."""
        self._pages.write(changed)
        self._file.sync()

    def forget(self) -> None:
        """Lets go of what is in memory, once it is written and nothing more is put. Not while another thread puts."""
        self._pages.forget()


def _existing(slot: tuple[int, ...], count: int) -> int:
    """The newest entry of a slot; 0 where it has none, or one that does not exist."""
    (number,) = slot
    return number if 0 < number < count else 0
