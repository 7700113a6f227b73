"""What the store is told when it is opened."""

from __future__ import annotations

from pathlib import Path

import msgspec


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Folders, sizes (bytes), times (milliseconds) and counts; the defaults are Apache's.

    `delay_levels` are the delays of SCHEDULE_TOPIC_XXXX, level 1 first. `checkpoint_interval` is how often queues,
    index and checkpoint are made durable: what a restart after a crash has to read again of the log.
    """

    root: Path
    commitlog_path: Path
    segment_size: int = 1 << 30
    queue_file_size: int = 6_000_000
    index_enable: bool = True
    max_hash_slots: int = 5_000_000
    max_index_entries: int = 20_000_000
    delay_levels: tuple[int, ...] = ()
    checkpoint_interval: int = 5_000
    file_reserved_hours: int = 72
    delete_when: tuple[int, ...] = (4,)
    max_used_ratio: float = 0.75
    open_files: int = 256
