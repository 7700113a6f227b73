"""Which segments may go: the oldest ones, when every message in them is older than it need be kept.

Deleting takes disk bandwidth from senders, so it waits for the quiet hours of `deleteWhen`, unless the disk fills up.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.errors import refused
from rocket_broker.store.reading import Reader
from rocket_broker.store.settings import StoreSettings

_HOUR_MS = 3_600_000


def is_due(settings: StoreSettings, now_ms: int) -> bool:
    """Whether this is the time to delete: an hour (local time) that is set for it, or a disk that is too full.

    Raises StoreError when the disk does not say how full it is.
    """
    hour = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone().hour
    if hour in settings.delete_when:
        return True
    try:
        usage = shutil.disk_usage(settings.root)
    except OSError as error:
        raise refused(f"cannot ask how full the disk of {settings.root} is", error) from error
    return usage.used > usage.total * settings.max_used_ratio


def expired_end(settings: StoreSettings, log: CommitLog, reader: Reader, now_ms: int) -> int:
    """The position before which every segment's newest message is too old. The active segment never is.

    A segment's newest message is as old as the next segment's oldest. Raises StoreError.
    """
    end = log.first
    while end + log.segment_size < log.limit:
        newer = reader.store_time_at(end + log.segment_size)
        if newer is None or now_ms - newer < settings.file_reserved_hours * _HOUR_MS:
            break
        end += log.segment_size
    return end
