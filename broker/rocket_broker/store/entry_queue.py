"""What all kinds of queues have in common: entries of one size, in files, and the newest of them in memory.

New entries stay in memory, in the queue's `tail`, until `write_tail`; the log has them all, so nothing is lost if they
never get there. No queue holds a map or a descriptor.

Threads: one thread appends. Any thread may read or write tails out. The appending thread takes no lock: extending a
bytearray and cutting its front are each one step under the interpreter's lock; `Shared.trim` keeps a reader from seeing
a tail that is cut while its `tail_start` is not yet moved.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from struct import Struct
from typing import ClassVar, Final

from rocket_broker.store.choosing import Choice, Wish
from rocket_broker.store.errors import refused
from rocket_broker.store.queue_entries import Unpacked, is_of_record
from rocket_broker.store.queue_files import QueueFiles
from rocket_broker.store.queue_loading import QueueLoader
from rocket_broker.store.values import Put
from rocket_wire import record
from rocket_wire.topic_names import SCHEDULE_TOPIC

#: So much of a queue waits in memory; then it is written out without being asked.
TAIL_BYTES: Final = 256 * 1024


class Shared:
    """What all queues of one store share. `count` is the sum of their `max_offset`."""

    __slots__ = ("count", "log", "trim", "unwritten", "writing")

    def __init__(self, log: logging.Logger) -> None:
        self.count = 0
        self.log = log
        self.unwritten: deque[EntryQueue] = deque()
        self.trim = threading.Lock()
        self.writing = threading.Lock()


class EntryQueue(ABC):
    """One queue of a topic: it has the offsets from `min_offset` up to, not including, `max_offset`."""

    __slots__ = ("files", "is_schedule", "magic", "max_offset", "min_offset", "place", "queue_id", "shared", "tail",
                 "tail_start", "topic", "topic_field")  # fmt: skip

    #: Of an entry.
    layout: ClassVar[Struct]
    #: Below the store's folder.
    folder: ClassVar[str]

    def __init__(self, topic: str, queue_id: int, files: QueueFiles, shared: Shared) -> None:
        self.topic = topic
        self.queue_id = queue_id
        self.place = f"{topic}/{queue_id}"
        self.topic_field = record.topic_field(topic)
        self.magic = record.magic_for(self.topic_field)
        self.is_schedule = topic == SCHEDULE_TOPIC
        self.min_offset = 0
        self.max_offset = 0
        self.files = files
        self.shared = shared
        self.tail = bytearray()
        #: The number of the first entry in `tail`: the entries before it are in files.
        self.tail_start = 0

    # -- what differs -----------------------------------------------------------------------------------------------

    @abstractmethod
    def append(self, put: Put) -> None:
        """The entry of a stored record. What the log says about its offset holds, whatever the queue had there."""

    @abstractmethod
    def entries(self, offset: int, messages: int, *, may_block: bool = True) -> list[Unpacked] | None:
        """The entries of up to so many messages from `offset` on, at least one where there is one.

        None where the disk would have to be waited for. Raises OSError, also where a file is missing.
        """

    @abstractmethod
    def entry(self, offset: int) -> Unpacked | None:
        """The entry of the message at `offset`; None where there is none. Raises OSError."""

    @abstractmethod
    def choose(self, offset: int, entries: list[Unpacked], wish: Wish, first: int) -> Choice:
        """What to read of the log, which begins at `first`, for entries that were asked for from `offset` on."""

    @abstractmethod
    def offsets_of(self, entries: list[Unpacked], offset: int) -> Iterable[int]:
        """Where each of these entries begins, which were asked for from `offset` on."""

    @abstractmethod
    def next_file_offset(self, offset: int) -> int:
        """Where to go on when the file is missing that has `offset`."""

    @abstractmethod
    def go_on_at(self, offset: int) -> None:
        """Lets an empty queue go on at `offset`, after a restart too."""

    @property
    @abstractmethod
    def first_number(self) -> int:
        """The number of the entry that `min_offset` is in."""

    @abstractmethod
    def _begin_with(self, number: int) -> None:
        """The entries before this number are of no record any more."""

    @abstractmethod
    def offset_behind(self, number: int) -> int:
        """The offset that follows the last message of the entry before `number`; 0 where there is none."""

    # -- reading and cutting ----------------------------------------------------------------------------------------

    @property
    def end_number(self) -> int:
        """The number of the entry that comes next."""
        with self.shared.trim:
            return self.tail_start + len(self.tail) // self.layout.size

    def read(self, number: int, count: int, *, may_block: bool = True) -> list[Unpacked] | None:
        """Up to `count` entries from entry `number` on, at least one where there is one. As `entries` else."""
        layout, files = self.layout, self.files
        width = layout.size
        with self.shared.trim:
            at = (number - self.tail_start) * width
            if at >= 0:
                return list(layout.iter_unpack(self.tail[at : at + count * width]))
        start = number * width
        base = files.base_of(start)
        size = min(count * width, -at, base + files.file_bytes - start)
        content = files.open(self.place, base).read(start - base, size, may_block=may_block)
        return None if content is None else list(layout.iter_unpack(content[: len(content) // width * width]))

    def end_by(self, position: int) -> int:
        """The offset behind the last message whose record ends by `position` of the log. Raises OSError."""
        return self._offset_at(self._number_by(position))

    def truncate(self, position: int) -> None:
        """Takes out the entries of records that do not end by `position` of the log. Raises OSError."""
        number = self._number_by(position)
        if number < self.end_number:
            self._cut(number, self._offset_at(number))

    def _offset_at(self, number: int) -> int:
        if number >= self.end_number:
            return self.max_offset
        return max(self.min_offset, self.offset_behind(number))

    def _number_by(self, position: int) -> int:
        """The number of the first entry whose record does not end by `position`. Looks from the end on: it is near."""
        low, high, step = self.first_number, self.end_number, 1
        while low < high and self._ends_behind(max(low, high - step), position):
            high, step = max(low, high - step), step * 2
        low = max(low, high - step)
        while low < high:
            middle = (low + high) // 2
            if self._ends_behind(middle, position):
                high = middle
            else:
                low = middle + 1
        return high

    def _ends_behind(self, number: int, position: int) -> bool:
        found = self.read(number, 1) or []
        return any(is_of_record(entry) and entry[0] + entry[1] > position for entry in found)

    def _cut(self, number: int, offset: int) -> None:
        """Takes the entries from `number` on out of the queue, which then goes on at `offset`."""
        with self.shared.writing, self.shared.trim:
            if number < self.tail_start:
                self.files.cut(self.place, number * self.layout.size)
                self.tail.clear()
                self.tail_start = number
            else:
                del self.tail[(number - self.tail_start) * self.layout.size :]
            self._end_at(offset)
            self.min_offset = min(self.min_offset, offset)

    def _end_at(self, offset: int) -> None:
        self.shared.count += offset - self.max_offset
        self.max_offset = offset

    # -- writing out ------------------------------------------------------------------------------------------------

    def write_tail(self) -> None:
        """Writes what is in memory to the files. In any thread. Raises OSError; then it stays in memory."""
        with self.shared.writing:
            self._write_tail()

    def _write_tail_now(self) -> None:
        """For the thread that appends: not where another one writes, and a disk that refuses is no obstacle."""
        if not self.shared.writing.acquire(blocking=False):
            return
        try:
            self._write_tail()
        except OSError as error:
            self.shared.log.error("%s", refused(f"queue {self.place} stays in memory", error))
        finally:
            self.shared.writing.release()

    def _write_tail(self) -> None:
        content = bytes(self.tail)
        self.files.write(self.place, self.tail_start * self.layout.size, content)
        with self.shared.trim:
            del self.tail[: len(content)]
            self.tail_start += len(content) // self.layout.size
        if self.tail:
            self.shared.unwritten.append(self)

    # -- opening, cleaning ------------------------------------------------------------------------------------------

    def load(self, loader: QueueLoader) -> bool:
        """Takes over what the files have. False, and nothing but `max_offset` is known, where they are damaged."""
        numbers = loader.load(self.place)
        if numbers is None:
            self.max_offset = self.offset_behind(loader.end_of_damaged(self.place))
            return False
        self.tail_start = numbers.end
        self._end_at(self.offset_behind(numbers.end))
        self._begin_with(numbers.least)
        return True

    def correct_minimum(self, position: int) -> bool:
        """Whether the queue begins later now, after the log lost what was before `position`. Raises OSError."""
        begin, high = self.first_number, self.end_number
        low = begin
        middle = low
        while low < high:
            if self._is_readable(middle, position):
                high = middle
            else:
                low = middle + 1
            middle = (low + high) // 2
        if low == begin:
            return False
        self._begin_with(low)
        return True

    def drop_unused_files(self) -> None:
        """Deletes the files before the queue's minimum, but the last one, so that offsets go on where they were.

        Raises OSError where one cannot be deleted; the ones behind it stay as well: there must be no hole.
        """
        keep = min(self.first_number, max(self.end_number - 1, 0)) * self.layout.size
        for base in self.files.bases(self.place):
            if base + self.files.file_bytes < keep:  # so that the first one left has an entry before the minimum
                self.files.unlink(self.place, base)

    def _is_readable(self, number: int, first: int) -> bool:
        """Whether the entry is of a record at or behind position `first`."""
        try:
            found = self.read(number, 1)
        except FileNotFoundError:
            return False
        return any(is_of_record(entry) and entry[0] >= first for entry in found or ())

    def drop_files(self) -> None:
        """Deletes every file of the queue. Raises OSError."""
        for base in self.files.bases(self.place):
            self.files.unlink(self.place, base)
