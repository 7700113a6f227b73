"""The message store: append, then dispatch; read; recover (protocol section 4, design section 5).

A put builds the record's bytes once and appends them to the commit log; only then the consume queue and the index
learn of it, by `Dispatcher`, which recovery and replication use too. What put() returned is in the kernel and survives
the process; what `flushed_position` covers survives the machine.

Threads: one thread calls what changes the store (put, append_replica, delete_topic, trim). `flush`,
`sync_log`, `cleaner` and reads with may_block=True may run in others at the same time.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import islice

from rocket_broker.store.append import Appender
from rocket_broker.store.choosing import Wish
from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.consume_queues import ConsumeQueues, QueueSizes
from rocket_broker.store.deletions import Deletions
from rocket_broker.store.directory_lock import DirectoryLock
from rocket_broker.store.dispatch import Dispatcher
from rocket_broker.store.entry_queue import EntryQueue
from rocket_broker.store.errors import StoreError, is_no_room, refused
from rocket_broker.store.files import make_folder, sync_file_system, sync_folder
from rocket_broker.store.index import Index
from rocket_broker.store.keeper import Keeper
from rocket_broker.store.log_scan import LogScan
from rocket_broker.store.matching import matches
from rocket_broker.store.reading import Reader, WouldBlock, outside
from rocket_broker.store.recovery import Progress, Recovery
from rocket_broker.store.replica import Replica
from rocket_broker.store.retention import Cleaner
from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.values import Arrival, GetStatus, Got, Outgoing, Put
from rocket_wire import record

__all__ = ["Arrival", "GetStatus", "Got", "MessageStore", "Outgoing", "Put"]


class MessageStore:
    """The messages of one broker. Made by `open`, ended by `close`."""

    def __init__(
        self, settings: StoreSettings, now_ms: Callable[[], int], log: logging.Logger, is_batch: Callable[[str], bool]
    ) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._logger = log
        self._log = CommitLog(settings.commitlog_path, settings.segment_size, settings.open_files, log)
        sizes = QueueSizes(settings.queue_file_size, settings.batch_queue_file_size, settings.open_files)
        self._queues = ConsumeQueues(settings.root, sizes, is_batch, log)
        self._index = (
            Index(settings.root / "index", settings.max_hash_slots, settings.max_index_entries, log)
            if settings.index_enable
            else None
        )
        self._reader = Reader(self._log, log)
        self._dispatcher = Dispatcher(self._queues, self._index, settings.delay_levels, self._reader.store_time_at)
        self._appender = Appender(self._log, self._dispatcher, now_ms)
        self._replica = Replica(self._log, self._dispatcher)
        self._deletions = Deletions(settings.root, log)
        self._keeper = Keeper(settings.root / "checkpoint", self._log, self._dispatcher, log)
        self.cleaner = Cleaner(settings.retention, self._log, self._reader, self._checkpoint, log)
        #: Up to where readers see the log, bytes. Where a sync set decides, what it does not have yet is not seen.
        self.readable_end = sys.maxsize
        self._trimmed = 0
        self._lock: DirectoryLock | None = None

    @classmethod
    def open(
        cls,
        settings: StoreSettings,
        *,
        now_ms: Callable[[], int],
        log: logging.Logger,
        progress: Progress | None = None,
        is_batch: Callable[[str], bool] = lambda topic: False,
    ) -> MessageStore:
        """Locks the folder and recovers what is in it. Raises StoreLocked, StoreError, OSError.

        `progress` is told now and then which part of the log is read: its begin, how far, and where it ends at most.
        `is_batch` says of a topic that has no queues yet whether they are to be of batches, see `kinds_are`.
        """
        make_folder(settings.root)
        lock = DirectoryLock(settings.root, now_ms())
        store = cls(settings, now_ms, log, is_batch)
        try:
            store._recover(progress)
        except BaseException:
            lock.release()
            raise
        store._lock = lock
        return store

    def _recover(self, progress: Progress | None) -> None:
        abort = self._settings.root / "abort"
        is_clean = not abort.exists()
        try:
            abort.touch()
            sync_folder(self._settings.root)
        except OSError as error:
            if not is_no_room(error):
                raise
            self._logger.error("%s", refused("no room for the file that tells of an unclean stop", error))
        self._deletions.load()
        recovery = Recovery(
            self._log, self._dispatcher, self._keeper, self._deletions, is_clean, self._logger, progress
        )
        recovery.run()
        self._deletions.end_at(self._log.end)
        self._appender.timestamp = recovery.timestamp
        self._trimmed = self._log.first
        if not is_clean:  # who knows what names and which bytes of its files the last process had synced
            sync_file_system(self._settings.root)
            if self._log.folder.is_dir():
                sync_file_system(self._log.folder)
        self._keeper.flush(self._now_ms(), 0, recovery.timestamp)
        self._logger.info(
            "the store has positions %d to %d (last stop was %s)",
            self._log.first, self._log.end, "clean" if is_clean else "not clean",
        )  # fmt: skip

    def close(self) -> None:
        """Makes everything durable and gives the folder back. Raises OSError when that cannot be done."""
        if self._lock is None:
            return
        self._keeper.finish(self._newest_timestamp)
        self._log.close()
        self._queues.close()
        (self._settings.root / "abort").unlink(missing_ok=True)
        sync_folder(self._settings.root)
        self._lock.release()
        self._lock = None

    # -- putting ----------------------------------------------------------------------------------------------------

    def fits(self, message: Outgoing) -> bool:
        """Whether a segment has room for this message's record at all."""
        return self._appender.fits(message)

    def put(self, message: Outgoing) -> Put:
        """Appends one message; when this returns, the kernel has it. Raises StoreFull and StoreError."""
        (put,) = self._appender.each((message,))
        if isinstance(put, StoreError):
            raise put
        return put

    def put_each(self, messages: Sequence[Outgoing]) -> list[Put | StoreError]:
        """`put` of each, in as few writes as can be: where it is, or why it is refused."""
        return self._appender.each(messages)

    def put_many(self, messages: Sequence[Outgoing]) -> list[Put]:
        """Appends all or none of `messages` in one write. Raises StoreFull and StoreError."""
        return self._appender.all(messages)

    def put_batch(self, message: Outgoing, count: int) -> Put:
        """Appends `count` messages as one record, whose body is their batch. Raises StoreFull and StoreError.

        The topic's queues are, or become, queues of batches.
        """
        return self._appender.batch(message, count)

    def kinds_are(self, is_batch: Callable[[str], bool]) -> None:
        """From now on `is_batch` is asked of which kind a topic's first queue is."""
        self._queues.is_batch = is_batch

    def has_batches(self, topic: str) -> bool:
        """Whether the topic's queues are of batches, or will be."""
        return self._queues.has_batches(topic)

    # -- reading ----------------------------------------------------------------------------------------------------

    def get(
        self, topic: str, queue_id: int, offset: int, *, max_messages: int, max_bytes: int,
        tags: frozenset[int] | None, may_block: bool = False,
    ) -> Got | None:  # fmt: skip
        """Records of a queue from `offset` on: up to `max_messages` and `max_bytes`, the first whatever its size.

        A record that holds several messages comes as a whole, `offset` may be inside of it. Only messages whose tag
        code is in `tags`, where given. None where the disk would have to be waited for: ask again with may_block=True,
        in a thread. Raises StoreError when the disk fails.
        """
        queue = self._queues.get(topic, queue_id)
        high = 0 if queue is None else self._readable(queue)
        got = outside(queue, offset, high)
        if got is not None or queue is None:
            return got
        try:
            wish = Wish(max_messages, max_bytes, tags)
            return self._reader.get(queue, offset, high, wish, may_block=may_block)
        except WouldBlock:
            return None

    def max_offset(self, topic: str, queue_id: int) -> int:
        """The offset that the next message gets of those that readers see; 0 for a queue that never had one."""
        queue = self._queues.get(topic, queue_id)
        return 0 if queue is None else self._readable(queue)

    def _readable(self, queue: EntryQueue) -> int:
        """Where the queue ends for readers. Raises StoreError."""
        if self._log.end <= self.readable_end:
            return queue.max_offset
        try:
            return queue.end_by(self.readable_end)
        except OSError as error:
            raise refused(f"cannot read queue {queue.topic}/{queue.queue_id}", error) from error

    def min_offset(self, topic: str, queue_id: int) -> int:
        """The queue's first offset that can still be read; 0 for a queue that never had one."""
        queue = self._queues.get(topic, queue_id)
        return 0 if queue is None else queue.min_offset

    @property
    def min_position(self) -> int:
        """The first position of the commit log that is still there, bytes."""
        return self._log.first

    @property
    def max_position(self) -> int:
        """Where the commit log ends, bytes."""
        return self._log.end

    @property
    def flushed_position(self) -> int:
        """Up to where the commit log is on the disk, bytes."""
        return self._log.flushed

    def queues(self) -> list[tuple[str, int]]:
        """Topic and queue id of every queue that ever had a message."""
        return [(queue.topic, queue.queue_id) for queue in self._queues.all()]

    def held_queues(self, topic: str) -> list[int]:
        """Ids of the topic's queues that hold messages, in order."""
        queues = self._queues.by_topic.get(topic, {})
        return sorted(queue.queue_id for queue in queues.values() if queue.max_offset > queue.min_offset)

    def has_since(self, topic: str, position: int) -> bool:
        """Whether the topic has a message at or behind `position`. May wait for the disk. Raises StoreError."""
        return self._queues.newest_position(topic) >= position

    def queue_entries(self, topic: str, queue_id: int, offset: int, max_entries: int) -> list[tuple[int, int, int]]:
        """(position, size, tag code) from `offset` on, none only at the queue's end and where a file of it is missing.

        Of `max_entries` messages: as many entries, but in a queue of batches. May wait for the disk. Raises StoreError.
        """
        queue = self._queues.get(topic, queue_id)
        found = [] if queue is None else self._reader.entries(queue, offset, max_entries, may_block=True)
        return [(position, size, tags_code) for position, size, tags_code, *_ in found]

    def look_up(self, position: int, size: int | None = None) -> bytes | None:
        """The record at `position`, None where none begins. May wait for the disk. Raises StoreError."""
        return self._reader.record(position, size)

    def store_time(self, topic: str, queue_id: int, offset: int) -> int | None:
        """When the message at `offset` was stored, ms; None where there is none (any more)."""
        queue = self._queues.get(topic, queue_id)
        return None if queue is None else self._reader.store_time(queue, offset)

    def earliest_store_time(self, topic: str, queue_id: int) -> int | None:
        """When the queue's first message was stored, ms; None where it has none."""
        return self.store_time(topic, queue_id, self.min_offset(topic, queue_id))

    def earliest_log_time(self) -> int | None:
        """When the log's first message was stored, ms; None where it has none."""
        return self._reader.store_time_at(self._log.first)

    def offset_by_time(self, topic: str, queue_id: int, timestamp: int, upper: bool = False) -> int:
        """The first offset stored at `timestamp` (ms) or later, the queue's end where there is none.

        With `upper` the last offset stored at `timestamp` or earlier, the queue's first where there is none.
        """
        queue = self._queues.get(topic, queue_id)
        return 0 if queue is None else self._reader.offset_by_time(queue, timestamp, upper=upper)

    def query(self, topic: str, key: str, max_messages: int, begin: int, end: int) -> list[bytes]:
        """Records of `topic` with this unique key or word in KEYS, stored from `begin` to `end` (ms); newest first.

        None are found where the index is switched off. May wait for the disk. Raises StoreError.
        """
        if self._index is None:
            return []
        try:
            positions = self._index.find(topic, key, begin, end, 4 * max_messages)
        except OSError as error:
            raise refused("cannot read the index", error) from error
        found = (self._reader.record(position) for position in positions)
        wanted = (content for content in found if content is not None and matches(content, topic, key, begin, end))
        return list(islice(wanted, max_messages))

    # -- replication ------------------------------------------------------------------------------------------------

    def read_log(self, position: int, max_bytes: int, *, may_block: bool = False) -> bytes | None:
        """Raw bytes of the log from `position` on, none at its end. None where the disk must be waited for.

        Raises StoreError for a position that is not in the log.
        """
        if position == self._log.end:
            return b""
        content = self._log.read(position, max_bytes, may_block=may_block)
        return None if content is None else bytes(content)

    def append_replica(self, position: int, content: bytes) -> None:
        """Appends raw bytes of a master's log; records become readable as soon as they are whole.

        `position` must be `max_position`. Raises StoreFull and StoreError; StoreError also where the bytes are no
        records, and then the log is cut behind the last one that is; OSError where that cannot be synced.
        """
        self._replica.append(position, content)

    def drop_partial(self) -> None:
        """Cuts off the beginning of a record whose rest never came: a slave does so before it takes over.

        Raises OSError, and StoreError where a queue refuses what came as a whole; then nothing is cut.
        """
        self._replica.drop_partial()

    def records(self, position: int) -> Iterator[record.Message]:
        """The whole records from `position` on, where one begins. May wait for the disk. Raises StoreError."""
        return iter(LogScan(self._log, position))

    def truncate(self, position: int) -> None:
        """Cuts off what is behind `position`, where a record begins: another master never had it. Raises OSError.

        Whatever ends the process in the middle, the next start finds the log as it was or cut, and all else by it.
        """
        with self._keeper.cutting(position):
            if self._index is not None:
                self._index.cut(position)
            self._queues.truncate(position)
            self._deletions.end_at(position)
            self._replica.cut(position)

    def reset_to(self, position: int) -> None:
        """Lets an empty log begin at `position`, where a segment of the master's begins. Raises StoreError."""
        self._log.begin_at(position)
        self._dispatcher.reached(position)

    def take_arrivals(self) -> list[Arrival]:
        """The messages that came by replication since the last call."""
        return self._replica.take_arrivals()

    # -- durability -------------------------------------------------------------------------------------------------

    def sync_log(self) -> int:
        """Makes every record appended before the call durable; returns the log's position up to where. In any thread.

        Raises OSError; then nobody can say what is on the disk, and the process should end.
        """
        return self._log.sync()

    def flush(self) -> None:
        """`sync_log`, and now and then queues, index and checkpoint too. In any thread. Raises OSError as sync_log."""
        self._keeper.flush(self._now_ms(), self._settings.checkpoint_interval, self._newest_timestamp)

    def _checkpoint(self) -> int:
        """Makes one now; the position from which the next start reads. Raises OSError when a sync fails."""
        self._keeper.flush(self._now_ms(), 0, self._newest_timestamp)
        return self._keeper.state.position or 0

    @property
    def _newest_timestamp(self) -> int:
        return max(self._appender.timestamp, self._replica.last_timestamp)

    # -- deleting ---------------------------------------------------------------------------------------------------

    def delete_topic(self, topic: str) -> None:
        """Removes the topic's queues; its records stay in the log until that is deleted. Raises StoreError."""
        try:
            with self._keeper.deleting():
                self._queues.delete_topic(topic)
                self._deletions.add(topic, self._dispatcher.position, self._log.first)
        except OSError as error:
            raise refused(f"cannot delete the queues of topic {topic}", error) from error

    def delete_expired(self, now_ms: int, *, at_any_hour: bool = False) -> int:
        """Both steps of retention: `cleaner.delete`, which takes a thread of its own, and `trim`. Counts segments."""
        deleted = self.cleaner.delete(now_ms, at_any_hour=at_any_hour)
        self.trim()
        return deleted

    def trim(self) -> None:
        """Lets queues and index begin where the log does."""
        first = self._log.first
        if first > self._trimmed:
            self._trimmed = first
            self._queues.drop_before(first)
            if self._index is not None:
                self._index.drop_before(first)
            self._logger.info("expired segments are deleted: the log begins at %d", first)

    def delete_unused_topics(self, known: Container[str]) -> list[str]:
        """Removes the queues of topics that are not `known`, and names them."""
        unused = [topic for topic in self._queues.by_topic if topic not in known]
        for topic in unused:
            self.delete_topic(topic)
        return unused
