"""The commit log: one long sequence of records, cut into segment files of equal size.

    commitlog/00000000000000000000   records ... | blank |    one segment, reserved on disk before it is written
    commitlog/00000000001073741824   records ... | zeros      a file's name is its first position

A record never crosses a segment's end and leaves at least 8 bytes for the blank record that fills it. Everything up
to `end` is in the kernel: a killed process loses none of it. Everything up to `flushed` is on the disk.

One thread appends. Any thread may read below `end` and may `sync`: `end` moves only after the bytes are written, and
`active` changes in one assignment. The log is written by pwrite, never through a map, so that a disk error or a full
disk is an exception here and not the death of the process.
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Final

from rocket_broker.store.errors import StoreError, is_no_room, refused
from rocket_broker.store.files import File, OpenFiles, make_folder, sync_folder
from rocket_wire import record

_PAGE_BYTES: Final = 4096


class CommitLog:
    """`first` <= `flushed` <= `end` <= `limit`, all positions; `limit` is where the active segment ends."""

    def __init__(
        self, folder: Path, segment_size: int, open_files: int, log: logging.Logger, flags: int = os.O_RDWR
    ) -> None:
        self.folder = folder
        self.segment_size = segment_size
        self.first = 0
        self.flushed = 0
        self.end = 0
        self.limit = 0
        self.active: tuple[int, File] | None = None
        self._log = log
        self._files = OpenFiles(open_files, flags)
        self._reserved: tuple[int, File] | None = None
        self._making = threading.Lock()
        self._cuts = 0

    # -- writing ----------------------------------------------------------------------------------------------------

    def room(self, size: int) -> int:
        """The position for a record of `size` bytes; goes on to the next segment where this one has no room for it.

        Raises StoreFull and StoreError, and then nothing has changed.
        """
        if self.end + size + record.BLANK_BYTES <= self.limit:
            return self.end
        if size + record.BLANK_BYTES > self.segment_size:
            raise StoreError(f"a record of {size} bytes does not fit in a segment of {self.segment_size}")
        self._next_segment()
        return self.end

    def append(self, content: bytes) -> None:
        """Writes at `end`, inside the active segment. Raises StoreFull and StoreError; then `end` has not moved."""
        assert self.active is not None, "room() comes first"
        base, file = self.active
        try:
            file.write(self.end - base, content)
        except OSError as error:
            self._wipe(file, self.end - base, len(content))
            raise refused(f"cannot write {len(content)} bytes to {file.path}", error) from error
        self.end += len(content)

    def append_copy(self, content: bytes) -> None:
        """Writes bytes of another log, blanks and all, which may cross segments' ends. Raises as `append`."""
        at = 0
        while at < len(content):
            if self.end == self.limit:
                self._next_segment()
            piece = content[at : at + self.limit - self.end]
            self.append(piece)
            at += len(piece)

    def _wipe(self, file: File, start: int, size: int) -> None:
        """What may have been written of refused records must not be taken for records after a restart."""
        try:
            file.write(start, bytes(size))
        except OSError as error:
            self._log.error("what is left of a refused record in %s cannot be wiped: %s", file.path, error)

    def _next_segment(self) -> None:
        base = self.limit
        with self._making:
            file = self._reserved[1] if self._reserved and self._reserved[0] == base else self._make(base)
            self._reserved = None
        if self.active is not None and self.end < base:
            try:
                self.active[1].write(self.end - self.active[0], record.blank(base - self.end))
            except OSError as error:
                self._reserved = (base, file)
                raise refused(f"cannot end segment {self.active[1].path}", error) from error
        self.active = (base, file)
        self.limit = base + self.segment_size
        self.end = base

    def _make(self, base: int) -> File:
        path = self.path(base)
        try:
            make_folder(self.folder)
            file = File(path, os.O_RDWR | os.O_CREAT)
            try:
                file.reserve(self.segment_size)
                file.sync()
                sync_folder(self.folder)
            except OSError:
                os.unlink(path)
                raise
        except OSError as error:
            raise refused(f"cannot reserve {self.segment_size} bytes for segment {path}", error) from error
        return file

    def reserve_ahead(self) -> None:
        """Makes the next segment before it is needed, once the active one is three quarters full. In any thread."""
        limit = self.limit
        if self.active is None or limit - self.end > self.segment_size // 4:
            return
        with self._making:
            if self._reserved is None and self.limit == limit:
                try:
                    self._reserved = (limit, self._make(limit))
                except StoreError as error:
                    self._log.error("%s", error)

    # -- durability -------------------------------------------------------------------------------------------------

    def sync(self) -> int:
        """Makes everything written before the call durable; returns up to where. OSError: nobody can say any more."""
        cuts, end, flushed = self._cuts, self.end, self.flushed
        if flushed < end:
            for base in range(self.base_of(flushed), end, self.segment_size):
                try:
                    self.file(base).sync()
                except FileNotFoundError:
                    if base >= self.first:  # otherwise it expired and was deleted before it was ever synced
                        raise
            with self._making:  # two threads may sync at once: `flushed` must not go back
                if cuts == self._cuts:  # or what was synced is gone, and other bytes may stand there
                    self.flushed = max(self.flushed, end)
        return self.flushed

    # -- reading ----------------------------------------------------------------------------------------------------

    def read(self, position: int, size: int, *, may_block: bool = True) -> bytearray | None:
        """Bytes of one segment; fewer than asked where there are no more. None where the disk must be waited for.

        Raises StoreError when the position is not in the log (any more) or cannot be read.
        """
        base = self.base_of(position)
        if not self.first <= position < self.end:
            raise StoreError(f"position {position} is not in the log, which has {self.first} to {self.end}")
        size = min(size, base + self.segment_size - position, self.end - position)
        try:
            return self.file(base).read(position - base, size, may_block=may_block)
        except OSError as error:
            raise refused(f"cannot read {size} bytes at position {position}", error) from error

    def read_into(self, position: int, buffers: list[memoryview], *, may_block: bool) -> bool:
        """Fills `buffers` with consecutive bytes of one segment. False where the disk must be waited for.

        Raises EOFError where the segment has no such bytes, StoreError where they cannot be read (any more).
        """
        base = self.base_of(position)
        if position >= self.end:
            raise EOFError(f"the log ends at {self.end}, before position {position}")
        try:
            return self.file(base).read_into(position - base, buffers, may_block=may_block)
        except OSError as error:
            raise refused(f"cannot read the log at position {position}", error) from error

    def file(self, base: int) -> File:
        """The segment that begins at `base`."""
        active = self.active
        if active is not None and active[0] == base:
            return active[1]
        return self._files.get(self.path(base))

    def base_of(self, position: int) -> int:
        """Where the segment of a position begins."""
        return position - position % self.segment_size

    def path(self, base: int) -> str:
        """The file of the segment that begins at `base`."""
        return f"{self.folder}/{base:020d}"

    # -- opening, cutting, closing ----------------------------------------------------------------------------------

    def load(self, made_with: int = 0) -> list[int]:
        """Finds the segments and returns where each begins; `end` is then where the log may end at most.

        `made_with` is the segments' size as far as it is known, else 0. A last segment that is too short was being made
        when the process died, or was cut by somebody: it is filled up with zeros. Raises StoreError when the files
        cannot be a log, or one of another segment size.
        """
        names = sorted(name for name in os.listdir(self.folder) if name.isdigit()) if self.folder.is_dir() else []
        while names and os.path.getsize(self.folder / names[-1]) == 0:
            os.unlink(self.folder / names.pop())
        bases = [int(name) for name in names]
        made_with = made_with or self._size_of_segments(bases)
        if bases and made_with != self.segment_size:
            raise StoreError(
                f"{self.folder} has segments of {made_with} bytes, mappedFileSizeCommitLog says {self.segment_size}: "
                f"set it to {made_with}; it cannot change for a log that is there"
            )
        for number, base in enumerate(bases):
            size = os.path.getsize(self.folder / names[number])
            if base != bases[0] + number * self.segment_size or base % self.segment_size:
                raise StoreError(f"{self.folder}: segment {names[number]} does not follow the one before it")
            if size > self.segment_size or (size < self.segment_size and number < len(bases) - 1):
                raise StoreError(f"{self.folder / names[number]} has {size} bytes, not {self.segment_size}")
        if bases:
            last = File(self.path(bases[-1]))
            self.first = bases[0]
            self.end = bases[-1] + last.size()
            self.limit = bases[-1] + self.segment_size
            self._fill_up(last)
        return bases

    def _size_of_segments(self, bases: list[int]) -> int:
        """The first one's size, unless it is the only one and not finished: empty, or no whole number of pages."""
        if bases:
            first = File(self.path(bases[0]), os.O_RDONLY)
            is_finished = first.size() % _PAGE_BYTES == 0 and any(first.read(0, record.BLANK_BYTES) or b"")
            if is_finished or len(bases) > 1:
                return first.size()
        return self.segment_size

    def _fill_up(self, file: File) -> None:
        """Gives a segment its full size. Without room for that it gets a hole: its records can be read all the same."""
        try:
            file.reserve(self.segment_size)
        except OSError as error:
            self._log.error("%s", refused(f"cannot reserve {self.segment_size} bytes for {file.path}", error))
            os.ftruncate(file.fd, self.segment_size)

    def deface(self, begin: int, end: int) -> None:
        """What begins at `begin` holds no record any more: its magic becomes zeros, before `end`. Raises OSError.

        A record that is cut off at `end` would else be completed by what is written there, and pass for a whole one.
        """
        if begin + record.MAGIC_AT < end:
            base = self.base_of(begin)
            File(self.path(base)).write(begin - base + record.MAGIC_AT, bytes(min(4, end - begin - record.MAGIC_AT)))

    def cut(self, end: int) -> None:
        """Ends the log at `end`: what is behind it becomes zeros. Raises OSError.

        A later segment that holds something is not deleted but set aside, in the folder `<commitlog>.cut`.
        """
        self._give_back_reserved()
        for base in range(self.limit - self.segment_size, self.base_of(end), -self.segment_size):
            self._set_aside(base)
        if os.path.exists(self.path(self.base_of(end))):
            file = File(self.path(self.base_of(end)))
            try:
                file.clear(end - self.base_of(end))
            except OSError as error:
                if not is_no_room(error):  # as a file system may say that never writes in place
                    raise
                os.ftruncate(file.fd, end - self.base_of(end))
                self._fill_up(file)
            file.sync()
        sync_folder(self.folder)
        self.go_on_at(end)

    def go_on_at(self, end: int) -> None:
        """The log ends at `end` and has only zeros behind it."""
        base = self.base_of(end)
        self._files.forget("")
        if os.path.exists(self.path(base)):
            self.active = (base, File(self.path(base)))
            self.limit = base + self.segment_size
        else:  # the log ends exactly with a segment
            self.active = None
            self.limit = end
        with self._making:
            self._cuts += 1
            self.end = end
            self.flushed = min(self.flushed, end)

    def _set_aside(self, base: int) -> None:
        path = self.path(base)
        if not any(File(path).read(0, record.BLANK_BYTES) or b""):
            os.unlink(path)
            return
        aside = self.folder.with_name(f"{self.folder.name}.cut")
        make_folder(aside)
        os.rename(path, aside / f"{base:020d}")
        sync_folder(aside)
        self._log.error("segment %s lies behind the log's end: it is kept in %s", path, aside)

    def begin_at(self, position: int) -> None:
        """An empty log's first position, the beginning of a segment. Raises StoreError."""
        if self.active is not None or self.end != self.first:
            raise StoreError(f"the log is not empty: it has {self.first} to {self.end}")
        if position % self.segment_size:
            raise StoreError(
                f"position {position} does not begin a segment of {self.segment_size} bytes: "
                "mappedFileSizeCommitLog must be the master's"
            )
        self.first = self.flushed = self.end = self.limit = position

    def drop_first(self) -> None:
        """Deletes the oldest segment, which must not be the active one. Whoever is reading it reads on.

        Raises StoreError where the file cannot be deleted, and then the log has it still. Its name is gone from the
        disk before the next segment's can go, or a loss of power could bring it back with a hole behind it; OSError
        where that sync fails.
        """
        path = self.path(self.first)
        self.first += self.segment_size
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.first -= self.segment_size
            raise refused(f"cannot delete {path}", error) from error
        self._files.forget(path)
        sync_folder(self.folder)

    def _give_back_reserved(self) -> None:
        with self._making:
            if self._reserved is not None:
                os.unlink(self.path(self._reserved[0]))
                self._reserved = None

    def close(self) -> None:
        """Gives back the segment that was reserved and never used."""
        self._give_back_reserved()
        self.active = None
        self._files.forget("")
