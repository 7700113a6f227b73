"""Repairs a store, as far as that is possible: step by step, each said before it is done.

A start of the broker makes queues and index from the log if the checkpoint says that they are being made again, and
passes over what is damaged before the checkpoint's position. So most of a repair is to take the damaged files out of
the way and to write such a checkpoint. Nothing is deleted: it goes into a folder of its own inside the store.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from rocket_broker.store import checkpoint
from rocket_broker.store.directory_lock import DirectoryLock
from rocket_broker.store.files import File, make_folder, sync_folder
from rocket_broker.store.tools.folder import StoreFolder
from rocket_broker.store.tools.tables import Table, backup
from rocket_broker.store.tools.verify import Progress, Report, Verified, verify
from rocket_broker.store.tools.verify_log import Range

_COPY_BYTES: Final = 1 << 20


class Step(msgspec.Struct, frozen=True):
    """One thing to do: a sentence, and how it is done."""

    text: str
    do: Callable[[], None]


class Repair:
    """The store's lock is held from here to `close`, so that no broker starts in between.

    `steps` is what can be done, `left` what cannot. Raises StoreLocked where a broker has the store, and as `verify`.
    """

    def __init__(
        self, root: Path, now_ms: int, commit_log: Path | None = None, progress: Progress | None = None
    ) -> None:
        self._store = StoreFolder(root, commit_log)
        self._root = root
        self.aside = root / f"repair-{datetime.fromtimestamp(now_ms / 1000, UTC):%Y%m%dT%H%M%S}"
        self._lock = DirectoryLock(root, now_ms)
        try:
            self._found = verify(root, commit_log, progress, is_ours=True)
        except BaseException:
            self._lock.release()
            raise
        self.steps = list(self._plan(self._found))
        self.left = list(_left(self._found))

    @property
    def report(self) -> Report:
        """What verify said."""
        return self._found.report

    def close(self) -> None:
        """Gives the store back."""
        self._lock.release()

    def run(self) -> None:
        """Does every step. Raises OSError; what was done until then is done, and the rest can be tried again."""
        make_folder(self.aside)
        for step in self.steps:
            step.do()
        sync_folder(self._root)

    def _plan(self, found: Verified) -> Iterator[Step]:
        for base in self._missing_segments():
            yield Step(f"make up for what is missing of segment {base:020d} with zeros", partial(self._fill, base))
        if found.tail is not None:
            begin = found.tail.begin
            yield Step(f"cut the log's unfinished end off, from position {begin} on", partial(self._cut, found.tail))
        for queue in found.damaged_queues:
            yield Step(f"take the files of queue {queue.name} away", partial(self._set_aside, queue.folder))
        if found.is_index_damaged:
            yield Step("take the files of the index away", partial(self._set_aside, self._root / "index"))
        if found.is_rebuilt:
            yield Step(
                "let the next start read the whole log and make queues and index from it, passing over what is damaged",
                self._remake,
            )
        for table in found.damaged_tables:
            if table.has_backup:
                yield Step(f"take {table.path.name} from its backup", partial(self._restore, table))

    def _missing_segments(self) -> Iterator[int]:
        bases, size = self._store.segments, self._store.segment_size
        if bases:
            for base in range(min(bases), max(bases), size):
                if bases.get(base, 0) < size:
                    yield base

    def _fill(self, base: int) -> None:
        file = File(self._store.log_folder / f"{base:020d}", os.O_RDWR | os.O_CREAT)
        file.reserve(self._store.segment_size)
        file.sync()
        sync_folder(self._store.log_folder)

    def _cut(self, tail: Range) -> None:
        """Copies what is behind the log's end, and makes it zeros."""
        size = self._store.segment_size
        for base in range(tail.begin - tail.begin % size, tail.end, size):
            file = File(self._store.log_folder / f"{base:020d}")
            begin = max(tail.begin, base)
            copy = File(self._aside_path("commitlog") / f"{begin:020d}-{tail.end:020d}", os.O_RDWR | os.O_CREAT)
            for at in range(begin, min(tail.end, base + size), _COPY_BYTES):
                copy.write(at - begin, file.read(at - base, min(_COPY_BYTES, tail.end - at)) or b"")
            copy.sync()
            file.clear(begin - base)
            file.sync()

    def _set_aside(self, folder: Path) -> None:
        target = self.aside / folder.relative_to(self._root)
        make_folder(target.parent)
        os.rename(folder, target)
        sync_folder(folder.parent)
        sync_folder(target.parent)

    def _remake(self) -> None:
        path = self._root / "checkpoint"
        if path.exists():
            shutil.copy2(path, self.aside / "checkpoint")
        state = msgspec.structs.replace(checkpoint.load(path), segment_size=self._store.segment_size)
        checkpoint.save(path, state.remaking(self.report.end))

    def _restore(self, table: Table) -> None:
        content = backup(table.path).read_bytes()
        if table.path.exists():
            self._set_aside(table.path)
        fresh = table.path.with_name(f"{table.path.name}.tmp")
        file = File(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        file.write(0, content)
        file.sync()
        os.rename(fresh, table.path)
        sync_folder(table.path.parent)

    def _aside_path(self, name: str) -> Path:
        make_folder(self.aside / name)
        return self.aside / name


def _left(found: Verified) -> Iterator[str]:
    """What no repair brings back."""
    for damaged in found.damaged_log:
        yield f"what was stored at positions {damaged.begin} to {damaged.end} is lost"
    for table in found.damaged_tables:
        if not table.has_backup:
            yield f"{table.path.name} and its backup cannot be read: bring one back from elsewhere, or delete both"
