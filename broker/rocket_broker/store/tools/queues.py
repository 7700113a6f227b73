"""Consume queues as their files have them, read only (protocol section 4.4). An entry is position, size, tag code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rocket_broker.store.files import File
from rocket_broker.store.queue_loading import BLANK_SIZE, ENTRY, ENTRY_BYTES

Entry = tuple[int, int, int]

_WINDOW_ENTRIES: Final = 256
_CHUNK_ENTRIES: Final = 4096


class QueueFolder:
    """The files of one queue. Raises OSError."""

    __slots__ = ("_window", "_window_offset", "bases", "file_bytes", "folder", "queue_id", "topic")

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

    def forget(self) -> None:
        """Lets go of the entries that are in memory."""
        self._window: list[Entry] = []
        self._window_offset = 0

    def entry(self, offset: int) -> Entry | None:
        """The entry at an offset; None where there is none. Cheap for offsets that follow each other."""
        at = offset - self._window_offset
        if not 0 <= at < len(self._window):
            self._window, self._window_offset, at = list(self._read(offset, _WINDOW_ENTRIES)), offset, 0
        found = self._window[at] if self._window else None
        return found if found is not None and is_entry(found) else None

    def _read(self, offset: int, count: int) -> Iterator[Entry]:
        start = offset * ENTRY_BYTES
        base = start - start % self.file_bytes if self.file_bytes else -1
        if base in self.bases:
            content = File(self.path(base), os.O_RDONLY).read(start - base, count * ENTRY_BYTES) or b""
            yield from ENTRY.iter_unpack(content[: len(content) // ENTRY_BYTES * ENTRY_BYTES])

    def entries(self) -> Iterator[tuple[int, Entry]]:
        """Everything in the files with its offset, blanks and zeros too; holes of the files are passed over."""
        for base in self.bases:
            file = File(self.path(base), os.O_RDONLY)
            at, size = 0, file.size()
            while at < size and (data := file.data_from(at)) is not None:
                at = max(at, data - data % ENTRY_BYTES)
                content = file.read(at, _CHUNK_ENTRIES * ENTRY_BYTES) or b""
                whole = content[: len(content) // ENTRY_BYTES * ENTRY_BYTES]
                yield from enumerate(ENTRY.iter_unpack(whole), (base + at) // ENTRY_BYTES)
                at += max(len(whole), ENTRY_BYTES)

    def offsets(self, first: int) -> tuple[int, int]:
        """The first offset whose record is at or behind `first`, and the one behind the last."""
        least, end = -1, 0
        for offset, found in self.entries():
            if is_entry(found):
                end = offset + 1
                if least < 0 and found[0] >= first:
                    least = offset
        return least if least >= 0 else end, end


def is_entry(found: Entry) -> bool:
    """Whether it is of a record, or at least says so."""
    return found[1] != 0 and found[1] != BLANK_SIZE


def queue_folders(root: Path) -> Iterator[QueueFolder]:
    """Every queue that has a file, by topic and number."""
    folder = root / "consumequeue"
    file_bytes = max((os.path.getsize(path) for path in folder.glob("*/*/*")), default=0)
    for topic in sorted(os.listdir(folder)) if folder.is_dir() else ():
        numbers = [name for name in os.listdir(folder / topic) if name.isdigit()] if (folder / topic).is_dir() else []
        for number in sorted(numbers, key=int):
            queue = QueueFolder(folder / topic / number, topic, int(number), file_bytes)
            if queue.bases:
                yield queue
