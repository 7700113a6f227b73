"""Which segments may go: the oldest ones, when every message in them is older than it need be kept.

Deleting takes disk bandwidth from senders, so it waits for the quiet hours of `deleteWhen`, unless the disk fills up.
A disk that fills up further takes messages before their time only where somebody chose that (docs/decisions/0005).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.errors import StoreError, refused
from rocket_broker.store.reading import Reader
from rocket_broker.store.settings import Retention

_HOUR_MS: Final = 3_600_000
_FORCED_AT_ONCE: Final = 10  # segments of one look, as Apache's


class Disk(NamedTuple):
    """How full the file system is that holds the log: bytes, and the share that is used as `df` counts it."""

    total: int
    used: float


def disk_of(folder: Path) -> Disk:
    """Raises StoreError when the disk does not say how full it is."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        raise refused(f"cannot ask how full the disk of {folder} is", error) from error
    there = usage.used + usage.free  # without what is reserved for root
    return Disk(there, usage.used / there if there else 0.0)


def is_due(keep: Retention, disk: Disk, now_ms: int) -> bool:
    """Whether this is the time to delete: an hour (local time) that is set for it, or a disk that is too full."""
    hour = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone().hour
    return hour in keep.delete_when or disk.used > keep.max_used_ratio


def expired_end(keep: Retention, log: CommitLog, reader: Reader, now_ms: int) -> int:
    """The position before which every segment's newest message is too old. The active segment never is.

    A segment's newest message is as old as the next segment's oldest. Raises StoreError.
    """
    end = log.first
    while end + log.segment_size < log.limit:
        newer = reader.store_time_at(end + log.segment_size)
        if newer is None or now_ms - newer < keep.reserved_hours * _HOUR_MS:
            break
        end += log.segment_size
    return end


def forced_end(keep: Retention, log: CommitLog, disk: Disk) -> int:
    """The position before which segments go whatever their age, because the disk is fuller than chosen for that."""
    if not keep.clean_forcibly or disk.used <= keep.forced_ratio:
        return log.first
    surplus = (disk.used - keep.forced_ratio) * disk.total
    segments = min(-(-surplus // log.segment_size), _FORCED_AT_ONCE)
    return min(log.first + int(segments) * log.segment_size, max(log.first, log.limit - log.segment_size))


class Cleaner:
    """Deletes a log's oldest segments. In one thread at a time, any: freeing a gigabyte may take a while.

    What has gone, whoever puts takes out of queues and index (`MessageStore.trim`).
    """

    def __init__(
        self, keep: Retention, log: CommitLog, reader: Reader, until: Callable[[], int], logger: logging.Logger
    ) -> None:
        """`until` makes a checkpoint and tells its position: what the next start reads begins there."""
        self.keep = keep
        self._log = log
        self._reader = reader
        self._until = until
        self._logger = logger
        self._is_failing = False
        self._is_nearly_full = False

    def delete(self, now_ms: int, *, at_any_hour: bool = False) -> int:
        """Deletes what need not be kept any longer; returns how many segments.

        Only in the hours set for it, when the disk is too full, or `at_any_hour`. What cannot be deleted stays, with a
        line in the log, and is the first to go another time. Raises OSError when a sync fails.
        """
        first = self._log.first
        if not self._log.folder.is_dir():
            return 0
        try:
            disk = disk_of(self._log.folder)
            self._watch(disk)
            if at_any_hour or is_due(self.keep, disk, now_ms):
                self._drop(expired_end(self.keep, self._log, self._reader, now_ms))
            if (end := forced_end(self.keep, self._log, disk)) > self._log.first:
                self._logger.warning(
                    "the disk of %s is %.0f %% full: messages before position %d go before their time "
                    "(cleanFileForciblyEnable)", self._log.folder, disk.used * 100, end,
                )  # fmt: skip
                self._drop(end)
            self._is_failing = False
        except StoreError as error:
            if not self._is_failing:
                self._logger.error("expired messages cannot be deleted: %s; trying on", error)
            self._is_failing = True
        return (self._log.first - first) // self._log.segment_size

    def _drop(self, end: int) -> None:
        """Deletes the segments before `end`, but none that the next start would have to read."""
        if self._log.first < end:
            end = min(end, self._until())
        while self._log.first < end:
            self._log.drop_first()

    def _watch(self, disk: Disk) -> None:
        """Says once that the disk is nearly full, and once that it is not any more."""
        is_full = disk.used > self.keep.warning_ratio
        if is_full and not self._is_nearly_full:
            self._logger.warning(
                "the disk of %s is %.0f %% full: make room, or keep messages for a shorter time (fileReservedTime)",
                self._log.folder, disk.used * 100,
            )  # fmt: skip
        elif self._is_nearly_full and not is_full:
            self._logger.info("the disk of %s has room again", self._log.folder)
        self._is_nearly_full = is_full
