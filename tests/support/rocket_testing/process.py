"""A server process that a test starts, stops, kills, freezes and starts again.

Everything here blocks, with a deadline; a failure shows the end of the server's log. In an asyncio test, wrap what
takes time: `await asyncio.to_thread(broker.restart)`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class ServerFailed(AssertionError):
    """A server did not start, or did not end, in time. The text has the end of its log."""


@dataclass
class Server:
    """One process. `is_ready` is asked until it says yes."""

    name: str
    argv: Sequence[str]
    log: Path
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    #: How long starting and stopping may take, seconds.
    patience: float = 30.0
    process: subprocess.Popen[bytes] | None = None
    #: Where in the log the present process began, bytes.
    run_begin: int = 0

    @property
    def pid(self) -> int:
        if self.process is None:
            raise ServerFailed(f"{self.name} was never started")
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def launch(self) -> None:
        """Starts the process and does not wait for it."""
        if self.is_running:
            raise ServerFailed(f"{self.name} runs already")
        with self.log.open("ab") as log:
            self.run_begin = log.tell()
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
            )

    def wait_ready(self) -> None:
        """Returns when the server is ready; raises ServerFailed when it ended, or is not ready in time."""
        deadline = time.monotonic() + self.patience
        while not self.is_ready():
            if not self.is_running:
                raise self._failure(f"ended with status {self._returncode()} instead of becoming ready")
            if time.monotonic() > deadline:
                raise self._failure(f"is not ready after {self.patience:g} s")
            time.sleep(0.05)

    def start(self) -> None:
        """Starts the process and waits until it is ready."""
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """Asks the process to end (SIGTERM) and waits for it; raises ServerFailed when it does not."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the process at once (SIGKILL), as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stops the process if it runs, and starts it again on the same ports and folders."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stops the process from running without ending it (SIGSTOP): a server that is alive and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen process run again."""
        os.kill(self.pid, signal.SIGCONT)

    def run_log(self) -> str:
        """What the present process printed; earlier runs stand before it in the same file."""
        return self.log.read_bytes()[self.run_begin :].decode(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines: int = 40) -> str:
        """The end of what the process printed, all its runs in one file."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _end(self, sign: signal.Signals) -> None:
        if self.process is None or not self.is_running:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(sign)
            self.process.send_signal(signal.SIGCONT)  # a frozen process cannot obey
        try:
            self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise self._failure(f"ignored {sign.name} for {self.patience:g} s and was killed") from None

    def _returncode(self) -> int | None:
        return self.process.returncode if self.process is not None else None

    def _failure(self, what: str) -> ServerFailed:
        return ServerFailed(f"{self.name} {what}; the end of its log:\n{self.log_tail()}")
