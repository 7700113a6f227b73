"""The store's system calls, counted, and failing on purpose: one of them by its number, or all of a kind.

    disk = DiskCalls(monkeypatch, tmp_path)
    disk.fail(errno.ENOSPC, names=WRITES, part="/checkpoint")      until disk.heal()
    disk.fail_call(17, errno.EIO)                                  the 17th of all calls below tmp_path, once

A write that fails has written the first half of its bytes, unless told otherwise: so does a disk that fills up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

WRITES = ("pwrite",)
GROWS = ("pwrite", "posix_fallocate", "mkdir")
SYNCS = ("fdatasync", "fsync")
READS = ("preadv",)
NAMES = ("unlink", "rename", "replace", "link", "rmdir")
ALL = ("open", "listdir", "scandir", "ftruncate", *GROWS, *SYNCS, *READS, *NAMES)

_REAL_SYNCS = (os.fdatasync, os.fsync)


class DiskCalls:
    """Stands between everything in this process and the files below `root`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.count = 0
        self.failed: list[str] = []
        self._root = str(root)
        self._wanted: Callable[[str, str], bool] = lambda name, path: False
        self._error = 0
        self._keeps: int | None = None
        self._died: type[BaseException] | None = None
        for name in ALL:
            monkeypatch.setattr(os, name, self._between(name, getattr(os, name)))

    def fail(self, error: int, *, names: Collection[str] = ALL, part: str = "", keeps: int | None = None) -> None:
        """From now on calls of these names fail on paths that contain `part`; a write keeps so many bytes."""
        self._error, self._keeps = error, keeps
        self._wanted = lambda name, path: name in names and part in path

    def fail_call(
        self, number: int, error: int, *, names: Collection[str] = ALL, part: str = "", keeps: int | None = None
    ) -> None:
        """Counts calls of these names, on such paths, from 0 again and lets the one with this number fail, once."""
        self.count, self._error, self._keeps = 0, error, keeps

        def is_it(name: str, path: str) -> bool:
            is_counted = name in names and part in path
            self.count += is_counted
            return is_counted and self.count == number + 1

        self._wanted = is_it

    def die_at(self, number: int, died: type[BaseException], *, names: Collection[str] = ALL) -> None:
        """Counts calls of these names from 0 again; the process ends before the one with this number."""
        self.fail_call(number, 0, names=names)
        self._died = died

    def heal(self) -> None:
        """The disk is well again."""
        self._died = None
        self._wanted = lambda name, path: False

    def _between(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(target: Any = ".", *arguments: Any, **named: Any) -> Any:
            path = _path(target, named.get("dir_fd"))
            if path.startswith(self._root) and self._wanted(name, path):
                self.failed.append(f"{name} {path}")
                if self._died is not None:
                    raise self._died(f"before {self.failed[-1]}")
                if name == "pwrite":
                    content, start = arguments
                    kept = bytes(content)[: len(content) // 2 if self._keeps is None else self._keeps]
                    call(target, kept, start)
                raise OSError(self._error, os.strerror(self._error), path)
            if name in SYNCS and call in _REAL_SYNCS and path.startswith(self._root):
                return None  # the kernel has it, and no test cuts the real power: it would only take time
            return call(target, *arguments, **named)

        return counted


def _path(target: Any, folder: int | None) -> str:
    if isinstance(target, int):
        return os.readlink(f"/proc/self/fd/{target}")
    return os.fspath(target) if folder is None else os.path.join(_path(folder, None), target)
