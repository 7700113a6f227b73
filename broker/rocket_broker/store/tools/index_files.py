"""Index files as they lie there, read only (protocol section 4.5).

How many slots a file has is not written in it. It is what puts its last entry where the header says that it is, and
lets that entry's slot point at it.
"""

from __future__ import annotations

import mmap
import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

from rocket_broker.store.files import File

_HEADER: Final = Struct(">qqqqii")
_INT: Final = Struct(">i")
_LONG: Final = Struct(">q")
_ENTRY: Final = Struct(">iqii")
#: The shape that Apache's defaults give.
_SLOTS: Final = 5_000_000
_CAPACITY: Final = 20_000_000
_CHUNK_ENTRIES: Final = 4096


class IndexEntry(NamedTuple):
    """A key: its hash, the position of its record, seconds since the file's begin, the entry before in its slot."""

    hash: int
    position: int
    seconds: int
    before: int


class IndexView:
    """One index file. `count` is the number behind the last entry; `slots` is 0 where the shape is not known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = File(path, os.O_RDONLY)
        self.size = self._file.size()
        head = bytes(self._file.read(0, _HEADER.size) or b"").ljust(_HEADER.size, b"\0")
        self.begin_time, self.end_time, self.begin_position, self.end_position, _, count = _HEADER.unpack(head)
        self.count = max(1, count)
        self.slots = self._find_slots()

    def _find_slots(self) -> int:
        default = _HEADER.size + _SLOTS * _INT.size + _CAPACITY * _ENTRY.size
        if self.size == default:
            return _SLOTS
        if self.count == 1 or self.size <= _HEADER.size:
            return 0
        with mmap.mmap(self._file.fd, 0, prot=mmap.PROT_READ) as content:
            wanted, at = _LONG.pack(self.end_position), _HEADER.size - 1
            while (at := content.find(wanted, at + 1)) >= 0:
                slots, odd = divmod(at - _INT.size - (self.count - 1) * _ENTRY.size - _HEADER.size, _INT.size)
                if odd or slots < 1 or (self.size - _HEADER.size - slots * _INT.size) % _ENTRY.size:
                    continue
                (key_hash,) = _INT.unpack_from(content, at - _INT.size)
                (newest,) = _INT.unpack_from(content, _HEADER.size + key_hash % slots * _INT.size)
                first = _ENTRY.unpack_from(content, _HEADER.size + slots * _INT.size + _ENTRY.size)
                if newest == self.count - 1 and any(first) and first[1] == self.begin_position:
                    return int(slots)
        return 0

    def entries(self) -> Iterator[IndexEntry]:
        """Its entries from number 1 on."""
        start = _HEADER.size + self.slots * _INT.size
        for number in range(1, self.count, _CHUNK_ENTRIES):
            size = min(_CHUNK_ENTRIES, self.count - number) * _ENTRY.size
            content = self._file.read(start + number * _ENTRY.size, size) or b""
            yield from map(IndexEntry._make, _ENTRY.iter_unpack(content[: len(content) // _ENTRY.size * _ENTRY.size]))

    def newest(self) -> array[int]:
        """What each slot holds."""
        found = array("i", bytes(self._file.read(_HEADER.size, self.slots * _INT.size) or b""))
        found.byteswap()
        return found


def index_paths(root: Path) -> list[Path]:
    """The index files, oldest first."""
    folder = root / "index"
    return sorted(path for path in folder.iterdir() if path.name.isdigit()) if folder.is_dir() else []
