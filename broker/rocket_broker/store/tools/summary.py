"""What is in a store, without reading it whole: the ends of its log, its queues' offsets, index, checkpoint, tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rocket_broker.store.checkpoint import Checkpoint
from rocket_broker.store.log_scan import LogScan
from rocket_broker.store.tools.folder import ReadLog, State, StoreFolder
from rocket_broker.store.tools.index_files import IndexView, index_paths
from rocket_broker.store.tools.queues import QueueFolder, queue_folders
from rocket_broker.store.tools.tables import tables


class LogSummary(msgspec.Struct, rename="camel"):
    """Positions `first` to `end` (bytes) in `segments` files. Store times of the first and last record, ms."""

    segments: int
    segment_size: int
    first: int
    end: int
    first_stored: int | None = None
    last_stored: int | None = None
    missing: list[int] = []


class QueueSummary(msgspec.Struct, rename="camel"):
    """One queue: `first` is the first offset that can be read, `next` the one that the next message gets."""

    topic: str
    queue: int
    first: int
    next: int
    files: int


class IndexSummary(msgspec.Struct, rename="camel"):
    """One index file; store times in ms."""

    file: str
    entries: int
    first_stored: int
    last_stored: int


class TableSummary(msgspec.Struct, rename="camel"):
    """One table: how many topics, groups or offsets, None where that is not known; what is wrong with it."""

    file: str
    entries: int | None
    problem: str = ""


class Summary(msgspec.Struct, kw_only=True, rename="camel"):
    """A store. `size` is what its files take of the disk, bytes; `holder` has its lock."""

    directory: str
    state: State
    holder: str
    size: int
    log: LogSummary
    queues: list[QueueSummary]
    index: list[IndexSummary]
    checkpoint: Checkpoint
    tables: list[TableSummary]


def summarise(root: Path, commit_log: Path | None = None) -> Summary:
    """Looks at a store. Raises NotAStore, StoreError and OSError where it cannot be read."""
    store = StoreFolder(root, commit_log)
    log = _log(store)
    folders = {root, store.log_folder}
    return Summary(
        directory=str(root), state=store.state, holder=store.holder,
        size=sum(_sizes(folders)),
        log=log,
        queues=[_queue(queue, log.first) for queue in queue_folders(root)],
        index=[_index(IndexView(path)) for path in index_paths(root)],
        checkpoint=store.checkpoint,
        tables=[TableSummary(table.path.name, table.entries, table.problem) for table in tables(root)],
    )  # fmt: skip


def _log(store: StoreFolder) -> LogSummary:
    logs = store.logs()
    if not logs:
        return LogSummary(0, store.segment_size, 0, 0)
    first = next(iter(LogScan(logs[0], logs[0].first)), None)
    end, last_stored = _end(logs[-1], store.trusted)
    return LogSummary(
        len(store.segments), store.segment_size, logs[0].first, end,
        None if first is None else first.store_timestamp,
        last_stored or store.checkpoint.physic_timestamp or None,
        missing=[log.limit for log in logs[:-1]],
    )  # fmt: skip


def _end(log: ReadLog, trusted: int) -> tuple[int, int]:
    """Where the log's records end, and when the last one was stored, 0 where none was read."""
    last_segment = log.limit - log.segment_size
    scan = LogScan(log, trusted if last_segment <= trusted <= log.end else last_segment)
    last_stored = 0
    for message in scan:
        last_stored = message.store_timestamp
    return scan.position, last_stored


def _queue(queue: QueueFolder, first: int) -> QueueSummary:
    least, end = queue.offsets(first)
    return QueueSummary(queue.topic, queue.queue_id, least, end, len(queue.bases))


def _index(view: IndexView) -> IndexSummary:
    return IndexSummary(view.path.name, view.count - 1, view.begin_time, view.end_time)


def _sizes(folders: set[Path]) -> Iterator[int]:
    """What each file takes of the disk. One that goes meanwhile, as a running broker's may, does not count."""
    seen = set()
    for top in folders:
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                if path not in seen and os.path.exists(path):
                    seen.add(path)
                    yield os.stat(path).st_blocks * 512
