"""The index: finds messages by unique key or by one of their KEYS, over a time range.

What is put waits in `pending` and is indexed in batches, off the way of an acknowledgement; a query indexes what
waits first, so it sees everything that was appended. A full disk leaves messages waiting; nothing else stops.

Threads: one thread adds. Any thread may index, query or sync; `_lock` keeps them apart.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from rocket_broker.store.errors import refused
from rocket_broker.store.files import make_folder, sync_folder
from rocket_broker.store.index_file import IndexFile, Key, is_index_file
from rocket_wire import properties
from rocket_wire.hashing import MANY, MANY_BYTES, string_hash, unsigned_hashes, utf8_hash

#: Who finds so many waiting indexes them: often enough to stay short, seldom enough to be a batch.
BATCH: Final = 128
_MAX_WAITING: Final = 1_000_000
#: One message may have thousands of keys: who adds indexes so many in one go, and leaves the rest for later.
_KEYS_AT_ONCE: Final = 4096

Pending = tuple[int, int, str, bytes]


class Index:
    """The index files of one store, oldest first."""

    def __init__(self, folder: Path, slots: int, capacity: int, log: logging.Logger) -> None:
        self.folder = folder
        self.pending: list[Pending] = []
        self.files: list[IndexFile] = []
        self.strange: list[Path] = []
        #: Of the first `_taken` messages that wait, the keys that are not yet in a file.
        self._keys: list[Key] = []
        self._taken = 0
        self._slots = slots
        self._capacity = capacity
        self._log = log
        self._lock = threading.Lock()
        self._unsynced: list[IndexFile] = []
        self._has_other_files = False  # than the disk may know
        self.is_failing = False

    @property
    def end_position(self) -> int:
        """The position of the last record that is indexed, -1 if none is."""
        return self.files[-1].end_position if self.files else -1

    def add(self, records: Sequence[Pending]) -> None:
        """Records (position, store time, topic, properties) that are to be indexed soon."""
        before = len(self.pending)
        self.pending += records
        if len(self.pending) // BATCH > (before // BATCH if self.is_failing else 0) and self._lock.acquire(False):
            try:
                self._step(_KEYS_AT_ONCE)
            finally:
                self._lock.release()

    def dispatch(self) -> None:
        """Indexes all that waits. Where the disk refuses, it goes on waiting."""
        while self.pending:
            with self._lock:  # for a batch at a time: others may want to add meanwhile
                if not self._step(sys.maxsize):
                    return

    def _step(self, most: int) -> bool:
        """Indexes a batch, or the next `most` keys of it; False where the disk refuses that."""
        if not self._taken:
            batch = self.pending[:BATCH]
            self._taken, self._keys = len(batch), keys_of(batch)
        try:
            self._put(most)
        except OSError as error:
            self._failed(error)
            return False
        if not self._keys:
            del self.pending[: self._taken]
            self._taken = 0
        self.is_failing = False
        return True

    def _failed(self, error: OSError) -> None:
        if not self.is_failing:
            self.is_failing = True
            self._log.error("%s", refused("messages wait to be indexed", error))
        if len(self.pending) > _MAX_WAITING:
            self._log.error("%d messages are not indexed until the next restart", len(self.pending))
            self._forget_pending()

    def _forget_pending(self) -> None:
        self.pending.clear()
        self._keys, self._taken = [], 0

    def _put(self, most: int) -> None:
        """Puts keys of the batch; those that have a place are not put again where the disk refuses the others."""
        while self._keys and most > 0:
            if not self.files or self.files[-1].is_full:
                self.files.append(self._new_file(self._keys[0][2]))
            file = self.files[-1]
            if file not in self._unsynced:
                self._unsynced.append(file)
            count = file.put(self._keys[:most])
            self._keys, most = self._keys[count:], most - count

    def _new_file(self, timestamp: int) -> IndexFile:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._has_other_files = True
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
        key_hash = _not_negative(string_hash(f"{topic}#{key}") & 0xFFFFFFFF)
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
            files, self._unsynced = [(file, file.take_changed()) for file in self._unsynced], []
            state = (self.files[-1].name, self.files[-1].count) if self.files else (0, 0)
            has_other_files, self._has_other_files = self._has_other_files, False
        for file, changed in files:
            file.sync(changed)
        with self._lock:
            for file, _ in files:
                if file.is_full:
                    file.forget()
        if has_other_files:
            make_folder(self.folder)
            sync_folder(self.folder)
        return state

    def load(self) -> None:
        """Opens the files that are there. One that cannot be read is left out and named.

        One that is not what this index makes is not touched, but stands in `strange`.
        """
        names = sorted(name for name in os.listdir(self.folder) if name.isdigit()) if self.folder.is_dir() else []
        for name in names:
            path = self.folder / name
            try:
                if is_index_file(path, self._slots, self._capacity):
                    self.files.append(IndexFile(path, self._slots, self._capacity))
                else:
                    self.strange.append(path)
            except OSError as error:
                self._log.error("%s", refused(f"index file {path} is left out", error))

    def undo(self, name: int, count: int) -> None:
        """Goes back to when file `name` was the last one and had `count` - 1 entries, or calls it `strange`."""
        for path in [path for path in self.strange if int(path.name) > name]:
            self._unlink(path)
            self.strange.remove(path)
        while self.files and self.files[-1].name > name:
            self._unlink(self.files.pop().path)
        if self.files and self.files[-1].name == name:
            try:
                self.files[-1].undo(max(1, count))
            except OSError as error:
                self._log.error("%s", refused(f"{self.files[-1].path} cannot go back to {count} entries", error))
                self.strange.append(self.files.pop().path)

    def _unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._has_other_files = True

    def cut(self, position: int) -> None:
        """Forgets records at or behind `position`. Raises OSError."""
        with self._lock:
            self.pending = [record for record in self.pending if record[0] < position]
            self._keys = [key for key in self._keys if key[1] < position]
            self._taken = min(self._taken, len(self.pending))
            while self.files and self.files[-1].end_position >= position:
                last = self.files[-1]
                count = last.count_before(position)
                if count > 1 or len(self.files) == 1:
                    last.undo(count)
                    return
                self._unlink(last.path)
                self.files.pop()
                if last in self._unsynced:
                    self._unsynced.remove(last)

    def drop_before(self, position: int) -> None:
        """Deletes files that only know of records before `position`; the last file stays, and one that cannot be."""
        with self._lock:
            while len(self.files) > 1 and self.files[0].end_position < position:
                try:
                    self._unlink(self.files[0].path)
                except OSError as error:
                    self._log.error("%s", refused(f"index file {self.files[0].path} cannot be deleted", error))
                    return
                self.files.pop(0)

    def clear(self) -> None:
        """Deletes every file."""
        with self._lock:
            for path in (*self.strange, *(file.path for file in self.files)):
                self._unlink(path)
            self.strange.clear()
            self.files.clear()
            self._forget_pending()


def keys_of(batch: Sequence[Pending]) -> list[Key]:
    """What records are found by: each one's unique key and each word of its KEYS."""
    found: list[tuple[str, bytes, int, int]] = []
    for position, timestamp, topic, content in batch:
        unique = properties.find(content, b"UNIQ_KEY")
        if unique is not None:
            found.append((topic, unique, position, timestamp))
        words = properties.find(content, b"KEYS")
        if words is not None:
            found += [(topic, word, position, timestamp) for word in words.split(b" ") if word]
    keys: list[Key] = []
    for start in range(0, len(found), MANY):
        part = found[start : start + MANY]
        hashes = _hashes([(topic, key) for topic, key, _, _ in part])
        keys += [(code, at, time) for code, (_, _, at, time) in zip(hashes, part, strict=True)]
    return keys


