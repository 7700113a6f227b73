"""All queues of a store, by topic and queue id, whatever their kind.

Which kind a topic's queues are, `is_batch` says when the topic is new here; from then on its folder does. A record that
holds several messages proves that its topic's queues are of batches: a slave may come to know it by that, before it has
its master's topics. Then what plain queues there are of that topic become such queues (`make_batch`).

Threads: see `entry_queue.py`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from rocket_broker.store.batch_queue import BatchQueue
from rocket_broker.store.consume_queue import ConsumeQueue
from rocket_broker.store.entry_queue import EntryQueue, Shared
from rocket_broker.store.errors import refused
from rocket_broker.store.queue_entries import is_of_record
from rocket_broker.store.queue_files import QueueFiles
from rocket_broker.store.queue_loading import QueueLoader
from rocket_broker.store.values import Put
from rocket_wire.errors import ProtocolError

_CONVERTED_AT_ONCE: Final = 1000


class _Kind(NamedTuple):
    """What makes queues of one kind, and where their files are."""

    make: Callable[[str, int, QueueFiles, Shared], EntryQueue]
    files: QueueFiles


class QueueSizes(NamedTuple):
    """How long files of queues are, bytes, as configured: they hold whole entries. `open_files` of each kind."""

    plain: int
    batch: int
    open_files: int


class ConsumeQueues:
    """The queues of the store in `root`. `is_batch` tells of a topic whether its queues are of batches."""

    def __init__(self, root: Path, sizes: QueueSizes, is_batch: Callable[[str], bool], log: logging.Logger) -> None:
        self.by_topic: dict[str, dict[int, EntryQueue]] = {}
        self.damaged: list[EntryQueue] = []
        self.shared = Shared(log)
        self.is_batch = is_batch
        self._plain = _kind(ConsumeQueue, root, sizes.plain, sizes.open_files)
        self._batch = _kind(BatchQueue, root, sizes.batch, sizes.open_files)
        self._kinds = (self._plain, self._batch)
        self._log = log

    def get(self, topic: str, queue_id: int) -> EntryQueue | None:
        """The queue, if anything was ever stored in it."""
        queues = self.by_topic.get(topic)
        return None if queues is None else queues.get(queue_id)

    def ensure(self, topic: str, queue_id: int) -> EntryQueue:
        """The queue, empty if it is new. Raises ProtocolError for a topic that no record or no folder can be of."""
        queues = self.by_topic.get(topic)
        if queues is None:
            if "/" in topic or "\0" in topic or topic in ("", ".", ".."):
                raise ProtocolError(f"topic {topic!r} cannot name a folder")
            queues = self.by_topic[topic] = {}
        queue = queues.get(queue_id)
        if queue is None:
            kind = self._batch if self.has_batches(topic) else self._plain
            queue = queues[queue_id] = self._made(kind, topic, queue_id)
        return queue

    def has_batches(self, topic: str) -> bool:
        """Whether the topic's queues are, or would be, of batches."""
        known = chain(self.by_topic.get(topic, {}).values(), (each for each in self.damaged if each.topic == topic))
        queue = next(known, None)
        return self.is_batch(topic) if queue is None else isinstance(queue, BatchQueue)

    def unlisted(self, topic: str, queue_id: int) -> EntryQueue:
        """A queue that is none of the store's: of a topic that was deleted."""
        return self._made(self._plain, topic, queue_id)

    def all(self) -> Iterator[EntryQueue]:
        """Every queue."""
        for queues in list(self.by_topic.values()):
            yield from list(queues.values())

    def newest_position(self, topic: str) -> int:
        """Where the newest message of a topic is in the log, -1 where it has none. Raises StoreError."""
        queues = [queue for queue in self.by_topic.get(topic, {}).values() if queue.max_offset > queue.min_offset]
        try:
            entries = [queue.entry(queue.max_offset - 1) for queue in queues]
        except OSError as error:
            raise refused(f"cannot read the queues of topic {topic}", error) from error
        return max((entry[0] for entry in entries if entry is not None), default=-1)

    @property
    def count(self) -> int:
        """The sum of all `max_offset`: how many messages the queues have, those included that have expired."""
        return self.shared.count

    @property
    def are_absent(self) -> bool:
        """Whether there is no folder of any kind."""
        return not any(kind.files.folder.is_dir() for kind in self._kinds)

    def _made(self, kind: _Kind, topic: str, queue_id: int) -> EntryQueue:
        return kind.make(topic, queue_id, kind.files, self.shared)

    # -- from one kind to the other ---------------------------------------------------------------------------------

    def ensure_batch(self, topic: str, queue_id: int, store_time_at: Callable[[int], int | None]) -> EntryQueue:
        """As `ensure`, for a record that holds several messages. Raises OSError as `make_batch`, too."""
        if not isinstance(queue := self.ensure(topic, queue_id), BatchQueue):
            self.make_batch(topic, store_time_at)
            queue = self.by_topic[topic][queue_id]
        return queue

    def make_batches(self, store_time_at: Callable[[int], int | None]) -> None:
        """`make_batch` of every topic whose queues are to be of batches and are not."""
        for topic in [topic for topic in self.by_topic if self.is_batch(topic) and not self.has_batches(topic)]:
            self.make_batch(topic, store_time_at)

    def make_batch(self, topic: str, store_time_at: Callable[[int], int | None]) -> None:
        """Makes a topic's plain queues such of batches, each entry one of one message.

        `store_time_at` tells of a record's position when it was stored. Raises OSError; then they are as they were. A
        kill in the middle leaves fewer entries than the checkpoint knows of, and the next start reads the log again.
        """
        self._log.info("the queues of topic %s become queues of batches", topic)
        plain = list(self.by_topic[topic].values())
        made = {queue.queue_id: self._converted(queue, store_time_at) for queue in plain}
        with self.shared.writing:
            self._plain.files.delete_topic(topic)
            for queue in plain:
                queue.tail.clear()
            self.by_topic[topic] = made
            self.shared.count += sum(each.max_offset for each in made.values()) - sum(each.max_offset for each in plain)

    def _converted(self, plain: EntryQueue, store_time_at: Callable[[int], int | None]) -> EntryQueue:
        aside = Shared(self._log)  # it does not count yet
        queue = self._batch.make(plain.topic, plain.queue_id, self._batch.files, aside)
        offset = plain.min_offset
        queue.go_on_at(offset)
        while found := plain.entries(offset, _CONVERTED_AT_ONCE):
            for number, entry in enumerate(found, offset):
                if is_of_record(entry):
                    position, size, tags_code = entry[:3]
                    queue.append(Put(position, size, number, store_time_at(position) or 0, tags_code))
            offset += len(found)
        queue.shared = self.shared
        self.shared.unwritten.append(queue)
        return queue

    # -- writing out ------------------------------------------------------------------------------------------------

    def write_tails(self) -> None:
        """Writes what is in memory to the files. In any thread. Raises OSError; then the rest stays in memory."""
        unwritten = self.shared.unwritten
        for _ in range(len(unwritten)):
            try:
                queue = unwritten.popleft()
            except IndexError:
                return
            try:
                queue.write_tail()
            except OSError:
                unwritten.append(queue)
                raise

    def sync(self) -> None:
        """Makes the files durable. Raises OSError."""
        for kind in self._kinds:
            kind.files.sync()

    # -- opening, cleaning ------------------------------------------------------------------------------------------

    def load(self, end: int, first: int, limit: int) -> None:
        """Finds every queue. Entries of records at or behind position `end` of the log do not count, and go.

        The log begins at position `first` and ends before `limit`. A queue that is not what it was is not touched, but
        named in `damaged`.
        """
        for kind in self._kinds:
            kind.files.delete_rest()
            for topic, queue_id in list(_folders(kind.files.folder)):
                queue = self._made(kind, topic, queue_id)
                if kind.files.bases(queue.place):
                    if kind is self._batch and (self._plain.files.folder / topic).is_dir():
                        self._drop_plain(topic)
                    self._load(queue, QueueLoader(kind.files, queue.layout, end, first, limit))

    def _load(self, queue: EntryQueue, loader: QueueLoader) -> None:
        if not queue.load(loader):
            self.damaged.append(queue)
        else:
            self.by_topic.setdefault(queue.topic, {})[queue.queue_id] = queue

    def _drop_plain(self, topic: str) -> None:
        """A kill left a topic with queues of both kinds: these were just about to become such of batches."""
        self._plain.files.delete_topic(topic)
        for queue in self.by_topic.pop(topic, {}).values():
            self.shared.count -= queue.max_offset

    def drop_damaged(self) -> None:
        """Deletes the files of damaged queues: the log has what is needed to make them again. Raises OSError."""
        for queue in self.damaged:
            queue.drop_files()

    def finish_damaged(self) -> None:
        """Lets queues of which the log has nothing any more go on at the offset where they were."""
        for damaged in self.damaged:
            queue = self.ensure(damaged.topic, damaged.queue_id)
            if not queue.max_offset:
                queue.go_on_at(damaged.max_offset)
        self.damaged.clear()

    def drop_before(self, position: int) -> None:
        """Corrects every queue's minimum after the log lost what was before `position`, and deletes files without use.

        A file that cannot be deleted stays.
        """
        failed: OSError | None = None
        for queue in self.all():
            if not queue.correct_minimum(position):
                continue
            try:
                queue.drop_unused_files()
            except OSError as error:
                failed = error
        if failed is not None:
            self._log.error("files of consume queues cannot be deleted (%s): they go with the next ones", failed)

    def truncate(self, position: int) -> None:
        """Takes out entries of records that do not end by `position` of the log, and queues that then never had one.

        Raises OSError.
        """
        for queue in list(self.all()):
            queue.truncate(position)
            if not queue.max_offset:
                queue.drop_files()
                del self.by_topic[queue.topic][queue.queue_id]

    def delete_topic(self, topic: str) -> None:
        """Removes the topic's queues and their files. Raises OSError; then they are as they were."""
        with self.shared.writing:
            for kind in self._kinds:
                kind.files.delete_topic(topic)
            for queue in self.by_topic.pop(topic, {}).values():
                self.shared.count -= queue.max_offset
                queue.tail.clear()

    def close(self) -> None:
        """Lets go of the files."""
        for kind in self._kinds:
            kind.files.close()


def _kind(make: type[EntryQueue], root: Path, size: int, open_files: int) -> _Kind:
    width = make.layout.size
    return _Kind(make, QueueFiles(root / make.folder, max(size - size % width, width), open_files))


def _folders(folder: Path) -> Iterator[tuple[str, int]]:
    """Topic and queue id of each folder of a queue."""
    if not folder.is_dir():
        return
    for topic in list(os.scandir(folder)):
        if topic.is_dir():
            for queue in list(os.scandir(topic.path)):
                if queue.name.isdigit() and queue.is_dir():
                    yield topic.name, int(queue.name)
