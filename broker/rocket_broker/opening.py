"""From settings to an open store. After a crash that may take a while, and people shall see how far it is."""

from __future__ import annotations

import logging
import time

from rocket_broker import saved
from rocket_broker.config import LiveConfig
from rocket_broker.settings import delay_levels
from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import MessageStore
from rocket_broker.topics import with_batches
from rocket_wire.bodies.topics import TopicConfigSerializeWrapper

_MIB = 1024 * 1024


class Opening:
    """Opens one store, in any thread; `ready` says how far that is, for /readyz."""

    def __init__(self, config: LiveConfig) -> None:
        self._config = config
        self._begin = self._at = self._end = 0

    def open(self) -> MessageStore:
        """The store, recovered. Raises StoreError, OSError and DamagedFile."""
        topics = saved.load(self._config.settings.config_folder / "topics.json", TopicConfigSerializeWrapper.decode)
        batches = with_batches(topics.topic_config_table if topics is not None else {})
        return MessageStore.open(
            _settings(self._config),
            now_ms=now_ms,
            log=logging.getLogger("rocket.store"),
            progress=self._read,
            is_batch=batches.__contains__,
        )

    def ready(self) -> tuple[bool, str]:
        if not self._end:
            return False, "opening the store"
        done, whole = self._at - self._begin, self._end - self._begin
        share = 100 * done // whole if whole else 100
        return False, f"recovering: {done // _MIB} of at most {whole // _MIB} MiB of the log are read, {share} %"

    def _read(self, begin: int, at: int, end: int) -> None:
        self._begin, self._at, self._end = begin, at, end


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _settings(config: LiveConfig) -> StoreSettings:
    settings = config.settings
    return StoreSettings(
        root=settings.root,
        commitlog_path=settings.commit_log_folder,
        segment_size=settings.mapped_file_size_commit_log,
        queue_file_size=settings.mapped_file_size_consume_queue,
        batch_queue_file_size=settings.mapper_file_size_batch_consume_queue,
        index_enable=settings.message_index_enable,
        max_hash_slots=settings.max_hash_slot_num,
        max_index_entries=settings.max_index_num,
        delay_levels=delay_levels(settings.message_delay_level),
    )
