"""The folder that a cluster lives in on one machine. Whoever holds its lock runs the cluster; nobody else may.

    DATA/
      lock                        locked by the running rocketctl, whose pid stands in it
      orders-broker-0-0/
        broker.properties         written anew at each start
        log                       what the process printed; log.1 is the one before
        pid                       of the process, while it runs
        store/                    the broker's messages

Member folders stay when their member is stopped.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from rocket_operator.objects.members import Member
from rocket_operator.objects.processes import Process
from rocket_operator.objects.settings import text
from rocket_operator.problems import CannotStart

_LOG_LIMIT_BYTES = 10 * 1024 * 1024
_LOG_TAIL_BYTES = 4096


class DataFolder:
    """One cluster's folder; made when it is absent."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the folder. Raises CannotStart when another process holds it, or when it cannot be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise CannotStart(f"the folder {self.root} cannot be used: {error.strerror}") from error
        try:
            self._claim(file)
            yield
        finally:
            os.close(file)

    def _claim(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(file, 32).decode("ascii", "replace").strip() or "unknown"
            raise CannotStart(
                f"{self.root} is in use by another rocketctl (pid {pid}): stop that one, or choose a folder with --data"
            ) from None
        os.truncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())

    def of(self, name: str) -> Path:
        return self.root / name

    def configuration(self, process: Process) -> Path:
        return self.of(process.name) / process.file_name

    def write_configuration(self, process: Process) -> Path:
        """The settings file of a process that is about to start."""
        path = self.configuration(process)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(process.settings), "utf-8")
        return path

    def open_log(self, name: str) -> int:
        """A descriptor to append to; a long log is put aside first."""
        path = self.of(name) / "log"
        if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
            path.replace(path.with_name("log.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def last_words(self, name: str) -> str:
        """The last line in a member's log, or nothing."""
        try:
            with (self.of(name) / "log").open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
                lines = log.read().decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1].strip() if lines else ""

    def record_pid(self, name: str, pid: int) -> None:
        (self.of(name) / "pid").write_text(f"{pid}\n", "ascii")

    def forget_pid(self, name: str) -> None:
        (self.of(name) / "pid").unlink(missing_ok=True)

    def left_overs(self) -> dict[Member, psutil.Process]:
        """Members that an earlier run started and that still run."""
        found = {}
        for file in sorted(self.root.glob("*/pid")):
            member, process = Member.parse(file.parent.name), self._alive(file)
            if member is not None and process is not None:
                found[member] = process
        return found

    @staticmethod
    def _alive(file: Path) -> psutil.Process | None:
        """The process whose pid a file holds, unless the number has gone to somebody else since."""
        try:
            process = psutil.Process(int(file.read_text("ascii")))
            ours = any(argument.startswith(f"{file.parent}{os.sep}") for argument in process.cmdline())
        except (ValueError, psutil.Error):
            return None
        return process if ours else None
