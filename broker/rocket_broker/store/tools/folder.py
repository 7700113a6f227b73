"""A store's folder as it lies there, opened for reading only: no lock, no recovery, nothing made or mended.

It may belong to a broker that runs: then it grows while one looks, and queues and index lack what is still in memory.
"""

from __future__ import annotations

import fcntl
import logging
import os
from enum import Enum
from itertools import pairwise
from pathlib import Path
from struct import pack, unpack_from
from typing import Final

from rocket_broker.store import checkpoint
from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.errors import StoreError
from rocket_broker.store.files import File
from rocket_broker.store.tools.queues import KINDS
from rocket_wire import record
from rocket_wire.errors import ProtocolError

_PARTS: Final = ("commitlog", *KINDS, "checkpoint", "config", "lock")
_FLOCK: Final = "hhqqi4x"
_OPEN_SEGMENTS: Final = 64


class NotAStore(StoreError):
    """The folder is not there, or is not a store's."""


class State(Enum):
    """What the last broker left behind: it runs, it stopped in order, or it was killed."""

    RUNNING = "running"
    CLEAN = "clean"
    NOT_CLEAN = "not clean"


class ReadLog(CommitLog):
    """Segments that follow each other, never written. `end` is behind the last byte that may be something."""

    def __init__(self, folder: Path, bases: list[int], segment_size: int) -> None:
        super().__init__(folder, segment_size, _OPEN_SEGMENTS, logging.getLogger("rocket.store"), os.O_RDONLY)
        last = File(self.path(bases[-1]), os.O_RDONLY)
        self.first = bases[0]
        self.limit = bases[-1] + segment_size
        self.end = bases[-1] + min(_end_of_data(last), segment_size)

    def record_at(self, position: int) -> record.Message | None:
        """The record that begins at `position`; None where none does. Raises StoreError where it cannot be read."""
        if not self.first <= position < self.end:
            return None
        head = bytes(self.read(position, record.BLANK_BYTES) or b"")
        try:
            size = record.next_size(head, self.base_of(position) + self.segment_size - position)
            message = record.decode(bytes(self.read(position, size or 0) or b""))
        except ProtocolError:
            return None
        return message if message.position == position else None


class StoreFolder:
    """One folder. Making it raises NotAStore, and OSError where it cannot be read."""

    def __init__(self, root: Path, commit_log: Path | None = None, *, is_ours: bool = False) -> None:
        """`is_ours`: whoever asks holds the lock."""
        if not root.exists():
            raise NotAStore(f"{root}: there is no such directory")
        if not root.is_dir():
            raise NotAStore(f"{root} is no directory")
        names = os.listdir(root)
        self.root = root
        self.log_folder = commit_log or root / "commitlog"
        if commit_log is not None and not commit_log.is_dir():
            raise NotAStore(f"{commit_log}: there is no such directory")
        if not set(_PARTS) & set(names):
            raise NotAStore(f"{root} is no store: it has none of {', '.join(_PARTS)}")
        self.holder = "" if is_ours else holder(root)
        self.state = (
            State.RUNNING if self.holder else State.NOT_CLEAN if (root / "abort").exists() else State.CLEAN
        )  # fmt: skip
        self.checkpoint = checkpoint.load(root / "checkpoint")
        files = sorted(int(name) for name in os.listdir(self.log_folder) if name.isdigit()) if self.has_log else []
        sizes = {base: os.path.getsize(self.log_folder / f"{base:020d}") for base in files}
        #: Lengths of segments, bytes, by where each begins. An empty file is a segment that was about to be made.
        self.segments = {base: size for base, size in sizes.items() if size}
        self.segment_size = self.checkpoint.segment_size or _segment_size(self.segments)

    @property
    def has_log(self) -> bool:
        return self.log_folder.is_dir()

    @property
    def trusted(self) -> int:
        """Up to where log, queues and index were whole when a broker of ours last said so; 0 where none did."""
        return 0 if self.checkpoint.is_remaking else self.checkpoint.position or 0

    def logs(self) -> list[ReadLog]:
        """The log: one of them, and more where segments are missing in between. Raises OSError."""
        runs: list[list[int]] = []
        for base in self.segments:
            if runs and base == runs[-1][-1] + self.segment_size:
                runs[-1].append(base)
            else:
                runs.append([base])
        return [ReadLog(self.log_folder, run, self.segment_size) for run in runs]


def holder(root: Path) -> str:
    """Who holds the store's lock, as far as the lock says; nothing where nobody does."""
    try:
        file = File(root / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return ""
    asked = pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 1, 0)
    kind, _, _, _, process = unpack_from(_FLOCK, fcntl.fcntl(file.fd, fcntl.F_OFD_GETLK, asked))
    if kind == fcntl.F_UNLCK:
        return ""
    said = bytes(file.read(0, 256) or b"").removeprefix(b"lock").decode("utf-8", "replace").strip("\n\0 ")
    return said or (f"process {process}" if process > 0 else "another process")


def _segment_size(segments: dict[int, int]) -> int:
    """How long segments are: as far as two are apart, or as long as the only one is."""
    bases = list(segments)
    if len(bases) > 1:
        return min(next_ - base for base, next_ in pairwise(bases))
    return segments[bases[0]] if bases else 0


def _end_of_data(file: File) -> int:
    """Behind the last byte of a file that is not in a hole."""
    end, size = 0, file.size()
    while (start := file.data_from(end)) is not None and start < size:
        end = os.lseek(file.fd, start, os.SEEK_HOLE)
    return end
