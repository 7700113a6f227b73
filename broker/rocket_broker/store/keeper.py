"""Makes the store durable: the log often, queues and index seldom, and the checkpoint that says how far.

Runs in a thread beside puts. That is safe because the log's `end` and the dispatcher's `mark` move only when what they
speak of is done, because queue tails and waiting index entries are taken by single steps, and because a checkpoint
names a position that was dispatched before its work began.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rocket_broker.store import checkpoint
from rocket_broker.store.checkpoint import Checkpoint
from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.dispatch import Dispatcher
from rocket_broker.store.errors import is_no_room, refused
from rocket_broker.store.files import sync_folder

#: As much log as this makes a checkpoint due before its time, since a restart after a crash has to read it again.
_CHECKPOINT_BYTES: Final = 256 * 1024 * 1024


class Keeper:
    """Flushes one store, whose checkpoint is at `path`; `state` is what that says."""

    def __init__(self, path: Path, log: CommitLog, dispatcher: Dispatcher, logger: logging.Logger) -> None:
        self.state = checkpoint.load(path)
        self.path = path
        self._log = log
        self._dispatcher = dispatcher
        self._logger = logger
        self._saving = threading.Lock()
        self._last_checkpoint = 0
        self._is_hasty = False
        #: How often queues were deleted.
        self._deletions = 0
        #: How often the log was cut.
        self._cuts = 0
        self._is_failing = False

    def flush(self, now_ms: int, interval: int, timestamp: int) -> None:
        """Syncs the log; writes queues out; every `interval` ms syncs them, and the index, and saves a checkpoint.

        `timestamp` is the store time of the last message put. Raises OSError when a sync fails.
        """
        is_hasty, self._is_hasty = self._is_hasty, False  # before the mark: what comes then is for the next flush
        deletions, cuts = self._deletions, self._cuts
        mark = self._dispatcher.mark
        flushed = self._log.sync()
        self._log.reserve_ahead()
        with self._saving:
            if cuts != self._cuts:  # the mark may be of what is gone
                self.hasten()
                return
            is_late = flushed - (self.state.position or 0) >= _CHECKPOINT_BYTES
            if is_hasty or is_late or now_ms - self._last_checkpoint >= interval:
                self._last_checkpoint = now_ms
                self._save(mark if deletions == self._deletions else (mark[0], -1), timestamp, is_last=False)
            else:
                self._write_queues()

    @contextmanager
    def deleting(self) -> Iterator[None]:
        """Queues go meanwhile: until the next checkpoint, which the next flush saves, no start counts their entries.

        A kill just after would make it read the whole log, and bring back what was deleted. Raises OSError.
        """
        with self._saving:
            if self.state.queue_messages >= 0:
                self._save_state(self.state.uncounted())
            try:
                yield
            finally:
                self._dispatcher.reached(self._dispatcher.position)
                self._deletions += 1  # behind the new mark: a flush that had the old one counts nothing
                self.hasten()

    @contextmanager
    def cutting(self, position: int) -> Iterator[None]:
        """The log, and what queues and index know of it, is cut at `position` meanwhile. Raises OSError.

        A checkpoint of a later position would hold of a log that is gone; an earlier one holds as before.
        """
        with self._saving:
            if (self.state.position or 0) > position:
                self.distrust(position)
            try:
                yield
            finally:
                self._cuts += 1
                self.hasten()

    def hasten(self) -> None:
        """The next flush saves a checkpoint, whatever the interval."""
        self._is_hasty = True

    def finish(self, timestamp: int) -> None:
        """The last flush, when nobody puts any more."""
        self._log.sync()
        with self._saving:
            self._save(self._dispatcher.mark, timestamp, is_last=True)

    def distrust(self, position: int) -> None:
        """Queues and index are about to be made again: until the next checkpoint no start relies on what they hold.

        The log is whole up to `position`. On the disk when it returns; where there is no room to say it, the checkpoint
        goes, which says the same. Raises OSError.
        """
        self.state = self.state.remaking(position)
        try:
            checkpoint.save(self.path, self.state)
        except OSError as error:
            if not is_no_room(error):
                raise
            self.path.unlink(missing_ok=True)
            sync_folder(self.path.parent)

    def _save(self, mark: tuple[int, int], timestamp: int, *, is_last: bool) -> None:
        """`mark`: what was dispatched before the log was synced; -1 entries where nobody knows how many."""
        log = self._log
        position, entries = mark if log.limit > log.first else (0, 0)  # 0: there is no segment yet
        index_state = self._sync_index()
        if not self._write_queues() or index_state is None:
            return
        self._dispatcher.queues.sync()
        queues = list(self._dispatcher.queues.all()) if is_last else []
        state = Checkpoint(
            physic_timestamp=timestamp,
            logics_timestamp=timestamp,
            index_timestamp=timestamp,
            master_flushed=self.state.master_flushed,
            confirm=self._log.flushed,
            position=position,
            index_file=index_state[0],
            index_count=index_state[1],
            queues=len(queues) if is_last else -1,
            queue_messages=sum(queue.max_offset - queue.min_offset for queue in queues) if is_last else entries,
            segment_size=log.segment_size,
        )
        if state != self.state:
            self._save_state(state)

    def _save_state(self, state: Checkpoint) -> None:
        try:
            checkpoint.save(self.path, state)
        except OSError as error:
            if not is_no_room(error):
                raise
            self._failed("the checkpoint stays where it was", error)
        else:
            self.state = state
            self._is_failing = False

    def _failed(self, what: str, error: OSError) -> None:
        if not self._is_failing:
            self._is_failing = True
            self._logger.error("%s", refused(what, error))

    def _write_queues(self) -> bool:
        try:
            self._dispatcher.queues.write_tails()
        except OSError as error:
            self._failed("consume queues stay in memory", error)
            return False
        return True

    def _sync_index(self) -> tuple[int, int] | None:
        """The index's last file and its count, durable; None where messages wait because the disk refuses them."""
        index = self._dispatcher.index
        if index is None:
            return 0, 0
        index.dispatch()
        return None if index.is_failing else index.sync()
