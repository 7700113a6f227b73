"""One process at a time in a store's folder: `<root>/lock`.

The lock is on the file's first byte, the one Apache's broker locks, so that each refuses the other. It belongs to the
open file, not to the process (F_OFD_SETLK), so that a second store in the same process is refused as well, and asking
who holds it does not drop it. The kernel drops it when the process dies, however it dies.

The file's text is for people: `lock`, as Apache writes, then who holds it.
"""

from __future__ import annotations

import fcntl
import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from struct import pack

from rocket_broker.store.errors import StoreLocked
from rocket_broker.store.files import File


class DirectoryLock:
    """Held from the making of the object until `release`."""

    def __init__(self, root: Path, now_ms: int) -> None:
        """Raises StoreLocked, naming the holder, and OSError."""
        path = root / "lock"
        file = File(path, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.fcntl(file.fd, fcntl.F_OFD_SETLK, _lock(fcntl.F_WRLCK))
        except BlockingIOError:
            holder = bytes(file.read(0, 256) or b"").removeprefix(b"lock").decode("utf-8", "replace").strip("\n\0 ")
            raise StoreLocked(f"{root} is in use by {holder or 'another process'} ({path} is locked)") from None
        self._file: File | None = file
        os.ftruncate(file.fd, 0)
        since = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds")
        with suppress(OSError):  # a full disk is no reason not to start
            file.write(0, f"lock process {os.getpid()} on {platform.node()} since {since}\n".encode())

    def release(self) -> None:
        """Lets others in. Releasing twice is harmless."""
        file, self._file = self._file, None
        if file is not None:
            os.ftruncate(file.fd, 0)
            fcntl.fcntl(file.fd, fcntl.F_OFD_SETLK, _lock(fcntl.F_UNLCK))


def _lock(kind: int) -> bytes:
    """struct flock for the file's first byte."""
    return pack("hhqqi4x", kind, os.SEEK_SET, 0, 1, 0)
