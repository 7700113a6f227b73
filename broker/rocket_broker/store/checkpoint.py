"""The checkpoint file: from where on a restart has to read the log (protocol section 4.6).

    0  physicMsgTimestamp     store time of the last message whose record is on the disk, ms
    8  logicsMsgTimestamp     the same for its consume queue entry
   16  indexMsgTimestamp      the same for its index entries
   24  masterFlushedOffset
   32  confirmPhyOffset       the log's end when this was written
   40  position               ours: every record before it is on the disk, and so are its queue and index entries
   48  index file, 56 index count      ours: the last index file's name as a number, and how many entries it had
   64  queues, 72 queue messages       ours, after a clean stop: how many queues there were, the messages in them;
                                       -1 while running, and then how many entries all queues had at the position,
                                       those included that have expired (-1: unknown); -2 while queues and index are
                                       made again from the log, and then the position says only up to where the log
                                       itself was whole
   80  segment size        ours: what mappedFileSizeCommitLog was when the log was made
   88  CRC32 of the 88 bytes before, 4 bytes

Apache's broker rewrites the first 40 bytes and leaves the rest, so that the CRC tells whether ours still hold.
"""

from __future__ import annotations

import os
from pathlib import Path
from struct import Struct
from typing import Final
from zlib import crc32

import msgspec

from rocket_broker.store.files import File, sync_folder

_FIELDS: Final = Struct(">11q")
_CRC: Final = Struct(">I")
_FILE_BYTES: Final = 4096
_REMAKING: Final = -2


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What the file says. `position` is None, and `segment_size` 0, where the file is Apache's, or absent."""

    physic_timestamp: int = 0
    logics_timestamp: int = 0
    index_timestamp: int = 0
    master_flushed: int = 0
    confirm: int = 0
    position: int | None = None
    index_file: int = 0
    index_count: int = 0
    queues: int = -1
    queue_messages: int = -1
    segment_size: int = 0

    @property
    def is_remaking(self) -> bool:
        """Whether queues and index were being made again, so that nobody knows how far they got."""
        return self.queues == _REMAKING

    def remaking(self, position: int) -> Checkpoint:
        """The same while queues and index are made again; the log was whole up to `position`."""
        return msgspec.structs.replace(self, position=position, queues=_REMAKING, queue_messages=-1)

    def uncounted(self) -> Checkpoint:
        """The same, but how many entries the queues have is unknown."""
        return msgspec.structs.replace(self, queues=-1, queue_messages=-1)

    @property
    def common_timestamp(self) -> int:
        """Apache's rule: records stored before this are safe in the log and in the queues."""
        return max(0, min(self.physic_timestamp, self.logics_timestamp) - 3000)


def load(path: Path) -> Checkpoint:
    """The checkpoint at `path`; an empty one where there is none."""
    try:
        content = path.read_bytes()[:_FILE_BYTES].ljust(_FIELDS.size + _CRC.size, b"\0")
    except FileNotFoundError:
        return Checkpoint()
    physic, logics, index, flushed, confirm, position, *rest = _FIELDS.unpack_from(content)
    common = Checkpoint(
        physic_timestamp=physic, logics_timestamp=logics, index_timestamp=index, master_flushed=flushed, confirm=confirm
    )
    (crc,) = _CRC.unpack_from(content, _FIELDS.size)
    if crc != crc32(content[: _FIELDS.size]):
        return common
    index_file, index_count, queues, queue_messages, segment_size = rest
    return msgspec.structs.replace(
        common,
        position=position,
        index_file=index_file,
        index_count=index_count,
        queues=queues,
        queue_messages=queue_messages,
        segment_size=segment_size,
    )


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Writes the file and returns when it is on the disk. Raises OSError."""
    fields = _FIELDS.pack(
        checkpoint.physic_timestamp, checkpoint.logics_timestamp, checkpoint.index_timestamp,
        checkpoint.master_flushed, checkpoint.confirm, checkpoint.position or 0, checkpoint.index_file,
        checkpoint.index_count, checkpoint.queues, checkpoint.queue_messages,
        checkpoint.segment_size,
    )  # fmt: skip
    is_new = not path.exists()
    file = File(path, os.O_RDWR | os.O_CREAT)
    if file.size() != _FILE_BYTES:
        os.ftruncate(file.fd, _FILE_BYTES)
    file.write(0, fields + _CRC.pack(crc32(fields)))
    file.sync()
    if is_new:
        sync_folder(path.parent)
