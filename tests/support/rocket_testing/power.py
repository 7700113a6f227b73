"""A machine that loses power: of the files below a folder there is afterwards only what the disk was made to hold.

    machine = Machine(monkeypatch, tmp_path)        from now on it watches the calls of this process
    ...
    machine.lose_power(tmp_path / "store", tmp_path / "after")                        nothing but what was synced
    machine.lose_power(tmp_path / "store", tmp_path / "after", random.Random(1))      or any mixture with what was not

A file's content is on the disk after its own sync, its name after a sync of its folder, and a removed file may be back
until then. Where no chance is given, each name and each sector is as it was when last synced.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rocket_broker.store import files

SECTOR = 512

#: A file or folder, whatever it is called at the moment.
Inode = int


class Machine:
    """Remembers what was synced below `root`: each file's content and each folder's names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self._root = root
        self._contents: dict[Inode, bytes] = {}
        self._names: dict[Inode, dict[str, Inode]] = {}
        self._folders: set[Inode] = set()
        #: What was removed may be back: held open, so that it can be read and its number is not given to another.
        self._removed: dict[Inode, int] = {}
        self._open = os.open  # as it is now: others may let it fail later
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._syncing(getattr(os, name)))
        for name in ("unlink", "rmdir", "replace", "rename"):
            monkeypatch.setattr(os, name, self._removing(getattr(os, name)))
        monkeypatch.setattr(files, "_LIBC", SimpleNamespace(syncfs=lambda fd: self.sync_everything()))

    def sync_everything(self) -> None:
        """All that is there now is on the disk."""
        self._note(self._root)
        for path in self._root.rglob("*"):
            self._note(path)

    def _note(self, path: Path) -> None:
        inode = path.stat().st_ino
        if path.is_dir():
            self._names[inode] = {entry.name: entry.inode() for entry in os.scandir(path)}
            self._folders |= {entry.inode() for entry in os.scandir(path) if entry.is_dir()}
        else:
            self._contents[inode] = path.read_bytes()

    def _syncing(self, call: Callable[[int], None]) -> Callable[[int], None]:
        def sync(fd: int) -> None:
            call(fd)
            path = Path(os.readlink(f"/proc/self/fd/{fd}"))
            if path.is_relative_to(self._root) and path.exists():
                self._note(path)

        return sync

    def _removing(self, call: Callable[..., None]) -> Callable[..., None]:
        def remove(path: Any, *arguments: Any, dir_fd: int | None = None, **named: Any) -> None:
            for gone in (path, *arguments[:1]):
                if os.path.exists(gone if dir_fd is None else f"/proc/self/fd/{dir_fd}/{gone}"):
                    held = self._open(gone, os.O_RDONLY, dir_fd=dir_fd)
                    self._removed[os.fstat(held).st_ino] = held
            call(path, *arguments, dir_fd=dir_fd, **named) if dir_fd is not None else call(path, *arguments, **named)

        return remove

    def close(self) -> None:
        """Forgets everything, and lets go of what was removed."""
        for held in self._removed.values():
            os.close(held)
        for known in (self._removed, self._contents, self._names, self._folders):
            known.clear()

    def lose_power(self, folder: Path, copy: Path, chance: random.Random | None = None) -> Path:
        """Makes `copy` what the disk has of `folder`. With `chance`, some of what was not synced is there, too."""
        copy.mkdir()
        if folder.name in self._after(folder.parent, chance):
            self._copy(folder, copy, folder.stat().st_ino, chance)
        return copy

    def _after(self, folder: Path, chance: random.Random | None) -> dict[str, Inode]:
        """The names in a folder that exists now."""
        before = self._names.get(folder.stat().st_ino, {})
        now = {entry.name: entry.inode() for entry in os.scandir(folder)}
        if chance is None:
            return before
        names = {name: (now if chance.random() < 0.5 else before).get(name) for name in {**before, **now}}
        return {name: inode for name, inode in names.items() if inode is not None}

    def _copy(self, folder: Path | None, copy: Path, inode: Inode, chance: random.Random | None) -> None:
        paths = {} if folder is None else {entry.inode(): Path(entry.path) for entry in os.scandir(folder)}
        names = self._names.get(inode, {}) if folder is None else self._after(folder, chance)
        for name, child in names.items():
            path = paths.get(child)
            if child in self._folders or (path is not None and path.is_dir()):
                (copy / name).mkdir()
                self._copy(path, copy / name, child, chance)
            else:
                (copy / name).write_bytes(self._content(path, child, chance))

    def _content(self, path: Path | None, inode: Inode, chance: random.Random | None) -> bytes:
        durable = self._contents.get(inode, b"")
        if chance is None:
            return durable
        current = durable
        if path is not None:
            current = path.read_bytes()
        elif (held := self._removed.get(inode)) is not None:
            current = os.pread(held, os.fstat(held).st_size, 0)
        size = len(current if chance.random() < 0.5 else durable)
        durable, current = durable.ljust(size, b"\0"), current.ljust(size, b"\0")
        sectors = range(0, size, SECTOR)
        return b"".join((current if chance.random() < 0.5 else durable)[at : at + SECTOR] for at in sectors)
