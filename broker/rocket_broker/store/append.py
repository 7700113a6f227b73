"""Appending: messages become records, the records of one run go to the log in one write, then readers find them.

A run is what one write holds. Nothing changes before it: a run that the disk refuses leaves neither queue offsets nor
index entries behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.dispatch import NOT_QUEUED, Dispatch, Dispatcher
from rocket_broker.store.encoding import batched, encode, record_size, record_sys_flag
from rocket_broker.store.entry_queue import EntryQueue
from rocket_broker.store.errors import StoreError, refused
from rocket_broker.store.values import Outgoing, Put
from rocket_wire import inner_batch, record
from rocket_wire.errors import ProtocolError

#: A clock that is set back by this much or less does not put the log out of order; by more, it was wrong before.
_CLOCK_STEP_MS: Final = 10_000

_Sized = tuple[EntryQueue, int, int]


class _Run:
    """Records that are made and not yet written, the first at position `end` of the log, stored at `timestamp`."""

    __slots__ = ("dispatches", "end", "offsets", "parts", "timestamp")

    def __init__(self, end: int, timestamp: int) -> None:
        self.end = end
        self.timestamp = timestamp
        self.parts: list[bytes] = []
        self.dispatches: list[Dispatch] = []
        self.offsets: dict[EntryQueue, int] = {}


class Appender:
    """Appends to one store. `now_ms` is the wall clock."""

    def __init__(self, log: CommitLog, dispatcher: Dispatcher, now_ms: Callable[[], int]) -> None:
        #: When the newest message was stored, ms.
        self.timestamp = 0
        self._log = log
        self._dispatcher = dispatcher
        self._queues = dispatcher.queues
        self._now_ms = now_ms

    def fits(self, message: Outgoing) -> bool:
        """Whether a segment has room for this message's record at all."""
        queue = self._queues.unlisted(message.topic, message.queue_id)
        size = record_size(message, queue, record_sys_flag(message))
        return size + record.BLANK_BYTES <= self._log.segment_size

    def each(self, messages: Sequence[Outgoing]) -> list[Put | StoreError]:
        """Appends every message that can be, one write for each segment; for each where it is, or why it is refused."""
        results: list[Put | StoreError] = []
        run, begin = self._run(self._log.end), 0
        for message in messages:
            try:
                sized = self._sized(message)
                if run.end + sized[2] + record.BLANK_BYTES > self._log.limit:
                    self._finish(run, results, begin)
                    run, begin = self._run(self._log.end), len(results)
                    run.end = self._log.room(sized[2])
                results.append(self._add(run, message, sized))
            except StoreError as error:
                results.append(error)
        self._finish(run, results, begin)
        return results

    def all(self, messages: Sequence[Outgoing]) -> list[Put]:
        """Appends all or none of `messages` in one write. Raises StoreFull and StoreError."""
        sized = [self._sized(message) for message in messages]
        run = self._run(self._log.room(sum(size for _, _, size in sized)))
        puts = [self._add(run, message, found) for message, found in zip(messages, sized, strict=True)]
        self._write(run)
        return puts

    def batch(self, message: Outgoing, count: int) -> Put:
        """Appends `count` messages, whose batch is the body, as one record. Raises StoreFull and StoreError."""
        try:
            queue = self._dispatcher.batch_queue(message.topic, message.queue_id)
        except ProtocolError as error:
            raise StoreError(str(error)) from None
        except OSError as error:
            raise refused(f"the queues of topic {message.topic} cannot become queues of batches", error) from error
        message = batched(message, count, queue.max_offset)
        _, sys_flag, size = self._sized(message)
        sys_flag |= inner_batch.BITS
        run = self._run(self._log.room(size))
        tags_code = self._dispatcher.tags_code(queue, message.properties, run.timestamp)
        put = Put(run.end, size, queue.max_offset, run.timestamp, tags_code, count)
        run.parts.append(encode(message, queue, put, sys_flag))
        run.dispatches.append((queue, put, sys_flag, message.properties))
        run.end += size
        self._write(run)
        return put

    def _run(self, end: int) -> _Run:
        timestamp = self._now_ms()
        if 0 < self.timestamp - timestamp <= _CLOCK_STEP_MS:
            timestamp = self.timestamp
        self.timestamp = timestamp
        return _Run(end, timestamp)

    def _sized(self, message: Outgoing) -> _Sized:
        """The message's queue, its sysFlag, and how many bytes the record takes."""
        try:
            queue = self._queues.ensure(message.topic, message.queue_id)
        except ProtocolError as error:
            raise StoreError(str(error)) from None
        sys_flag = record_sys_flag(message)
        return queue, sys_flag, record_size(message, queue, sys_flag)

    def _add(self, run: _Run, message: Outgoing, sized: _Sized) -> Put:
        queue, sys_flag, size = sized
        content = message.properties
        offset = 0 if sys_flag & NOT_QUEUED else run.offsets.get(queue, queue.max_offset)
        tags_code = self._dispatcher.tags_code(queue, content, run.timestamp)
        put = Put(run.end, size, offset, run.timestamp, tags_code)
        run.parts.append(encode(message, queue, put, sys_flag))
        run.dispatches.append((queue, put, sys_flag, content))
        run.end += size
        if not sys_flag & NOT_QUEUED:
            run.offsets[queue] = offset + 1
        return put

    def _finish(self, run: _Run, results: list[Put | StoreError], begin: int) -> None:
        """Writes the run; where that fails, none of `results` from number `begin` on is stored."""
        try:
            self._write(run)
        except StoreError as error:
            results[begin:] = [error if isinstance(found, Put) else found for found in results[begin:]]

    def _write(self, run: _Run) -> None:
        parts = run.parts
        if parts:
            self._log.append(parts[0] if len(parts) == 1 else b"".join(parts))
            self._dispatcher.dispatch(run.dispatches)
            self._dispatcher.reached(run.end)
