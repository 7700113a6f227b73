"""The plain replication stream: bytes in, values out (protocol section 5.1). All numbers big-endian.

slave to master    8        the position up to which the slave has the log; the first one asks where to start
master to slave    8 + 4    position, length n; then n bytes of the log; n = 0 is a heartbeat
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from rocket_wire.errors import ProtocolError

REPORT: Final = Struct(">q")
TRANSFER: Final = Struct(">qi")
#: Largest stretch of the log in one transfer that is believed; Apache's master sends 32 KiB at most.
MAX_TRANSFER_BYTES: Final = 16 * 1024 * 1024


class Transfer(NamedTuple):
    """A stretch of the master's log."""

    position: int
    content: bytes


class ReportReader:
    """Cuts a slave's stream into positions."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, received: bytes) -> list[int]:
        """The positions that these bytes complete."""
        self._rest += received
        whole = len(self._rest) // REPORT.size * REPORT.size
        positions = [position for (position,) in REPORT.iter_unpack(self._rest[:whole])]
        self._rest = self._rest[whole:]
        return positions


class TransferReader:
    """Cuts a master's stream into transfers."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, received: bytes) -> Iterator[Transfer]:
        """The transfers that these bytes complete. Raises ProtocolError on a length that cannot be."""
        buffer = self._buffer
        buffer += received
        start = 0
        while len(buffer) - start >= TRANSFER.size:
            position, length = TRANSFER.unpack_from(buffer, start)
            if position < 0 or not 0 <= length <= MAX_TRANSFER_BYTES:
                raise ProtocolError(f"replication: a transfer of {length} bytes at {position}")
            end = start + TRANSFER.size + length
            if end > len(buffer):
                break
            content = bytes(buffer[start + TRANSFER.size : end])
            start = end
            yield Transfer(position, content)
        del buffer[:start]
