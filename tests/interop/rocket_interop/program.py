"""One running client program: lines in, JSON events out, every wait with a deadline.

A program (see ../README.md for its contract) prints `ready` once it is connected, an event for each message, and
`stopped` before it leaves, which it does when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rocket_interop.judgement import Message, Received, Sent

START_SECONDS = 40
STOP_SECONDS = 30

#: asyncio's own limit of a line is 64 KiB; events carry bodies.
LINE_BYTES = 4 * 1024 * 1024


class ProgramError(Exception):
    """A program did not start, or did not end as it should."""


class Program:
    """A client program from start to end; `events` is everything that it has said."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.events: list[dict[str, Any]] = []
        self.asked_at: dict[str, float] = {}
        self._process = process
        self._log = log
        self._changed = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Program:
        """Starts it and waits until it says that it is ready. Its standard error goes to the file `log`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=dict(environment),
                limit=LINE_BYTES,
            )
        program = cls(name, process, log)
        ready = await program.wait_until(lambda: program._said("ready") or program._reading.done(), START_SECONDS)
        if not ready or not program._said("ready"):
            await program.kill()
            raise ProgramError(f"{name} did not start: {program._last_error()}")
        return program

    @property
    def sent(self) -> list[Sent]:
        return [Sent.parse(event) for event in self.events if event["event"] == "sent"]

    @property
    def failed(self) -> dict[str, str]:
        return {e.get("key", self.name): e["error"] for e in self.events if e["event"] == "failed"}

    @property
    def received(self) -> list[Received]:
        return [Received.parse(event) for event in self.events if event["event"] == "received"]

    async def send(self, messages: Sequence[Message], *, as_batch: bool = False) -> None:
        """Asks a producer for these messages and waits until it has told of each."""
        assert self._process.stdin is not None
        self.asked_at |= {message.key: time.time() for message in messages}
        lines = [message.line() + "\n" for message in messages] + (["\n"] if as_batch else [])
        self._process.stdin.write("".join(lines).encode())
        await self._process.stdin.drain()
        wanted = {message.key for message in messages}
        await self.wait_until(lambda: wanted <= {s.key for s in self.sent} | set(self.failed), START_SECONDS)

    async def wait_until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Whether it became so within the deadline; asked again at each event."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(is_so)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Closes its input, and expects it to say `stopped` and leave by itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._reading
                code = await self._process.wait()
        except TimeoutError:
            await self.kill()
            raise ProgramError(f"{self.name} did not end within {STOP_SECONDS} s") from None
        # How a library's threads end after that word is not what is tested: the C++ client's abort at times.
        if not self._said("stopped"):
            raise ProgramError(f"{self.name} ended with status {code}: {self._last_error()}")

    async def kill(self) -> None:
        """Ends it whatever it does; harmless when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            # Client libraries print on their own account too; what is no event is not for us.
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    self.events.append(event)
            async with self._changed:
                self._changed.notify_all()
        async with self._changed:
            self._changed.notify_all()

    def _said(self, event: str) -> bool:
        return any(said["event"] == event for said in self.events)

    def _last_error(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
