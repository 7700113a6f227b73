"""The files of consume queues: their names, what is written to them, and what of that is not yet on the disk."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

from rocket_broker.store.files import File, OpenFiles, sync_file_system, sync_folder

#: From so many files on one sync of the whole file system is cheaper (measured: 40 000 files, 48 s against 1).
_MANY_FILES: Final = 64
_DELETED: Final = ".deleted-"


class QueueFiles:
    """Files of `file_bytes` each in `<folder>/<topic>/<queue id>/`. A queue is named by `place`: `<topic>/<queue id>`.

    All raise OSError.
    """

    def __init__(self, folder: Path, file_bytes: int, open_files: int) -> None:
        self.folder = folder
        self.file_bytes = file_bytes
        self._files = OpenFiles(open_files)
        self._unsynced: set[str] = set()
        self._changed_folders: set[Path] = set()

    def path(self, place: str, base: int) -> str:
        """The file that begins with byte `base` of the queue."""
        return f"{self.folder}/{place}/{base:020d}"

    def bases(self, place: str) -> list[int]:
        """Where each of the queue's files begins, in order."""
        folder = f"{self.folder}/{place}"
        return sorted(int(name) for name in os.listdir(folder) if name.isdigit()) if os.path.isdir(folder) else []

    def base_of(self, at: int) -> int:
        """Where the file of a queue's byte begins."""
        return at - at % self.file_bytes

    def open(self, place: str, base: int) -> File:
        """One file. Raises FileNotFoundError."""
        return self._files.get(self.path(place, base))

    def write(self, place: str, start: int, content: bytes) -> None:
        """Writes `content` from byte `start` of the queue on, into as many files as that takes."""
        at = 0
        while at < len(content):
            base = self.base_of(start + at)
            piece = content[at : at + base + self.file_bytes - start - at]
            path = self.path(place, base)
            file = self._files.create(path, self.file_bytes)
            if file.is_new:
                file.is_new = False
                folder = Path(path).parent
                self._changed_folders |= {folder, folder.parent, self.folder, self.folder.parent}
            file.write(start + at - base, piece)
            self._unsynced.add(path)
            at += len(piece)

    def cut(self, place: str, end: int) -> None:
        """Zeros from byte `end` of the queue on to that file's end; the files behind it go."""
        base = self.base_of(end)
        for other in self.bases(place):
            if other > base:
                self.unlink(place, other)
            elif other == base:
                file = self.open(place, base)
                os.ftruncate(file.fd, end - base)
                os.ftruncate(file.fd, self.file_bytes)
                self._unsynced.add(file.path)

    def unlink(self, place: str, base: int) -> None:
        """Deletes one file."""
        path = self.path(place, base)
        os.unlink(path)
        self._files.forget(path)
        self._changed_folders.add(Path(path).parent)

    def delete_topic(self, topic: str) -> None:
        """Takes away a topic's folder whole, so that no file of it can be taken for one of a topic of the same name.

        What cannot be deleted of it then is deleted by `delete_rest`, at the next start.
        """
        folder, number = self.folder / topic, 0
        if folder.is_dir():
            while (aside := self.folder.with_name(f"{self.folder.name}{_DELETED}{number}")).exists():
                number += 1
            os.rename(folder, aside)
            shutil.rmtree(aside, ignore_errors=True)
        self._files.forget(f"{folder}/")
        self._changed_folders |= {self.folder, self.folder.parent}

    def delete_rest(self) -> None:
        """Deletes what is left of topics that were deleted, as far as that is possible."""
        for aside in self.folder.parent.glob(f"{self.folder.name}{_DELETED}*"):
            shutil.rmtree(aside, ignore_errors=True)

    def sync(self) -> None:
        """Makes files and their names durable."""
        if len(self._unsynced) > _MANY_FILES:
            self._changed_folders.clear()
            self._unsynced.clear()  # first: what is written meanwhile is for the next time
            sync_file_system(self.folder)
            return
        while self._unsynced:
            path = self._unsynced.pop()
            with suppress(FileNotFoundError):  # deleted since
                self._files.get(path).sync()
        while self._changed_folders:
            folder = self._changed_folders.pop()
            with suppress(FileNotFoundError):
                sync_folder(folder)

    def close(self) -> None:
        """Lets go of every file."""
        self._files.forget("")
