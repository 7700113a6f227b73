"""Consume queues: for each queue of a topic, where its messages are in the commit log (protocol section 4.4).

    consumequeue/<topic>/<queue id>/%020d     entries of 20 bytes: 8 position, 4 size, 8 tag code; zeros behind the last
                                              a file's name is the byte its first entry has in the whole queue

A file has its full size from the start, almost all of it a hole, as Apache's broker expects. Where a queue begins in
the middle of a file, the entries before are (0, 2147483647, 0). The files are in `queue_files.py`, what a start makes
of them in `queue_loading.py`.

New entries stay in memory, in the queue's `tail`, until `write_tails`; the log has them all, so nothing is lost if
they never get there. No queue holds a map or a descriptor.

Threads: one thread appends. Any thread may read or write tails out. The appending thread takes no lock: extending a
bytearray and cutting its front are each one step under the interpreter's lock; `_trim` keeps a reader from seeing a
tail that is cut while its `tail_offset` is not yet moved.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rocket_broker.store.errors import refused
from rocket_broker.store.queue_files import QueueFiles
from rocket_broker.store.queue_loading import BLANK_SIZE, ENTRY, ENTRY_BYTES, QueueLoader
from rocket_broker.store.values import Entry, Put
from rocket_wire import record
from rocket_wire.errors import ProtocolError

_BLANK: Final = ENTRY.pack(0, BLANK_SIZE, 0)
_TAIL_BYTES: Final = 256 * 1024
SCHEDULE_TOPIC: Final = "SCHEDULE_TOPIC_XXXX"


class ConsumeQueue:
    """One queue: it has the offsets from `min_offset` up to, not including, `max_offset`."""

    __slots__ = ("is_schedule", "magic", "max_offset", "min_offset", "place", "queue_id", "tail", "tail_offset",
                 "topic", "topic_field")  # fmt: skip

    def __init__(self, topic: str, queue_id: int) -> None:
        self.topic = topic
        self.queue_id = queue_id
        self.place = f"{topic}/{queue_id}"
        self.topic_field = record.topic_field(topic)
        self.magic = record.magic_for(self.topic_field)
        self.is_schedule = topic == SCHEDULE_TOPIC
        self.min_offset = 0
        self.max_offset = 0
        self.tail = bytearray()
        self.tail_offset = 0


class ConsumeQueues:
    """All queues of a store, by topic and queue id, and their files under `folder`."""

    def __init__(self, folder: Path, file_size: int, open_files: int, log: logging.Logger) -> None:
        self.folder = folder
        self.by_topic: dict[str, dict[int, ConsumeQueue]] = {}
        self.damaged: list[ConsumeQueue] = []
        #: The sum of all `max_offset`: how many entries there are, those included that have expired.
        self.count = 0
        self._files = QueueFiles(folder, file_size - file_size % ENTRY_BYTES, open_files)
        self._log = log
        self._unwritten: deque[ConsumeQueue] = deque()
        self._trim = threading.Lock()
        self._writing = threading.Lock()

    def get(self, topic: str, queue_id: int) -> ConsumeQueue | None:
        """The queue, if anything was ever stored in it."""
        queues = self.by_topic.get(topic)
        return None if queues is None else queues.get(queue_id)

    def ensure(self, topic: str, queue_id: int) -> ConsumeQueue:
        """The queue, empty if it is new. Raises ProtocolError for a topic that no record or no folder can be of."""
        queues = self.by_topic.get(topic)
        if queues is None:
            if "/" in topic or "\0" in topic or topic in ("", ".", ".."):
                raise ProtocolError(f"topic {topic!r} cannot name a folder")
            queues = self.by_topic[topic] = {}
        queue = queues.get(queue_id)
        if queue is None:
            queue = queues[queue_id] = ConsumeQueue(topic, queue_id)
        return queue

    def all(self) -> Iterator[ConsumeQueue]:
        """Every queue."""
        for queues in list(self.by_topic.values()):
            yield from list(queues.values())

    # -- appending --------------------------------------------------------------------------------------------------

    def append(self, queue: ConsumeQueue, put: Put) -> None:
        """The entry of a stored message. What the log says about its offset holds, whatever the queue had there."""
        if put.queue_offset != queue.max_offset:
            self._realign(queue, put.queue_offset)
        tail = queue.tail
        tail.extend(ENTRY.pack(put.position, put.size, put.tags_code))
        queue.max_offset += 1
        self.count += 1
        if len(tail) == ENTRY_BYTES:  # asked after the entry is in: whoever empties the tail sees it or we see that
            self._unwritten.append(queue)
        elif len(tail) >= _TAIL_BYTES and self._writing.acquire(blocking=False):
            try:
                self._write_tail(queue)
            except OSError as error:
                self._log.error("%s", refused(f"queue {queue.topic}/{queue.queue_id} stays in memory", error))
            finally:
                self._writing.release()

    def _realign(self, queue: ConsumeQueue, offset: int) -> None:
        """Makes `offset` the next one: an emptied, a deleted and re-created, or a half copied queue goes on there."""
        if offset < queue.max_offset:
            self.truncate(queue, offset)
        elif queue.max_offset == queue.min_offset:
            self._begin_at(queue, offset)
        else:
            self._log.warning(
                "queue %s/%d lacks the offsets %d to %d", queue.topic, queue.queue_id, queue.max_offset, offset - 1
            )
            with self._trim:
                queue.tail.extend(_BLANK * (offset - queue.max_offset))
                self._end_at(queue, offset)
                self._unwritten.append(queue)

    def _begin_at(self, queue: ConsumeQueue, offset: int) -> None:
        within = offset * ENTRY_BYTES % self._files.file_bytes
        with self._trim:
            queue.tail[:] = _BLANK * (within // ENTRY_BYTES)
            queue.tail_offset = offset - within // ENTRY_BYTES
            queue.min_offset = offset
            self._end_at(queue, offset)
            self._unwritten.append(queue)

    def truncate(self, queue: ConsumeQueue, offset: int) -> None:
        """Takes the entries from `offset` on out of the queue."""
        with self._writing, self._trim:
            if offset < queue.tail_offset:
                self._files.cut(queue.place, offset * ENTRY_BYTES)
                queue.tail.clear()
                queue.tail_offset = offset
            else:
                del queue.tail[(offset - queue.tail_offset) * ENTRY_BYTES :]
            self._end_at(queue, offset)
            queue.min_offset = min(queue.min_offset, offset)

    def _end_at(self, queue: ConsumeQueue, offset: int) -> None:
        self.count += offset - queue.max_offset
        queue.max_offset = offset

    # -- reading ----------------------------------------------------------------------------------------------------

    def entries(
        self, queue: ConsumeQueue, offset: int, count: int, *, may_block: bool = True
    ) -> list[tuple[int, int, int]] | None:
        """Up to `count` (position, size, tag code) from `offset` on, at least one where there is one.

        None where the disk would have to be waited for. Raises OSError, also where a file is missing.
        """
        count = min(count, queue.max_offset - offset)
        if count <= 0:
            return []
        with self._trim:
            at = (offset - queue.tail_offset) * ENTRY_BYTES
            if at >= 0:
                return list(ENTRY.iter_unpack(queue.tail[at : at + count * ENTRY_BYTES]))
        start = offset * ENTRY_BYTES
        base = self._files.base_of(start)
        size = min(count * ENTRY_BYTES, -at, base + self._files.file_bytes - start)
        content = self._files.open(queue.place, base).read(start - base, size, may_block=may_block)
        return (
            None if content is None else list(ENTRY.iter_unpack(content[: len(content) // ENTRY_BYTES * ENTRY_BYTES]))
        )

    def end_by(self, queue: ConsumeQueue, position: int) -> int:
        """The first offset whose record does not end by `position` of the log; the queue's end where all do.

        Looks from the queue's end on, where it mostly is. Raises OSError.
        """
        low, high, step = queue.min_offset, queue.max_offset, 1
        while low < high and self._ends_behind(queue, max(low, high - step), position):
            high, step = max(low, high - step), step * 2
        low = max(low, high - step)
        while low < high:
            middle = (low + high) // 2
            if self._ends_behind(queue, middle, position):
                high = middle
            else:
                low = middle + 1
        return high

    def _ends_behind(self, queue: ConsumeQueue, offset: int, position: int) -> bool:
        for begin, size, _ in self.entries(queue, offset, 1) or ():
            return size != BLANK_SIZE and begin + size > position
        return False

    def next_file_offset(self, offset: int) -> int:
        """The first offset of the file behind the one of `offset`."""
        return (self._files.base_of(offset * ENTRY_BYTES) + self._files.file_bytes) // ENTRY_BYTES

    def entry(self, queue: ConsumeQueue, offset: int) -> Entry | None:
        """One entry, None where the queue has none at this offset."""
        if not queue.min_offset <= offset < queue.max_offset:
            return None
        found = self.entries(queue, offset, 1)
        return Entry(*found[0]) if found else None

    # -- writing out ------------------------------------------------------------------------------------------------

    def write_tails(self) -> None:
        """Writes what is in memory to the files. In any thread. Raises OSError; then the rest stays in memory."""
        for _ in range(len(self._unwritten)):
            try:
                queue = self._unwritten.popleft()
            except IndexError:
                return
            try:
                with self._writing:
                    self._write_tail(queue)
            except OSError:
                self._unwritten.append(queue)
                raise

    def _write_tail(self, queue: ConsumeQueue) -> None:
        content = bytes(queue.tail)
        self._files.write(queue.place, queue.tail_offset * ENTRY_BYTES, content)
        with self._trim:
            del queue.tail[: len(content)]
            queue.tail_offset += len(content) // ENTRY_BYTES
        if queue.tail:
            self._unwritten.append(queue)

    def sync(self) -> None:
        """Makes the files durable. Raises OSError."""
        self._files.sync()

    # -- opening, cleaning ------------------------------------------------------------------------------------------

    def load(self, end: int, first: int, limit: int) -> None:
        """Finds every queue. Entries of records at or behind position `end` of the log do not count, and go.

        The log begins at position `first` and ends before `limit`. A queue that is not what it was is not touched, but
        named in `damaged`.
        """
        self._files.delete_rest()
        loader = QueueLoader(self._files, end, first, limit)
        if not self.folder.is_dir():
            return
        for topic in list(os.scandir(self.folder)):
            if topic.is_dir():
                for folder in list(os.scandir(topic.path)):
                    if folder.name.isdigit() and folder.is_dir():
                        self._load(ConsumeQueue(topic.name, int(folder.name)), loader)

    def _load(self, queue: ConsumeQueue, loader: QueueLoader) -> None:
        if not self._files.bases(queue.place):
            return
        offsets = loader.load(queue.place)
        if offsets is None:
            queue.max_offset = loader.end_of_damaged(queue.place)
            self.damaged.append(queue)
        else:
            queue.min_offset = offsets.least
            self._end_at(queue, offsets.end)
            queue.tail_offset = queue.max_offset
            self.by_topic.setdefault(queue.topic, {})[queue.queue_id] = queue

    def drop_damaged(self) -> None:
        """Deletes the files of damaged queues: the log has what is needed to make them again. Raises OSError."""
        for queue in self.damaged:
            for base in self._files.bases(queue.place):
                self._files.unlink(queue.place, base)

    def finish_damaged(self) -> None:
        """Lets queues of which the log has nothing any more go on at the offset where they were."""
        for damaged in self.damaged:
            queue = self.ensure(damaged.topic, damaged.queue_id)
            if not queue.max_offset:
                self._begin_at(queue, damaged.max_offset)
        self.damaged.clear()

    def drop_before(self, position: int) -> None:
        """Corrects every queue's minimum after the log lost what was before `position`, and deletes files without use.

        A queue's last file stays, so that its offsets go on where they were. A file that cannot be deleted stays, too.
        """
        failed: OSError | None = None
        for queue in self.all():
            low, high = queue.min_offset, queue.max_offset
            middle = low
            while low < high:
                if self._is_readable(queue, middle, position):
                    high = middle
                else:
                    low = middle + 1
                middle = (low + high) // 2
            if low == queue.min_offset:
                continue
            queue.min_offset = low
            keep = min(low, max(queue.max_offset - 1, 0)) * ENTRY_BYTES
            try:
                for base in self._files.bases(queue.place):
                    if (
                        base + self._files.file_bytes < keep
                    ):  # so that the first one left has an entry before the minimum
                        self._files.unlink(queue.place, base)
            except OSError as error:  # the ones behind it stay as well: there must be no hole
                failed = error
        if failed is not None:
            self._log.error("files of consume queues cannot be deleted (%s): they go with the next ones", failed)

    def _is_readable(self, queue: ConsumeQueue, offset: int, first: int) -> bool:
        """Whether the entry is of a record at or behind position `first`."""
        try:
            found = self.entries(queue, offset, 1) or [(0, BLANK_SIZE, 0)]
        except FileNotFoundError:
            return False
        return found[0][1] != BLANK_SIZE and found[0][0] >= first

    def delete_topic(self, topic: str) -> None:
        """Removes the topic's queues and their files. Raises OSError; then they are as they were."""
        with self._writing:
            self._files.delete_topic(topic)
            for queue in self.by_topic.pop(topic, {}).values():
                self.count -= queue.max_offset
                queue.tail.clear()

    def close(self) -> None:
        """Lets go of the files."""
        self._files.close()
