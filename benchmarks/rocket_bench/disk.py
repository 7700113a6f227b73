"""What the disk itself does: the measure of everything that waits for it."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

_RECORD_BYTES = 256
_FILE_BYTES = 64 << 20


def syncs_a_second(folder: Path, seconds: float) -> float:
    """How often a file in `folder`, reserved before, takes a small record and is synced, one after the other."""
    with tempfile.TemporaryFile(dir=folder) as file:
        descriptor = file.fileno()
        os.posix_fallocate(descriptor, 0, _FILE_BYTES)
        os.fsync(descriptor)
        begin, count = time.perf_counter(), 0
        while (took := time.perf_counter() - begin) < seconds:
            os.pwrite(descriptor, bytes(_RECORD_BYTES), count * _RECORD_BYTES % _FILE_BYTES)
            os.fdatasync(descriptor)
            count += 1
    return count / took
