"""Reads the records of a log in order, and finds where they end.

The end is the first place that holds no record: another magic than a record's, lengths that disagree, a body with
another CRC, a record that says it belongs elsewhere (what an earlier life of the file left behind). The CRC is the
body's alone: topic or properties in a sector that a loss of power kept from being written are known by its zeros.

Before position `trusted` the log is known to have been whole once. What is no record there is damage, not the end: the
scan goes on at the next record, and says what it passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Final

from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.files import SECTOR_BYTES
from rocket_wire import record
from rocket_wire.errors import ProtocolError

CHUNK_BYTES: Final = 4 * 1024 * 1024
_SIZE_AND_MAGIC: Final = Struct(">ii")
_LONG: Final = Struct(">q")
_MAGICS: Final = (record.MAGIC_V1, record.MAGIC_V2)
_MAGIC_PREFIX: Final = bytes.fromhex("DAA320")  # what both versions begin with
_POSITION_AT: Final = 28
_LENGTH_BYTES: Final = 2


class LogScan:
    """Iterates over the records from `position` on; afterwards `position` is where they end."""

    def __init__(
        self, log: CommitLog, position: int, trusted: int = 0, damaged: Callable[[int, int], None] | None = None
    ) -> None:
        """`damaged` is called with the first and the next position of what had to be passed over."""
        self.position = position
        self._log = log
        self._trusted = trusted
        self._damaged = damaged

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
            size = self._claimed_size(chunk)
            if len(chunk) < size <= log.base_of(start) + log.segment_size - start and wanted < size:
                wanted = size  # a record longer than a chunk
                continue
            if start >= self._trusted:
                return
            self.position = self._next_record(start)
            wanted = CHUNK_BYTES
            if self._damaged is not None:
                self._damaged(start, self.position)

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
            if message.position != self.position or message.queue_id < 0 or message.queue_offset < 0:
                return
            if self.position >= self._trusted and self._is_torn(message):
                return
            at += size
            self.position = start + at
            yield message

    def _is_torn(self, message: record.Message) -> bool:
        """Whether a sector of the record's topic and properties holds nothing but zeros."""
        if "\0" not in message.topic and b"\0" not in message.properties:
            return False
        end = message.position + message.size
        begin = end - len(message.properties) - len(message.topic.encode()) - _LENGTH_BYTES
        return any(
            not any(self._log.read(sector, SECTOR_BYTES) or b"")
            for sector in range(begin - (begin - self._log.base_of(begin)) % SECTOR_BYTES, end, SECTOR_BYTES)
        )

    def _claimed_size(self, chunk: bytes) -> int:
        """The size that a record at the beginning of `chunk` claims, 0 where there is none."""
        if len(chunk) < record.BLANK_BYTES:
            return 0
        size, magic = _SIZE_AND_MAGIC.unpack_from(chunk)
        return size if magic in _MAGICS else 0

    def _next_record(self, position: int) -> int:
        """Where the next record begins behind `position`, at the latest where the segment or what is trusted ends."""
        limit = min(self._log.base_of(position) + self._log.segment_size, self._trusted)
        position += 1
        while position < limit:
            chunk = bytes(self._log.read(position, CHUNK_BYTES) or b"")
            at = chunk.find(_MAGIC_PREFIX)
            while at >= 0:
                begin = at - record.MAGIC_AT
                if begin >= 0 and chunk[begin + _POSITION_AT : begin + _POSITION_AT + 8] == _LONG.pack(
                    position + begin
                ):
                    return position + begin
                at = chunk.find(_MAGIC_PREFIX, at + 1)
            if len(chunk) < CHUNK_BYTES:
                return limit
            position += len(chunk) - _POSITION_AT - 8  # a record may begin in one chunk and say so in the next
        return limit
