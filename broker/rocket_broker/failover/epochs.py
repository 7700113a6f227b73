"""Which epoch each part of the log is of: where every master began to write (protocol section 5.5).

    epochFileCheckpoint     how many lines follow the second, the CRC32 of those lines, then `epoch-position` a line

What was written before there were epochs is of epoch 0, which begins at the log's first byte. The file is written
before its epoch's first record, so every record's epoch is known.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rocket_broker import saved
from rocket_broker.failover.member import consistent_end

FILE_NAME: Final = "epochFileCheckpoint"


class Epochs:
    """The epochs of one store's log. Raises DamagedFile where neither the file nor its backup can be read."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._begins: dict[int, int] = {0: 0} | (saved.load(self._path, parse) or {})

    @property
    def newest(self) -> int:
        """The newest epoch that the log knows."""
        return max(self._begins)

    @property
    def begins(self) -> Mapping[int, int]:
        """Number to the position where it begins, bytes."""
        return self._begins

    def begin(self, epoch: int, position: int) -> None:
        """From `position` on the log is of `epoch`. On disk when it returns. Raises OSError."""
        kept = {number: begin for number, begin in self._begins.items() if number < epoch and begin <= position}
        self._save({**kept, epoch: position})

    def reach(self, epoch: int, begin: int) -> None:
        """What comes next is of `epoch`, which began at `begin`. On disk when it returns. Raises OSError."""
        if self._begins.get(epoch) != begin:
            self.begin(epoch, begin)

    def follow(self, masters: Mapping[int, int], end: int) -> None:
        """The log up to `end` is the master's: so are its epochs. Raises OSError."""
        begins = {0: 0} | {epoch: begin for epoch, begin in masters.items() if begin < end or epoch == 0}
        if begins != self._begins:
            self._save(begins)

    def end_at(self, position: int) -> None:
        """The log ends at `position`: epochs that would begin behind it are unknown. Raises OSError."""
        kept = {number: begin for number, begin in self._begins.items() if begin <= position}
        if kept != self._begins:
            self._save(kept)

    def consistent_end(self, own_end: int, masters: Mapping[int, int], masters_end: int) -> int:
        """Up to where the own log is surely the master's, bytes (rule *truncate*)."""
        return consistent_end(self._begins, own_end, masters, masters_end)

    def next_begin(self, position: int) -> int | None:
        """Where the epoch behind that of `position` begins; None in the newest one."""
        return min((begin for begin in self._begins.values() if begin > position), default=None)

    def at(self, position: int) -> int:
        """The epoch of the log's byte at `position`."""
        return max(number for number, begin in self._begins.items() if begin <= position)

    def _save(self, begins: dict[int, int]) -> None:
        saved.write(self._path, encode(begins))
        self._begins = begins


def encode(begins: Mapping[int, int]) -> bytes:
    """The file. Epoch 0 is the same for everybody and does not stand in it."""
    lines = "".join(f"{epoch}-{begin}\n" for epoch, begin in sorted(begins.items()) if epoch)
    return f"{lines.count(chr(10))}\n{zlib.crc32(lines.encode()) & 0x7FFFFFFF}\n{lines}".encode()


def parse(content: bytes) -> dict[int, int]:
    """What `encode` wrote, or Apache's broker. Raises ValueError."""
    count, checksum, *lines = content.decode().splitlines()
    joined = "".join(f"{line}\n" for line in lines).encode()
    if len(lines) != int(count):
        raise ValueError(f"it says that it has {count} epochs, and has {len(lines)}")
    if int(checksum) and zlib.crc32(joined) & 0x7FFFFFFF != int(checksum):
        raise ValueError("its checksum is wrong")
    return {int(epoch): int(begin) for epoch, begin in (line.split("-") for line in lines)}
