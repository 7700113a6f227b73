"""Consume queues as their files have them, read only (protocol section 4.4).

An entry begins with position, size and tag code, whatever the kind of its queue.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import ClassVar, Final

from rocket_broker.store.dispatch import messages_in
from rocket_broker.store.files import File
from rocket_broker.store.queue_entries import (
    BATCH,
    PLAIN,
    Unpacked,
    count_of,
    end_offset,
    first_offset,
    is_of_record,
    store_time,
)
from rocket_wire import record

_WINDOW_ENTRIES: Final = 256
_CHUNK_ENTRIES: Final = 4096


class QueueFolder(ABC):
    """The files of one queue. Raises OSError."""

    __slots__ = ("_window", "_window_number", "bases", "file_bytes", "folder", "queue_id", "topic")

    #: Of an entry.
    layout: ClassVar[Struct]

    def __init__(self, folder: Path, topic: str, queue_id: int, file_bytes: int) -> None:
        self.folder = folder
        self.topic = topic
        self.queue_id = queue_id
        self.file_bytes = file_bytes
        self.bases = sorted(int(name) for name in os.listdir(folder) if name.isdigit()) if folder.is_dir() else []
        self.forget()

    @property
    def name(self) -> str:
        return f"{self.topic}/{self.queue_id}"

    def path(self, base: int) -> Path:
        return self.folder / f"{base:020d}"

    # -- what differs -----------------------------------------------------------------------------------------------

    @abstractmethod
    def entry(self, offset: int) -> Unpacked | None:
        """The entry of the message at an offset; None where there is none. Cheap for offsets that follow each other."""

    @abstractmethod
    def place_of(self, number: int, entry: Unpacked) -> tuple[int, int]:
        """The first offset of an entry, and how many messages it is of."""

    @abstractmethod
    def agrees(self, entry: Unpacked, message: record.Message) -> bool:
        """Whether what an entry says beyond position, size and tag code is so of its record."""

    # -- what does not ----------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Lets go of the entries that are in memory."""
        self._window: list[Unpacked] = []
        self._window_number = 0

    def numbered(self, number: int) -> Unpacked | None:
        """An entry by its number; None where there is none. Cheap for numbers that follow each other."""
        at = number - self._window_number
        if not 0 <= at < len(self._window):
            self._window, self._window_number, at = list(self._read(number, _WINDOW_ENTRIES)), number, 0
        found = self._window[at] if self._window else None
        return found if found is not None and is_of_record(found) else None

    def _read(self, number: int, count: int) -> Iterator[Unpacked]:
        width = self.layout.size
        start = number * width
        base = start - start % self.file_bytes if self.file_bytes else -1
        if base in self.bases:
            content = File(self.path(base), os.O_RDONLY).read(start - base, count * width) or b""
            yield from self.layout.iter_unpack(content[: len(content) // width * width])

    def entries(self) -> Iterator[tuple[int, Unpacked]]:
        """Everything in the files with its number, blanks and zeros too; holes of the files are passed over."""
        width = self.layout.size
        for base in self.bases:
            file = File(self.path(base), os.O_RDONLY)
            at, size = 0, file.size()
            while at < size and (data := file.data_from(at)) is not None:
                at = max(at, data - data % width)
                content = file.read(at, _CHUNK_ENTRIES * width) or b""
                whole = content[: len(content) // width * width]
                yield from enumerate(self.layout.iter_unpack(whole), (base + at) // width)
                at += max(len(whole), width)

    def offsets(self, first: int) -> tuple[int, int]:
        """The first offset whose record is at or behind `first`, and the one behind the last."""
        least, end = -1, 0
        for number, found in self.entries():
            if is_of_record(found):
                offset, count = self.place_of(number, found)
                end = offset + count
                if least < 0 and found[0] >= first:
                    least = offset
        return least if least >= 0 else end, end


class PlainFolder(QueueFolder):
    """An entry for each message, its number is the offset."""

    __slots__ = ()

    layout = PLAIN

    def entry(self, offset: int) -> Unpacked | None:
        return self.numbered(offset)

    def place_of(self, number: int, entry: Unpacked) -> tuple[int, int]:
        return number, 1

    def agrees(self, entry: Unpacked, message: record.Message) -> bool:
        return True


class BatchFolder(QueueFolder):
    """An entry for each record, which says which offsets that has."""

    __slots__ = ("_next",)

    layout = BATCH

    def forget(self) -> None:
        super().forget()
        self._next = self._begin

    def entry(self, offset: int) -> Unpacked | None:
        found = self.numbered(self._next)
        if found is None or first_offset(found) != offset:
            self._next = self._find(offset)
            found = self.numbered(self._next)
        self._next += 1
        return found if found is not None and first_offset(found) <= offset < end_offset(found) else None

    def place_of(self, number: int, entry: Unpacked) -> tuple[int, int]:
        return first_offset(entry), count_of(entry)

    def agrees(self, entry: Unpacked, message: record.Message) -> bool:
        said = store_time(entry), first_offset(entry), count_of(entry)
        return said == (message.store_timestamp, message.queue_offset, messages_in(message))

    @property
    def _begin(self) -> int:
        return self.bases[0] // self.layout.size if self.bases else 0

    def _find(self, offset: int) -> int:
        """The number of the first entry that ends behind `offset`; zeros behind the last entry do, too."""
        low, high = self._begin, (self.bases[-1] + self.file_bytes) // self.layout.size if self.bases else 0
        while low < high:
            middle = (low + high) // 2
            found = next(self._read(middle, 1), None)
            if found is None or not any(found) or end_offset(found) > offset:
                high = middle
            else:
                low = middle + 1
        return low


def queue_folders(root: Path) -> Iterator[QueueFolder]:
    """Every queue that has a file, by topic and number."""
    for name, kind in KINDS.items():
        folder = root / name
        file_bytes = max((os.path.getsize(path) for path in folder.glob("*/*/*")), default=0)
        for topic in sorted(folder.iterdir()) if folder.is_dir() else ():
            numbers = [each.name for each in topic.iterdir() if each.name.isdigit()] if topic.is_dir() else []
            for number in sorted(numbers, key=int):
                queue = kind(topic / number, topic.name, int(number), file_bytes)
                if queue.bases:
                    yield queue


#: The folders of a store that hold queues, and what is in them.
KINDS: Final[dict[str, type[QueueFolder]]] = {"consumequeue": PlainFolder, "batchconsumequeue": BatchFolder}
