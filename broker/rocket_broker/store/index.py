"""The index: finds messages by unique key or by one of their KEYS, over a time range.

What is put waits in `pending` and is indexed in batches, off the way of an acknowledgement; a query indexes what
waits first, so it sees everything that was appended. A full disk leaves messages waiting; nothing else stops.

Threads: one thread adds. Any thread may index, query or sync; `_lock` keeps them apart.
"""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from rocket_broker.store.errors import refused
from rocket_broker.store.index_file import IndexFile, Key
from rocket_wire import properties
from rocket_wire.hashing import signed, string_hash, unsigned_hash, utf8_hash

#: A put that finds so many waiting indexes them: often enough to stay short, seldom enough to be a batch.
BATCH: Final = 128
_MAX_WAITING: Final = 1_000_000

Pending = tuple[int, int, str, bytes]


class Index:
    """The index files of one store, oldest first."""

    def __init__(self, folder: Path, slots: int, capacity: int, log: logging.Logger) -> None:
        self.folder = folder
        self.pending: list[Pending] = []
        self.files: list[IndexFile] = []
        self._slots = slots
        self._capacity = capacity
        self._log = log
        self._lock = threading.Lock()
        self._unsynced: list[IndexFile] = []
        self.is_failing = False

    @property
    def end_position(self) -> int:
        """The position of the last record that is indexed, -1 if none is."""
        return self.files[-1].end_position if self.files else -1

    def add(self, position: int, timestamp: int, topic: str, content: bytes) -> None:
        """A record at `position` with these properties, to be indexed soon."""
        self.pending.append((position, timestamp, topic, content))
        waiting = len(self.pending)
        if waiting >= BATCH and (not self.is_failing or waiting % BATCH == 0):
            self.dispatch()

    def dispatch(self) -> None:
        """Indexes what waits. Where the disk refuses, it goes on waiting."""
        with self._lock:
            while self.pending:
                batch = self.pending[:BATCH]
                keys = [key for pending in batch for key in keys_of(*pending)]
                try:
                    self._put(keys)
                except OSError as error:
                    self._failed(error)
                    return
                del self.pending[: len(batch)]
                self.is_failing = False

    def _failed(self, error: OSError) -> None:
        if not self.is_failing:
            self.is_failing = True
            self._log.error("%s", refused("messages wait to be indexed", error))
        if len(self.pending) > _MAX_WAITING:
            self._log.error("%d messages are not indexed until the next restart", len(self.pending))
            self.pending.clear()

    def _put(self, keys: list[Key]) -> None:
        while keys:
            if not self.files or self.files[-1].is_full:
                self.files.append(self._new_file(keys[0].timestamp))
            file = self.files[-1]
            if file not in self._unsynced:
                self._unsynced.append(file)
            keys = keys[file.put(keys) :]

    def _new_file(self, timestamp: int) -> IndexFile:
        self.folder.mkdir(parents=True, exist_ok=True)
        while (path := self.folder / _file_name(timestamp)).exists():
            timestamp += 1
        try:
            return IndexFile(path, self._slots, self._capacity)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    def find(self, topic: str, key: str, begin: int, end: int, limit: int) -> list[int]:
        """Positions of records that may have this key, newest first; the hash alone is looked at. Raises OSError."""
        self.dispatch()
        key_hash = _not_negative(string_hash(f"{topic}#{key}"))
        positions: list[int] = []
        with self._lock:
            for file in reversed(self.files):
                if file.begin_time <= end and file.end_time >= begin:
                    positions += file.find(key_hash, begin, end, limit - len(positions))
                if file.begin_time < begin or len(positions) >= limit:
                    break
        return list(dict.fromkeys(positions))

    def sync(self) -> tuple[int, int]:
        """Makes durable what is indexed. Returns the last file's name and count as they then are. Raises OSError."""
        with self._lock:
            files, self._unsynced = self._unsynced, []
            state = (self.files[-1].name, self.files[-1].count) if self.files else (0, 0)
        for file in files:
            file.sync()
        return state

    def load(self) -> None:
        """Opens the files that are there. One that cannot be read is left out and named."""
        names = sorted(name for name in os.listdir(self.folder) if name.isdigit()) if self.folder.is_dir() else []
        for name in names:
            try:
                self.files.append(IndexFile(self.folder / name, self._slots, self._capacity))
            except OSError as error:
                self._log.error("%s", refused(f"index file {self.folder / name} is left out", error))

    def undo(self, name: int, count: int) -> None:
        """Goes back to when file `name` was the last one and had `count` - 1 entries."""
        while self.files and self.files[-1].name > name:
            self.files.pop().path.unlink()
        if self.files and self.files[-1].name == name:
            self.files[-1].undo(max(1, count))

    def drop_before(self, position: int) -> None:
        """Deletes files that only know of records before `position`; the last file stays."""
        with self._lock:
            while len(self.files) > 1 and self.files[0].end_position < position:
                self.files.pop(0).path.unlink()

    def clear(self) -> None:
        """Deletes every file."""
        with self._lock:
            for file in self.files:
                file.path.unlink(missing_ok=True)
            self.files.clear()
            self.pending.clear()


def keys_of(position: int, timestamp: int, topic: str, content: bytes) -> list[Key]:
    """What a record is found by: its unique key and each word of its KEYS."""
    keys = []
    unique = properties.find(content, b"UNIQ_KEY")
    if unique is not None:
        keys.append(Key(_hash(topic, unique), position, timestamp))
    words = properties.find(content, b"KEYS")
    if words is not None:
        keys += [Key(_hash(topic, word), position, timestamp) for word in words.split(b" ") if word]
    return keys


def _hash(topic: str, key: bytes) -> int:
    if key.isascii():
        return _not_negative(signed(unsigned_hash(key, _topic_hash(topic))))
    return _not_negative(utf8_hash(f"{topic}#".encode() + key))


@lru_cache(maxsize=4096)
def _topic_hash(topic: str) -> int:
    return string_hash(f"{topic}#") & 0xFFFFFFFF


def _not_negative(key_hash: int) -> int:
    """abs() in 32 bits: the smallest number has no positive twin and counts as 0."""
    return 0 if key_hash == -(1 << 31) else abs(key_hash)


def _file_name(timestamp: int) -> str:
    """yyyyMMddHHmmssSSS in local time, as Apache names its files."""
    local = datetime.fromtimestamp(timestamp / 1000, UTC).astimezone()
    return f"{local:%Y%m%d%H%M%S}{timestamp % 1000:03d}"
