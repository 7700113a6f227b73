"""Makes the store durable: the log often, queues and index seldom, and the checkpoint that says how far.

Runs in a thread beside puts. That is safe because the log's `end` and `dispatched` move only when what they speak of
is done, because queue tails and waiting index entries are taken by single steps, and because a checkpoint names a
position that was dispatched before its work began.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from rocket_broker.store import checkpoint
from rocket_broker.store.checkpoint import Checkpoint
from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.dispatch import Dispatcher
from rocket_broker.store.errors import refused


class Keeper:
    """Flushes one store. `interval` is the time between checkpoints, ms; `newest` tells the last put's store time."""

    def __init__(self, path: Path, log: CommitLog, dispatcher: Dispatcher, logger: logging.Logger) -> None:
        self.state = checkpoint.load(path)
        self._path = path
        self._log = log
        self._dispatcher = dispatcher
        self._logger = logger
        self._flushing = threading.Lock()
        self._last_checkpoint = 0

    def flush(self, now_ms: int, interval: int, timestamp: int) -> None:
        """Syncs the log; writes queues out; every `interval` ms syncs them, and the index, and saves a checkpoint.

        `timestamp` is the store time of the last message put. Raises OSError when a sync fails.
        """
        with self._flushing:
            self._log.sync()
            self._log.reserve_ahead()
            if now_ms - self._last_checkpoint >= interval:
                self._last_checkpoint = now_ms
                self._save(timestamp, is_last=False)
            else:
                self._write_queues()

    def finish(self, timestamp: int) -> None:
        """The last flush, when nobody puts any more."""
        with self._flushing:
            self._log.sync()
            self._save(timestamp, is_last=True)

    def _save(self, timestamp: int, *, is_last: bool) -> None:
        position = min(self._log.dispatched, self._log.flushed)
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
            queue_messages=sum(queue.max_offset - queue.min_offset for queue in queues) if is_last else -1,
        )
        if state != self.state:
            checkpoint.save(self._path, state)
            self.state = state

    def _write_queues(self) -> bool:
        try:
            self._dispatcher.queues.write_tails()
        except OSError as error:
            self._logger.error("%s", refused("consume queues stay in memory", error))
            return False
        return True

    def _sync_index(self) -> tuple[int, int] | None:
        """The index's last file and its count, durable; None where messages wait because the disk refuses them."""
        index = self._dispatcher.index
        if index is None:
            return 0, 0
        index.dispatch()
        return None if index.is_failing else index.sync()
