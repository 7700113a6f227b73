"""One process that we started: it runs in a session of its own, prints into its log, and is told to end by signals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rocket_operator.local import launch
from rocket_operator.local.folder import DataFolder
from rocket_operator.objects.processes import Process
from rocket_operator.problems import CannotStart
from rocket_operator.rollout.processes import Phase


def find_program(name: str, folder: Path | None = None) -> str:
    """A console script's path: in `folder`, or else the one installed with us, or else on PATH. Raises CannotStart."""
    beside = os.path.dirname(sys.executable)
    places = [str(folder)] if folder else [beside, os.environ.get("PATH", os.defpath)]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise CannotStart(f"{name} is not in {folder}" if folder else f"{name} is neither in {beside} nor on PATH")
    return os.path.abspath(found)


@dataclass(slots=True)
class Child:
    """A process that was started. `since` is when its phase began, which is never ENDED."""

    process: Process
    handle: asyncio.subprocess.Process
    since: float
    phase: Phase = Phase.RUNNING
    refused: set[str] = field(default_factory=set)

    @classmethod
    async def start(cls, process: Process, program: str, folder: DataFolder, now: float) -> Child:
        """Runs `program`, a path. Raises OSError when its folder cannot be written."""
        configuration = folder.write_configuration(process)
        command = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), program]
        log = folder.open_log(process.name)
        try:
            handle = await asyncio.create_subprocess_exec(
                *command, "-c", str(configuration), cwd=configuration.parent, env=_environment(),
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(log)
        folder.record_pid(process.name, handle.pid)
        return cls(process, handle, now)

    @property
    def ended(self) -> bool:
        return self.handle.returncode is not None

    @property
    def how_it_ended(self) -> str:
        code = self.handle.returncode or 0
        return f"exited with {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"

    def ask_to_stop(self, now: float) -> None:
        self.phase, self.since = Phase.STOPPING, now
        self._signal(signal.SIGTERM, os.kill)

    def kill(self) -> None:
        """Ends it and whatever it started."""
        self.phase = Phase.KILLED
        self._signal(signal.SIGKILL, os.killpg)

    def _signal(self, number: signal.Signals, send: Callable[[int, int], None]) -> None:
        if not self.ended:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                send(self.handle.pid, number)


def _environment() -> dict[str, str]:
    """Ours, less what would tell a broker of another cluster; unbuffered, so that a log is complete after a crash."""
    kept = {key: value for key, value in os.environ.items() if key != "NAMESRV_ADDR"}
    return kept | {"PYTHONUNBUFFERED": "1"}