def _hashes(texts: list[tuple[str, bytes]]) -> list[int]:
    """The hashes of `topic#key` as the index holds them: not negative."""
    if all(len(key) <= MANY_BYTES and key.isascii() for _, key in texts):
        codes = unsigned_hashes([key for _, key in texts])
        return [
            _not_negative(_topic_hash(topic, len(key)) + code & 0xFFFFFFFF)
            for (topic, key), code in zip(texts, codes, strict=True)
        ]
    return [_not_negative(utf8_hash(f"{topic}#".encode() + key) & 0xFFFFFFFF) for topic, key in texts]


@lru_cache(maxsize=4096)
def _topic_hash(topic: str, following: int) -> int:
    """What `topic#` contributes to a hash when so many units follow."""
    return (string_hash(f"{topic}#") & 0xFFFFFFFF) * pow(31, following, 1 << 32)


def _not_negative(unsigned: int) -> int:
    """abs() of the 32 bits as a signed number; the smallest one has no positive twin and counts as 0."""
    return unsigned if unsigned < 1 << 31 else (1 << 32) - unsigned & 0x7FFFFFFF


def _file_name(timestamp: int) -> str:
    """yyyyMMddHHmmssSSS in local time, as Apache names its files."""
    local = datetime.fromtimestamp(timestamp / 1000, UTC).astimezone()
    return f"{local:%Y%m%d%H%M%S}{timestamp % 1000:03d}"
