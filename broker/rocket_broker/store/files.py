"""Open files: whole writes, reads that do not wait for the disk, and a bound on how many are open.

A descriptor lives exactly as long as somebody holds its File: a read in one thread is never cut short, or led to
another file, by an eviction or a deletion in another.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

#: The least that a disk writes as a whole.
SECTOR_BYTES: Final = 512
_CLEAR_BYTES: Final = 1024 * 1024


class File:
    """One open file. Raises OSError like the calls it stands for."""

    __slots__ = ("fd", "is_new", "path")

    def __init__(self, path: Path | str, flags: int = os.O_RDWR) -> None:
        self.fd = -1
        self.path = str(path)
        self.is_new = False
        self.fd = os.open(self.path, flags | os.O_CLOEXEC, 0o644)

    def __del__(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)

    def read(self, start: int, size: int, *, may_block: bool = True) -> bytearray | None:
        """`size` bytes from `start`, fewer only at the file's end. None where the disk would have to be waited for."""
        buffer = bytearray(size)
        got = self._read(start, (buffer,), may_block=may_block)
        if got == size:
            return buffer
        if not may_block:
            return None
        while got < size:
            more = os.preadv(self.fd, (memoryview(buffer)[got:],), start + got)
            if not more:
                return buffer[:got]
            got += more
        return buffer

    def read_into(self, start: int, buffers: list[memoryview], *, may_block: bool) -> bool:
        """Fills `buffers` one after the other. False where the disk would have to be waited for.

        Raises EOFError where the file has not so many bytes.
        """
        size = sum(map(len, buffers))
        got = self._read(start, buffers, may_block=may_block)
        if got == size or not may_block:
            return got == size
        content = self.read(start, size) or b""
        if len(content) < size:
            raise EOFError(f"{self.path} ends {size - len(content)} bytes too early")
        at = 0
        for buffer in buffers:
            buffer[:] = content[at : at + len(buffer)]
            at += len(buffer)
        return True

    def _read(self, start: int, buffers: Sequence[bytearray | memoryview], *, may_block: bool) -> int:
        """One system call; 0 where the disk would have to be waited for."""
        try:
            return os.preadv(self.fd, buffers, start, 0 if may_block else os.RWF_NOWAIT)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP or may_block:
                raise
        return os.preadv(self.fd, buffers, start)  # the file system cannot say whether it would wait: an old tmpfs

    def write(self, start: int, content: bytes | bytearray) -> None:
        """Writes all of `content`, or raises OSError having written any part of it."""
        written = os.pwrite(self.fd, content, start)
        while written < len(content):
            written += os.pwrite(self.fd, memoryview(content)[written:], start + written)

    def reserve(self, size: int) -> None:
        """Makes the file at least `size` bytes long, with room on the disk for all of them. Raises OSError."""
        os.posix_fallocate(self.fd, 0, size)

    def sync(self) -> None:
        """Returns when what was written is on the disk."""
        os.fdatasync(self.fd)

    def data_from(self, start: int) -> int | None:
        """From where on, `start` or later, the file may hold more than zeros; None where it holds nothing any more."""
        try:
            return os.lseek(self.fd, start, os.SEEK_DATA)
        except OSError as error:
            return None if error.errno == errno.ENXIO else start  # a file system that does not tell

    def data_end(self) -> int:
        """Where the file's first hole begins; its length where it has none, or on a file system that does not tell."""
        try:
            return os.lseek(self.fd, 0, os.SEEK_HOLE)
        except OSError:
            return self.size()

    def data_regions(self, start: int) -> list[tuple[int, int]]:
        """The regions from `start` on that may hold more than zeros, each with its end.

        All of them before any is read: what is in the page cache counts as data, and reading ahead puts it there.
        """
        regions, size = [], self.size()
        while start < size and (begin := self.data_from(start)) is not None:
            try:
                start = os.lseek(self.fd, begin, os.SEEK_HOLE)
            except OSError:
                start = size
            regions.append((begin, start))
        return regions

    def clear(self, start: int) -> None:
        """Zeros from byte `start` on. The file keeps its length, and its room on the disk. Raises OSError."""
        for begin, end in self.data_regions(start):
            for at in range(begin, end, _CLEAR_BYTES):
                content = self.read(at, min(_CLEAR_BYTES, end - at)) or b""
                if content.count(0) < len(content):
                    self.write(at, bytes(len(content)))

    def size(self) -> int:
        """Length in bytes."""
        return os.fstat(self.fd).st_size


class OpenFiles:
    """Files by path, the least recently used closed first. Any thread may ask."""

    def __init__(self, limit: int, flags: int = os.O_RDWR) -> None:
        self._limit = limit
        self._flags = flags
        self._files: OrderedDict[str, File] = OrderedDict()
        self._lock = threading.Lock()
        self._forgotten = 0

    def get(self, path: str) -> File:
        """The open file at `path`. Raises FileNotFoundError and other OSErrors."""
        with self._lock:
            file = self._files.get(path)
            if file is not None:
                self._files.move_to_end(path)
                return file
            forgotten = self._forgotten
        file = File(path, self._flags)  # outside of the lock: nobody else waits for a slow disk
        with self._lock:
            if forgotten != self._forgotten:  # this may be a file that was just deleted: use it, but do not keep it
                return file
            file = self._files.setdefault(path, file)
            if len(self._files) > self._limit:
                self._files.popitem(last=False)
            return file

    def create(self, path: str, size: int) -> File:
        """The file at `path`, made with `size` zero bytes (without blocks of the disk) where it is not there."""
        try:
            return self.get(path)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            file = File(path, os.O_RDWR | os.O_CREAT)
            os.ftruncate(file.fd, size)
            file = self.get(path)
            file.is_new = True
            return file

    def forget(self, prefix: str) -> None:
        """Lets go of every file whose path begins so: after their deletion, or a reader would bring them back."""
        with self._lock:
            self._forgotten += 1
            for path in [path for path in self._files if path.startswith(prefix)]:
                del self._files[path]


def make_folder(folder: Path) -> None:
    """Makes the folder, and what is missing above it; their names are on the disk when it returns."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    try:
        sync_folder(folder.parent)
    except PermissionError:  # a folder that is not ours to list
        sync_file_system(folder)


def sync_folder(folder: Path) -> None:
    """Makes the creation and removal of files in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file_system(folder: Path) -> None:
    """Makes everything durable that was written to the file system of `folder`."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(fd):  # Python has no name for it
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(fd)


_LIBC: Final = ctypes.CDLL(None, use_errno=True)
