"""What a server process uses, as the kernel counts it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from rocket_testing.process import Server

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def descriptors(server: Server, kind: str = "") -> int:
    """Open descriptors, all or those of a kind such as "socket"."""
    count = 0
    for entry in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += os.readlink(entry).startswith(kind)
    return count


def memory(server: Server) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * _PAGE


def cpu_seconds(server: Server) -> float:
    """Processor time that the process has used so far."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
