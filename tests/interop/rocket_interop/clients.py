"""The client libraries of the suite: how each is built, started, and what it offers.

Build results lie under the project's .build/interop and are used again while the sources are the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

SUITE = Path(__file__).resolve().parent.parent
PROJECT = SUITE.parent.parent
BUILD = PROJECT / ".build" / "interop"
HOME = BUILD / "home"

BUILD_SECONDS = 300

#: What every client is asked for; beyond these each has its own.
SENDS = ("tutorial", "sync", "async", "oneway", "ordered")
CONSUMES = ("pull", "tags", "delay", "clustering", "broadcasting", "restart", "retry", "mixed")


class BuildError(Exception):
    """The toolchain is there, and the program could not be built with it."""


class Build(Protocol):
    """A program that can be made: several clients may be one program."""

    def missing(self) -> str | None:
        """The part of the toolchain that this machine lacks, or None."""

    async def make(self) -> None:
        """Builds it, or does nothing where that was done. Raises BuildError."""

    def command(self, options: Sequence[str]) -> list[str]:
        """How it is started; `options` are for its virtual machine, where it has one."""


@dataclass(frozen=True)
class Client:
    """A row of the table: a program, the options that it runs with, and the scenarios that it can play.

    `commit_seconds`: a consumer that stops sooner after its last message than this may lose what it has to commit.
    """

    name: str
    build: Build
    scenarios: tuple[str, ...]
    options: tuple[str, ...] = ()
    commit_seconds: float = 0

    def command(self, arguments: dict[str, str]) -> list[str]:
        return self.build.command(self.options) + [f"{name}={value}" for name, value in arguments.items()]


@dataclass(frozen=True)
class JavaBuild:
    """The Maven project against one version of rocketmq-client."""

    version: str

    @property
    def _folder(self) -> Path:
        return BUILD / f"java-{self.version}"

    def missing(self) -> str | None:
        return _missing("javac", "mvn", toolchain="a JDK and Maven")

    async def make(self) -> None:
        if _is_fresh(self._folder, SUITE / "java"):
            return
        project = ("-f", str(SUITE / "java" / "pom.xml"))
        properties = (f"-Drocketmq.version={self.version}", f"-Dinterop.build={self._folder}")
        await run_tool(["mvn", "-q", "-B", *project, *properties, "compile"])
        _mark_fresh(self._folder, SUITE / "java")

    def command(self, options: Sequence[str]) -> list[str]:
        classes = f"{self._folder / 'classes'}{os.pathsep}{(self._folder / 'classpath.txt').read_text()}"
        # A small, quickly started virtual machine: a dozen of them share the machine with the cluster.
        machine = ["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Duser.home={HOME}"]
        return ["java", *machine, *options, "-cp", classes, "dev.rocketcluster.interop.Main"]


@dataclass(frozen=True)
class GoBuild:
    """The Go module, one binary."""

    _binary: Path = field(default=BUILD / "go" / "interop")

    def missing(self) -> str | None:
        return _missing("go", toolchain="Go")

    async def make(self) -> None:
        # Go's own cache knows best what is to be built anew.
        await run_tool(["go", "build", "-o", str(self._binary), "."], SUITE / "go")

    def command(self, options: Sequence[str]) -> list[str]:
        return [str(self._binary), *options]


@dataclass(frozen=True)
class CppBuild:
    """The C++ library, inside a wheel, in a virtual environment of its own."""

    _folder: Path = field(default=BUILD / "cpp")

    def missing(self) -> str | None:
        if sys.platform != "linux" or platform.machine() != "x86_64":
            return "librocketmq.so (its wheel is for Linux on x86-64)"
        return None

    async def make(self) -> None:
        if _is_fresh(self._folder, SUITE / "cpp"):
            return
        await run_tool([sys.executable, "-m", "venv", "--clear", str(self._folder)])
        python = str(self._folder / "bin" / "python")
        await run_tool([python, "-m", "pip", "-q", "install", "-r", str(SUITE / "cpp" / "requirements.txt")])
        await run_tool([python, "-c", "import rocketmq.client"])
        _mark_fresh(self._folder, SUITE / "cpp")

    def command(self, options: Sequence[str]) -> list[str]:
        return [str(self._folder / "bin" / "python"), *options, str(SUITE / "cpp" / "programs.py")]


def all_clients() -> list[Client]:
    clients = []
    for version in ("4.9.8", "5.5.0"):
        java = JavaBuild(version)
        since_5 = ("batch-queue",) if version.startswith("5.") else ()
        clients.append(Client(f"java-{version}", java, (*SENDS, "batch", *since_5, "lite", *CONSUMES)))
        binary = ("-Drocketmq.serialize.type=ROCKETMQ",)
        clients.append(
            Client(f"java-{version}-binary", java, ("sync", "oneway", "batch", "pull", "clustering", "retry"), binary)
        )
    # This one commits at its stop and closes its connections at once, with answers to its pulls unread: the system
    # then resets the connection, and commits that the broker has not read yet are gone. By the clock it commits too,
    # from its tenth second on.
    clients.append(Client("go", GoBuild(), (*SENDS, "batch", "lite", *CONSUMES), commit_seconds=11))
    clients.append(Client("cpp", CppBuild(), (*SENDS, *CONSUMES)))
    return clients


def environment() -> dict[str, str]:
    """What programs run with: a home of their own, for the logs and offsets that clients leave there."""
    HOME.mkdir(parents=True, exist_ok=True)
    return os.environ | {"HOME": str(HOME)}


def _missing(*tools: str, toolchain: str) -> str | None:
    absent = [tool for tool in tools if shutil.which(tool) is None]
    return f"{toolchain} ({', '.join(absent)} not found)" if absent else None


async def run_tool(command: Sequence[str], folder: Path | None = None) -> None:
    """Runs a command of a toolchain to its end. Raises BuildError with its first lines."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=os.environ | {"GOTOOLCHAIN": "local"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(BUILD_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise BuildError(f"{' '.join(command[:3])} took more than {BUILD_SECONDS} s") from None
    if process.returncode != 0:
        lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
        raise BuildError(f"{' '.join(command[:3])}: {' / '.join(lines[:3]) or process.returncode}")


def _digest(sources: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(sources).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _is_fresh(folder: Path, sources: Path) -> bool:
    mark = folder / "built-from"
    return mark.exists() and mark.read_text() == _digest(sources)


def _mark_fresh(folder: Path, sources: Path) -> None:
    (folder / "built-from").write_text(_digest(sources))
