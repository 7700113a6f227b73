"""The messages of a store, one after the other as the log has them; queues and index are needed for none of it.

Where a time or an offset says where to begin, segments before it are not read. What is damaged is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from rocket_broker.store.log_scan import LogScan
from rocket_broker.store.matching import matches
from rocket_broker.store.tools.folder import ReadLog, StoreFolder
from rocket_broker.store.tools.queues import queue_folders
from rocket_wire import record

_EVER: Final = 1 << 62


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Which messages: all of these hold. Times in ms, offsets of the queue that is named; both ends are included."""

    topic: str | None = None
    queue: int | None = None
    key: str | None = None
    first_time: int = 0
    last_time: int = _EVER
    first_offset: int = 0
    last_offset: int = _EVER

    def wants(self, message: record.Message) -> bool:
        return (
            self.topic in (None, message.topic)
            and self.queue in (None, message.queue_id)
            and self.first_time <= message.store_timestamp <= self.last_time
            and self.first_offset <= message.queue_offset <= self.last_offset
            and (self.key is None or matches(record.encode(message), message.topic, self.key, 0, _EVER))
        )


def messages(
    root: Path,
    wish: Wish,
    commit_log: Path | None = None,
    damaged: Callable[[int, int], None] = lambda begin, end: None,
) -> Iterator[record.Message]:
    """What is wished for, in the order of the log. `damaged` is told which positions had to be passed over.

    Raises NotAStore, StoreError and OSError where the store cannot be read.
    """
    store = StoreFolder(root, commit_log)
    at = _position_of(store, wish)
    for log in store.logs():
        if log.limit > at and (stretch := _stretch(log, wish)) is not None:
            yield from filter(wish.wants, _records(log, max(at, stretch[0]), stretch[1], damaged))


def _records(log: ReadLog, begin: int, end: int, damaged: Callable[[int, int], None]) -> Iterator[record.Message]:
    """Every record from `begin` up to `end`. What lies behind the last one is no damage, but the log's end."""
    passed: list[tuple[int, int]] = []
    for message in LogScan(log, begin, log.end, lambda first, next_: passed.append((first, next_))):
        for stretch in passed:
            damaged(*stretch)
        passed.clear()
        if message.position >= end:
            return
        yield message


def _stretch(log: ReadLog, wish: Wish) -> tuple[int, int] | None:
    """Where in the log records of the wished times may be, by the times of the segments' first ones."""
    begin, end = log.first, log.end
    for base in range(log.first, log.end, log.segment_size):
        first = log.record_at(base)
        if first is not None and first.store_timestamp < wish.first_time:
            begin = base
        if first is not None and first.store_timestamp > wish.last_time:
            end = base
            break
    return (begin, end) if begin < end else None


def _position_of(store: StoreFolder, wish: Wish) -> int:
    """Where the record of the first wished offset is; 0 where its queue does not say so rightly."""
    if wish.topic is None or wish.queue is None or not wish.first_offset:
        return 0
    for queue in queue_folders(store.root):
        if (queue.topic, queue.queue_id) == (wish.topic, wish.queue):
            entry = queue.entry(wish.first_offset)
            found = [log.record_at(entry[0]) for log in store.logs()] if entry is not None else []
            if any(message is not None and message.queue_offset == wish.first_offset for message in found):
                return entry[0] if entry is not None else 0
    return 0
