"""Small tables kept in JSON files: topics, groups, offsets. Written aside, synced, renamed; the one before is `.bak`.

At every moment either the file or its `.bak` is whole. A file that cannot be parsed is read from `.bak`, with a line
in the log; when neither can be, the start fails rather than going on with an empty table.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from rocket_net import durable_file

log = logging.getLogger("rocket.saved")

T = TypeVar("T")

_RETRY_SECONDS: Final = 1.0


class DamagedFile(Exception):
    """Neither the file nor its backup can be read. The text says which, and what to do."""


def load(path: Path, parse: Callable[[bytes], T]) -> T | None:
    """The parsed table, from `.bak` where the file is missing or damaged; None where there is neither.

    `parse` raises any exception on bad content. Raises DamagedFile.
    """
    problems = []
    for candidate in (path, path.with_name(path.name + ".bak")):
        try:
            table = parse(candidate.read_bytes())
        except FileNotFoundError:
            continue
        except Exception as error:
            log.error("%s is damaged (%s): trying its backup", candidate, error)
            problems.append(f"{candidate}: {error}")
        else:
            if problems:  # or the next save would make the damaged file the backup
                path.replace(path.with_name(path.name + ".damaged"))
            return table
    if problems:
        raise DamagedFile(f"{'; '.join(problems)}. Restore one of them from a backup, or delete both to start empty")
    return None


def write(path: Path, content: bytes) -> None:
    """Replaces the file whole, keeping the one before as `.bak`. Raises OSError, then the old file is untouched."""
    if path.exists():
        fresh = path.with_name(path.name + ".bak.tmp")
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()
        os.link(path, fresh)
        fresh.replace(path.with_name(path.name + ".bak"))
    durable_file.write(path, content)


class Saver:
    """Saves one table without blocking the loop: saves asked for while one is under way become one.

    A save that fails, on a full disk for instance, is tried again until one succeeds.
    """

    def __init__(self, path: Path, encode: Callable[[], bytes]) -> None:
        self._path = path
        self._encode = encode
        #: The newest save, until the table is on disk. A failed one holds an OSError. Not to be cancelled.
        self.pending: asyncio.Future[None] | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False

    def save(self) -> asyncio.Future[None]:
        """Done when the table as it is now is on disk. Need not be awaited; a failure is logged in any case."""
        if self._waiting is None:
            self._waiting = self.pending = asyncio.get_running_loop().create_future()
            self._waiting.add_done_callback(_retrieve)
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._run())
        saving = asyncio.shield(self._waiting)  # several callers share one save; none of them can cancel it
        saving.add_done_callback(_retrieve)
        return saving

    async def _run(self) -> None:
        while self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            try:
                await asyncio.to_thread(write, self._path, self._encode())
            except OSError as error:
                self._failed(error)
                waiting.set_exception(error)
            else:
                if self.pending is waiting:
                    self.pending = None
                self._succeeded()
                waiting.set_result(None)

    def _failed(self, error: OSError) -> None:
        if not self._is_failing:
            log.error("%s could not be saved (%s): the table in memory goes on, trying again", self._path, error)
        self._is_failing = True
        asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._save_again)

    def _save_again(self) -> None:
        if self._is_failing:
            self.save()

    def _succeeded(self) -> None:
        if self._is_failing:
            log.info("%s is saved again", self._path)
        self._is_failing = False


def _retrieve(future: asyncio.Future[None]) -> None:
    """Marks a failure as seen: it was logged where it happened, and not every caller awaits."""
    if not future.cancelled():
        future.exception()
