"""What the store is told when it is opened."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long messages are kept: `reserved_hours`, deleted in the hours of the day `delete_when`.

    The ratios are of the disk's use: above `max_used_ratio` what has expired goes at any hour, above `forced_ratio`
    messages go before their time where `clean_forcibly` says so, above `warning_ratio` there is a line in the log.
    """

    reserved_hours: int = 72
    delete_when: tuple[int, ...] = (4,)
    max_used_ratio: float = 0.75
    forced_ratio: float = 0.85
    warning_ratio: float = 0.90
    clean_forcibly: bool = False


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Folders, sizes (bytes), times (milliseconds) and counts; the defaults are Apache's.

    `delay_levels` are the delays of SCHEDULE_TOPIC_XXXX, level 1 first. `checkpoint_interval` is how often queues,
    index and checkpoint are made durable: what a restart after a crash has to read again of the log.
    """

    root: Path
    commitlog_path: Path
    segment_size: int = 1 << 30
    queue_file_size: int = 6_000_000
    batch_queue_file_size: int = 300_000 * 46
    index_enable: bool = True
    max_hash_slots: int = 5_000_000
    max_index_entries: int = 20_000_000
    delay_levels: tuple[int, ...] = ()
    checkpoint_interval: int = 5_000
    retention: Retention = Retention()
    open_files: int = 256
