"""What a start does with what the last stop, or the lack of one, left behind.

    1  from where       the checkpoint's position, if it is ours; else Apache's rule by time; else the log's first byte
    2  queues, index    go back to that position: what they say of later records is not trusted
    3  scan             every later record is checked (magic, lengths, CRC, its own position) and dispatched again
    4  the end          is where the first thing is that is no record; the rest becomes zeros

Where a queue turns out to lack entries of records before that position, or the index its files, everything is read
again from the log's first byte: the log alone is enough to make the rest, but for which topics were deleted
(deletions.py). The checkpoint says so first, since a process that dies in the middle leaves queues which look whole
and are not.

After a clean stop the checkpoint's position is the log's end, and none of this reads more than a few bytes a queue.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from rocket_broker.store.checkpoint import Checkpoint
from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.deletions import Deletions
from rocket_broker.store.dispatch import NOT_QUEUED, Dispatcher
from rocket_broker.store.errors import StoreError, refused
from rocket_broker.store.keeper import Keeper
from rocket_broker.store.log_scan import LogScan
from rocket_broker.store.requeue import Requeue, Short
from rocket_wire import record
from rocket_wire.errors import ProtocolError

_PROGRESS_BYTES: Final = 256 * 1024 * 1024
_TOLD_BYTES: Final = 1024 * 1024

Progress = Callable[[int, int, int], None]
"""Positions: where reading began, how far it is, where the log ends at most."""


@dataclass(slots=True)
class Recovery:
    """One start. `is_clean`: the last stop was in order."""

    log: CommitLog
    dispatcher: Dispatcher
    keeper: Keeper
    deletions: Deletions
    is_clean: bool
    logger: logging.Logger
    progress: Progress | None = None
    timestamp: int = 0
    checkpoint: Checkpoint = field(init=False)
    #: The first and the next position of what was passed over last.
    _damaged: tuple[int, int] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.checkpoint = self.keeper.state  # what the last process said; the keeper's own moves on

    def run(self) -> None:
        """Brings log, queues and index to agree; then `timestamp` is when the last record was stored, ms.

        Raises StoreError where the log's files cannot be a log, and OSError.
        """
        bases = self.log.load(self.checkpoint.segment_size)
        start = self._start(bases)
        if bases and start != self.checkpoint.position:
            self._distrust()
        self._go_back(start)
        if not self._agrees(start):
            self._distrust()
            start = self.log.first
        self.dispatcher.queues.drop_damaged()
        self.timestamp = self.checkpoint.physic_timestamp if start else 0
        try:
            end = self._scan(start)
        except Short as short:
            self.logger.warning("%s: reading the whole log again", short)
            self._distrust()
            end = self._scan(self.log.first)
        if bases:
            if end < (self.checkpoint.position or 0):  # or the next start would go on in the middle of what comes now
                self.keeper.distrust(end)
            if self._damaged is not None and self._damaged[1] == end:
                self.log.deface(*self._damaged)
            self._settle(end, is_untouched=self.is_clean and end == start)
            self.log.flushed = min(start, end)  # who knows what the last process had synced
        self.dispatcher.queues.drop_before(self.log.first)
        self.dispatcher.make_batches()
        self.dispatcher.reached(self.log.end)

    def _distrust(self) -> None:
        self.keeper.distrust(min(self.checkpoint.position or 0, self.log.end))

    def _start(self, bases: list[int]) -> int:
        """From which position on nothing is taken for granted."""
        log, position = self.log, self.checkpoint.position
        if not bases:
            if position:
                raise StoreError(
                    f"{log.folder} holds no segment, but the log had reached {position}: bring it back, or delete "
                    f"{self.keeper.path} to start empty"
                )
            return log.first
        if self.checkpoint.is_remaking or self.dispatcher.queues.are_absent:
            return log.first
        if position is not None and log.first <= position <= log.end:
            return position
        if position is not None:
            self.logger.error(
                "the log has %d to at most %d, but had reached %d: something of it is lost",
                log.first,
                log.end,
                position,
            )
            return log.first
        for base in reversed(bases):
            first = next(iter(LogScan(log, base)), None)
            if first is not None and 0 < first.store_timestamp <= self.checkpoint.common_timestamp:
                return base
        return log.first

    def _go_back(self, start: int) -> None:
        index = self.dispatcher.index
        self.dispatcher.queues.load(start, self.log.first, self.log.end)
        self.dispatcher.queues.drop_before(self.log.first)
        if index is None:
            return
        index.load()
        if start == self.checkpoint.position and not self.is_clean:
            index.undo(self.checkpoint.index_file, self.checkpoint.index_count)
        elif start == self.log.first and (self.checkpoint.is_remaking or not self.is_clean):
            index.clear()

    def _agrees(self, start: int) -> bool:
        """Whether queues and index are as complete as the checkpoint says."""
        if not self._index_agrees(start):
            self.logger.warning("making the index again: reading the whole log")
            assert self.dispatcher.index is not None
            self.dispatcher.index.clear()
            return False
        if self.dispatcher.queues.damaged:
            self.logger.warning("a consume queue lacks files or parts of them: reading the whole log again")
            return False
        checkpoint = self.checkpoint
        if start != checkpoint.position or checkpoint.queue_messages < 0:
            return True
        if checkpoint.queues < 0:
            return self._has_entries(checkpoint.queue_messages)
        queues = list(self.dispatcher.queues.all())
        messages = sum(queue.max_offset - queue.min_offset for queue in queues)
        if (len(queues), messages) == (checkpoint.queues, checkpoint.queue_messages):
            return True
        self.logger.warning(
            "there are %d queues with %d messages, the checkpoint knows of %d with %d: reading the whole log again",
            len(queues), messages, checkpoint.queues, checkpoint.queue_messages,
        )  # fmt: skip
        return False

    def _has_entries(self, wanted: int) -> bool:
        """Whether the queues have so many entries of records before the checkpoint's position."""
        if self.dispatcher.queues.count == wanted:
            return True
        self.logger.warning(
            "the queues have %d entries, the checkpoint knows of %d: reading the whole log again",
            self.dispatcher.queues.count, wanted,
        )  # fmt: skip
        return False

    def _index_agrees(self, start: int) -> bool:
        index, checkpoint = self.dispatcher.index, self.checkpoint
        if index is None:
            return True
        if index.strange:
            self.logger.warning("a file of the index is not what it was: %s", index.strange[0])
            return False
        newest = (index.files[-1].name, index.files[-1].count) if index.files else (0, 0)
        if start == checkpoint.position:
            is_it = newest == (checkpoint.index_file, checkpoint.index_count)
        else:
            is_it = start == self.log.first or newest != (0, 0)
        if not is_it:
            self.logger.warning("the index lacks files or parts of them")
        return is_it

    def _scan(self, start: int) -> int:
        """Dispatches every record from `start` on; returns where they end."""
        index = self.dispatcher.index
        if index is not None:
            index.dispatch()
        indexed = index.end_position if index is not None else -1
        requeue = Requeue(self.log.first, self.logger, is_whole=start == self.log.first)
        scan = self._log_scan(start, requeue)
        progress, told = start + _PROGRESS_BYTES, start
        for message in scan:
            self._dispatch(message, requeue, indexed)
            self.timestamp = message.store_timestamp
            if self.progress is not None and scan.position >= told:
                told = scan.position + _TOLD_BYTES
                self.progress(start, scan.position, self.log.end)
            if scan.position >= progress:
                self.logger.info("recovery has read the log up to %d of at most %d", scan.position, self.log.end)
                self._write_queues()
                progress = scan.position + _PROGRESS_BYTES
        requeue.finish()
        self.dispatcher.queues.finish_damaged()
        return scan.position

    def _log_scan(self, start: int, requeue: Requeue) -> LogScan:
        trusted = min(self.checkpoint.position or 0, self.log.end)

        def damaged(begin: int, end: int) -> None:
            requeue.damaged_bytes += end - begin
            self._damaged = (begin, end)
            self.logger.error("the log is damaged from position %d to %d: what was stored there is lost", begin, end)

        return LogScan(self.log, start, trusted, damaged)

    def _dispatch(self, message: record.Message, requeue: Requeue, indexed: int) -> None:
        is_deleted = self.deletions.has(message.topic, message.position)
        try:
            if is_deleted:  # the index knows it as before, no queue does
                queue = self.dispatcher.queues.unlisted(message.topic, message.queue_id)
            else:
                queue = self.dispatcher.queue_of(message)
        except ProtocolError as error:
            self.logger.error("the record at position %d is left out: %s", message.position, error)
            return
        put = self.dispatcher.put_of(queue, message)
        if not is_deleted and not message.sys_flag & NOT_QUEUED:
            requeue.enqueue(queue, put)
        if message.position > indexed:
            self.dispatcher.add_to_index(((queue, put, message.sys_flag, message.properties),))

    def _write_queues(self) -> None:
        try:
            self.dispatcher.queues.write_tails()
        except OSError as error:
            self.logger.error("%s", refused("consume queues stay in memory", error))

    def _settle(self, end: int, *, is_untouched: bool) -> None:
        """The log goes on at `end`. What is behind it would be taken for records once new ones reach up to it."""
        if not is_untouched:
            self.log.cut(end)
        else:
            self.log.go_on_at(end)
