"""What the kernel knows of a process: CPU time and memory, read from /proc."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Mebibytes. Resident counts mapped store files; private (anonymous) is what the process itself needs."""

    resident: float
    proportional: float
    anonymous: float


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all its threads so far. 0 for pid 0."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # a name may hold blanks
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def descriptors(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def maps(pid: int) -> int:
    """How many stretches of memory a process has mapped."""
    return len(Path(f"/proc/{pid}/maps").read_text().splitlines())


def memory(pid: int) -> Memory:
    """What a process occupies now."""
    kibibytes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, amount, *_ = line.split()
        kibibytes[name] = int(amount)
    return Memory(
        resident=kibibytes["Rss:"] / 1024,
        proportional=kibibytes["Pss:"] / 1024,
        anonymous=kibibytes["Anonymous:"] / 1024,
    )
