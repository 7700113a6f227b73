"""Reads the records of a log in order, and finds where they end.

The end is the first place that holds no record: another magic than a record's, lengths that disagree, a body with
another CRC, a record that says it belongs elsewhere (what an earlier life of the file left behind).
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from rocket_broker.store.commit_log import CommitLog
from rocket_wire import record
from rocket_wire.errors import ProtocolError

CHUNK_BYTES: Final = 4 * 1024 * 1024
_SIZE_AND_MAGIC: Final = Struct(">ii")
_MAGICS: Final = (record.MAGIC_V1, record.MAGIC_V2)


class LogScan:
    """Iterates over the records from `position` on; afterwards `position` is where they end."""

    def __init__(self, log: CommitLog, position: int) -> None:
        self.position = position
        self._log = log

    def __iter__(self) -> Iterator[record.Message]:
        log = self._log
        wanted = CHUNK_BYTES
        while self.position < log.end:
            start = self.position
            chunk = bytes(log.read(start, wanted) or b"")
            yield from self._whole_records(chunk, start)
            if self.position > start:
                wanted = CHUNK_BYTES
                continue
            size = self._size(chunk, 0)
            if size <= len(chunk) or start + size > log.base_of(start) + log.segment_size or wanted >= size:
                return
            wanted = size  # a record longer than a chunk

    def _whole_records(self, chunk: bytes, start: int) -> Iterator[record.Message]:
        """The records that lie in `chunk` as a whole, which begins at position `start`."""
        at = 0
        while len(chunk) - at >= record.BLANK_BYTES:
            size, magic = _SIZE_AND_MAGIC.unpack_from(chunk, at)
            if magic == record.BLANK_MAGIC:
                end = self._log.base_of(self.position) + self._log.segment_size
                if size == end - self.position:
                    self.position = end
                return
            if magic not in _MAGICS or size > len(chunk) - at:
                return
            try:
                message = record.decode(chunk, at)
            except ProtocolError:
                return
            if message.position != self.position:
                return
            at += size
            self.position = start + at
            yield message

    def _size(self, chunk: bytes, at: int) -> int:
        """The size that a record at `at` claims, 0 where there is none."""
        if len(chunk) - at < record.BLANK_BYTES:
            return 0
        size, magic = _SIZE_AND_MAGIC.unpack_from(chunk, at)
        return size if magic in _MAGICS else 0
