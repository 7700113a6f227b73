"""A small file system of a test's own, and servers that live on it: for disks that are full or cannot be written.

    with small_disk(tmp_path / "disk", megabytes=8) as disk:
        broker = disk.moved(OurServers().broker(tmp_path, namesrv, storePathRootDir=str(disk.folder / "store"), ...))
        broker.start()
        with disk.filled():
            ...

It is mounted in a mount namespace that one sleeping process holds open; a moved server enters that namespace, and
survives as one process that signals reach. Outside, the files are seen below `inside`. Needs no rights but those to
make a namespace; where these are missing, the test is skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from rocket_testing.process import Server

S = TypeVar("S", bound=Server)

#: Bytes; where there is no room for a large piece, there may be some for a page, also a moment later.
_PIECES = (64 * 1024, 4096, 4096, 4096)
_SETTLE_SECONDS = 0.1


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system. `folder` is its path as a moved server sees it."""

    folder: Path
    holder: int

    @property
    def inside(self) -> Path:
        """The same folder as the test sees it."""
        return Path(f"/proc/{self.holder}/root{self.folder}")

    def moved(self, server: S) -> S:
        """The server, to be started where this disk is mounted."""
        enter = ["nsenter", f"--target={self.holder}", "--user", "--mount", "--preserve-credentials"]
        server.argv = [*enter, *server.argv]
        return server

    @contextlib.contextmanager
    def filled(self) -> Iterator[None]:
        """Inside the block nothing is free; what servers had under way has had its time to give room back."""
        ballast = self.inside / "ballast"
        with ballast.open("wb", buffering=0) as file:
            for piece in _PIECES:
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(piece))
                time.sleep(_SETTLE_SECONDS)
        try:
            yield
        finally:
            ballast.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int, options: str = "") -> Iterator[SmallDisk]:
    """A file system of this size in memory, mounted at `folder` with further mount options such as "ro"."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("needs unshare and nsenter, to mount a small file system")
    folder.mkdir(parents=True)
    mount = f"mount -t tmpfs -o size={megabytes}m{',' + options if options else ''} tmpfs {folder}"
    script = f"{mount} && echo mounted && exec sleep 600"
    with subprocess.Popen(["unshare", "-Urm", "sh", "-c", script], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            if holder.stdout.readline() != b"mounted\n":
                pytest.skip("may not mount a small file system here")
            yield SmallDisk(folder, holder.pid)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(holder.pid, 9)
