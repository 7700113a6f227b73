"""The two ids of a message (protocol section 4.7).

offset id    store host (4 or 16 bytes of address, 4 of port) + 8 bytes of commit-log position, in upper-case hex:
             32 or 56 characters. The broker's answer to a send; it says where to find the record.
unique key   address 4 or 16 + process id 2 + instance 4 + milliseconds of the month 4 + counter 2, in upper-case
             hex. Made by the producer, kept through retries and delays; what users call the message id.
"""

from __future__ import annotations

from datetime import UTC, datetime
from struct import Struct
from typing import Final

from rocket_wire.errors import ProtocolError

_POSITION: Final = Struct(">q")
_PREFIX: Final = Struct(">Hi")
_SUFFIX: Final = Struct(">IH")


def offset_message_id(store_host: bytes, position: int) -> str:
    """The id of the record at `position` (bytes) of the log of the broker at `store_host` (8 or 20 bytes)."""
    return (store_host + _POSITION.pack(position)).hex().upper()


def decode_offset_message_id(text: str) -> tuple[bytes, int]:
    """Store host (8 or 20 bytes) and position (bytes) of an offset id. Raises ProtocolError if it is none."""
    try:
        raw = bytes.fromhex(text) if len(text) in (32, 56) else b""
    except ValueError:
        raw = b""
    if len(raw) not in (16, 28):
        raise ProtocolError(f"message id {text[:64]!r} is not 32 or 56 hexadecimal digits")
    return raw[:-8], _POSITION.unpack(raw[-8:])[0]


class UniqueKeys:
    """Makes the unique keys of one process.

    `address` is its packed IP address, 4 or 16 bytes; `instance` any 32-bit number that tells producers of the same
    process id apart (in containers most have process id 1).
    """

    def __init__(self, address: bytes, process_id: int, instance: int) -> None:
        if len(address) not in (4, 16):
            raise ValueError(f"an address has 4 or 16 bytes, not {len(address)}")
        prefix = address + _PREFIX.pack(process_id & 0xFFFF, _signed(instance))
        self._prefix = prefix.hex().upper()
        self._counter = 0
        self._month_start = 0
        self._month_end = 0

    def next(self, now_ms: int) -> str:
        """A key that this process has not made before (65 536 different ones in a millisecond)."""
        if not self._month_start <= now_ms < self._month_end:
            self._month_start, self._month_end = _month(now_ms)
        self._counter = (self._counter + 1) & 0xFFFF
        return self._prefix + _SUFFIX.pack(now_ms - self._month_start, self._counter).hex().upper()


def _month(now_ms: int) -> tuple[int, int]:
    """The first millisecond (UTC) of the month of `now_ms`, and of the next one."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    start = datetime(now.year, now.month, 1, tzinfo=UTC)
    end = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return int(start.timestamp()) * 1000, int(end.timestamp()) * 1000


def _signed(number: int) -> int:
    return (number & 0xFFFFFFFF) - ((number & 0x80000000) << 1)
