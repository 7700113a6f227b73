"""Checks consume queues against the records of the log: each record has its entry, each entry has its record.

The log is read once, and with it each queue, since a queue's records come in its order. So every entry that a record
claims is found right or wrong at once, and the others are as many as the queue has more entries than were claimed.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from typing import Final

from rocket_broker.store.deletions import Deletions
from rocket_broker.store.dispatch import NOT_QUEUED
from rocket_broker.store.queue_entries import BLANK_SIZE, Unpacked, is_of_record
from rocket_broker.store.tools.findings import Findings, Part, Severity
from rocket_broker.store.tools.folder import State, StoreFolder
from rocket_broker.store.tools.queues import KINDS, QueueFolder, queue_folders
from rocket_broker.store.tools.tables import topic_names
from rocket_broker.store.tools.verify_log import LogCheck
from rocket_wire import properties, record
from rocket_wire.hashing import utf8_hash
from rocket_wire.topic_names import SCHEDULE_TOPIC

#: Queues whose entries are in memory at a time, a few KiB each.
_WINDOWS: Final = 2048
#: Wrong entries of one queue that are looked at; from then on they are only counted.
_LOOKED_AT: Final = 1000
#: Tag codes below are addresses in Apache's extension file of consume queues.
_LEAST_CODE: Final = -(1 << 31)


class _Seen:
    """What the log told of one queue."""

    __slots__ = ("claimed", "files", "first_missing", "missing", "pending")

    def __init__(self, files: QueueFolder | None) -> None:
        self.files = files
        self.claimed = 0
        self.missing = 0
        self.first_missing = ""
        self.pending = 0


class QueueCheck:
    """Is shown every record (`see`), then asked to `finish`. `damaged`: queues to be made anew."""

    def __init__(self, store: StoreFolder, log: LogCheck, findings: Findings) -> None:
        self.entries = 0
        self.deleted = 0
        self.damaged: list[QueueFolder] = []
        self._store = store
        self._log = log
        self._findings = findings
        self._deletions = Deletions(store.root, logging.getLogger("rocket.store"))
        self._deletions.load()
        self._is_remaking = store.checkpoint.is_remaking or not any((store.root / name).is_dir() for name in KINDS)
        self._has_extension = (store.root / "consumequeue_ext").is_dir()
        self._folders = {(queue.topic, queue.queue_id): queue for queue in queue_folders(store.root)}
        self._seen: dict[tuple[str, int], _Seen] = {}
        self._in_memory: OrderedDict[int, QueueFolder] = OrderedDict()

    @property
    def queues(self) -> int:
        return len(self._folders)

    def see(self, message: record.Message) -> None:
        """The log has this record."""
        if message.sys_flag & NOT_QUEUED:
            return
        if self._deletions.has(message.topic, message.position):
            self.deleted += 1
            return
        place = (message.topic, message.queue_id)
        seen = self._seen.get(place)
        if seen is None:
            seen = self._seen[place] = _Seen(self._folders.get(place))
        if message.queue_offset == 0:  # what came before was of a topic that was deleted and made again
            seen.missing = 0
        if seen.files is not None and self._has_entry(seen.files, message):
            seen.claimed += 1
        elif self._is_unfinished(message):
            seen.pending += 1
        else:
            if not seen.missing:
                seen.first_missing = f"position {message.position}, offset {message.queue_offset} of queue "
            seen.missing += 1

    def _has_entry(self, files: QueueFolder, message: record.Message) -> bool:
        self._remember(files)
        found = files.entry(message.queue_offset)
        return found is not None and self._agrees(files, found, message)

    def _agrees(self, files: QueueFolder, found: Unpacked, message: record.Message) -> bool:
        return _is_of(found, message, self._has_extension) and files.agrees(found, message)

    def _is_unfinished(self, message: record.Message) -> bool:
        """Whether a start makes this record's entry again in any case."""
        return self._is_remaking or (
            self._store.state is not State.CLEAN and message.position >= self._store.trusted
        )  # fmt: skip

    def _remember(self, files: QueueFolder) -> None:
        self._in_memory[id(files)] = files
        self._in_memory.move_to_end(id(files))
        if len(self._in_memory) > _WINDOWS:
            self._in_memory.popitem(last=False)[1].forget()

    def finish(self) -> None:
        """Says what is missing, and looks for entries that no record claims. Raises StoreError and OSError."""
        names = topic_names(self._store.root)
        damaged: set[tuple[str, int]] = set()
        has_topic = {topic for topic, _ in self._folders}
        for place, seen in self._seen.items():
            name = f"{place[0]}/{place[1]}"
            if place[0] not in has_topic and names is not None and place[0] not in names:
                self.deleted += seen.missing + seen.pending
                continue
            if seen.pending:
                self._findings.add(
                    Part.QUEUES, Severity.UNFINISHED, "records are not in their queues yet", name,
                    count=seen.pending,
                )  # fmt: skip
            if seen.missing:
                damaged.add(place)
                self._damage("records have no entry in their queue", f"{seen.first_missing}{name}", seen.missing)
        for place, queue in self._folders.items():
            seen = self._seen.get(place) or _Seen(queue)
            if not self._is_remaking and not self._check(queue, seen):
                damaged.add(place)
        self.damaged = [self._folders[place] for place in sorted(damaged & self._folders.keys() & self._seen.keys())]

    def _check(self, queue: QueueFolder, seen: _Seen) -> bool:
        """Whether the queue's files hold what they should: entries of records, without a gap."""
        if not self._are_files_right(queue):
            return False
        others = -seen.claimed
        following, is_right = -1, True
        end = self._log.end
        for number, found in queue.entries():
            offset, messages = queue.place_of(number, found)
            if is_of_record(found):
                if following not in (-1, offset):
                    is_right = self._gap(queue, following, offset)
                following = offset + messages
                self.entries += 1
                others += self._log.first <= found[0] < end
                if found[0] >= end or found[0] < 0:
                    is_right &= self._behind(queue, offset, found[0])
            elif not is_blank(found) and any(found):
                is_right = self._damage("entries say impossible sizes", f"offset {offset} of {queue.name}")
        return self._look(queue) and is_right if others else is_right

    def _gap(self, queue: QueueFolder, begin: int, end: int) -> bool:
        example = f"{begin} to {end - 1} of {queue.name}"
        return self._damage("offsets are missing in the middle of a queue", example, end - begin)

    def _behind(self, queue: QueueFolder, offset: int, position: int) -> bool:
        """Whether an entry of a record behind the log's end is what a start takes back, or nobody minds."""
        if self._store.state is State.CLEAN:
            example = f"offset {offset} of {queue.name}: position {position}"
            return self._damage("entries are of records that the log does not have", example)
        if self._store.state is State.NOT_CLEAN:
            self._findings.add(
                Part.QUEUES, Severity.UNFINISHED, "entries are of records that never came to the log", queue.name
            )
        return True

    def _are_files_right(self, queue: QueueFolder) -> bool:
        size, bases = queue.file_bytes, queue.bases
        for base in bases:
            length = os.path.getsize(queue.path(base))
            if length != size or base % size:
                return self._damage("files of queues have another length", f"{queue.path(base)} has {length} bytes")
        if bases != list(range(bases[0], bases[-1] + 1, size)) or size % queue.layout.size:
            return self._damage("files of queues are missing", queue.name)
        return True

    def _look(self, queue: QueueFolder) -> bool:
        """Asks the log for the record of each entry, until enough are wrong."""
        wrong = 0
        for number, found in queue.entries():
            if not is_of_record(found) or not self._log.first <= found[0] < self._log.end:
                continue
            offset, _ = queue.place_of(number, found)
            message = self._record_at(found[0])
            if message is not None and self._agrees(queue, found, message) and _place(message) == (
                queue.topic, queue.queue_id, offset,
            ):  # fmt: skip
                continue
            if self._log.is_damaged(found[0]):
                continue  # told of already
            if self._store.state is not State.CLEAN and found[0] >= self._store.trusted:
                self._findings.add(Part.QUEUES, Severity.UNFINISHED, "entries are made again by a start", queue.name)
                continue
            wrong += 1
            self._damage("entries are not of the record that they say", f"offset {offset} of {queue.name}")
            if wrong == _LOOKED_AT:
                break
        return not wrong

    def _record_at(self, position: int) -> record.Message | None:
        for log in self._log.logs:
            if log.first <= position < log.end:
                return log.record_at(position)
        return None

    def _damage(self, what: str, example: str, count: int = 1) -> bool:
        self._findings.add(Part.QUEUES, Severity.DAMAGE, what, example, count)
        return False


def is_blank(found: Unpacked) -> bool:
    """Whether an entry fills a file's beginning, before the queue's first."""
    return found[1] == BLANK_SIZE


def _place(message: record.Message) -> tuple[str, int, int]:
    return message.topic, message.queue_id, message.queue_offset


def _is_of(found: Unpacked, message: record.Message, has_extension: bool) -> bool:
    """Whether an entry has the record's position, size and tag code, or the address of an extension with it."""
    position, size, code = found[:3]
    if position != message.position or size != message.size:
        return False
    if message.topic == SCHEDULE_TOPIC:  # the time of delivery, by settings that are not known here
        return code >= message.store_timestamp
    tag = properties.find(message.properties, b"TAGS")
    return code == (0 if tag is None else utf8_hash(tag)) or (has_extension and code < _LEAST_CODE)
