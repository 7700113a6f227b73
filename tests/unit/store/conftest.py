"""A small store in a temporary folder, a clock that only moves when told, and messages to put."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.settings import Retention, StoreSettings
from rocket_broker.store.store import GetStatus, MessageStore, Outgoing
from rocket_wire import record

HOST = bytes((10, 0, 0, 1)) + (10911).to_bytes(4, "big")


class Clock:
    """Milliseconds that stand still."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


class Stores:
    """Opens stores with small files, and closes what a test left open."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self.root = root
        self.clock = clock
        #: Topics whose queues are of batches.
        self.batch_topics: set[str] = set()
        self._opened: list[MessageStore] = []
        self._copies = 0

    def settings(self, root: Path | None = None, **changes: Any) -> StoreSettings:
        root = root or self.root
        values: dict[str, Any] = {
            "root": root,
            "commitlog_path": root / "commitlog",
            "segment_size": 8192,
            "queue_file_size": 200,
            "batch_queue_file_size": 230,
            "max_hash_slots": 64,
            "max_index_entries": 50,
            "delay_levels": (1000, 5000, 10_000),
            "checkpoint_interval": 0,
        }
        keep = {name: changes.pop(name) for name in Retention.__struct_fields__ if name in changes}
        return StoreSettings(**(values | changes), retention=Retention(**keep))

    def open(self, root: Path | None = None, **changes: Any) -> MessageStore:
        store = MessageStore.open(
            self.settings(root, **changes), now_ms=self.clock, log=logging.getLogger("store"),
            is_batch=self.batch_topics.__contains__,
        )  # fmt: skip
        self._opened.append(store)
        return store

    def killed(self, root: Path | None = None) -> Path:
        """A copy of the folder as a killed process leaves it: what is in the kernel, and nothing else."""
        self._copies += 1
        copy = self.root.with_name(f"{self.root.name}-killed-{self._copies}")
        shutil.copytree(root or self.root, copy)
        return copy

    def reader(self, store: MessageStore) -> Callable[..., list[record.Message]]:
        """Reads a whole queue of `store`."""

        def read(topic: str = "T", queue_id: int = 0) -> list[record.Message]:
            messages: list[record.Message] = []
            offset = store.min_offset(topic, queue_id)
            while offset < store.max_offset(topic, queue_id):
                got = store.get(topic, queue_id, offset, max_messages=7, max_bytes=1 << 20, tags=None, may_block=True)
                assert got is not None
                assert got.status in (GetStatus.FOUND, GetStatus.MESSAGE_WAS_REMOVING), got
                assert got.next_offset > offset
                messages += record.decode_all(got.body)
                offset = got.next_offset
            return messages

        return read

    def close(self) -> None:
        for store in self._opened:
            store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(tmp_path: Path, clock: Clock) -> Iterator[Stores]:
    stores = Stores(tmp_path / "store", clock)
    yield stores
    stores.close()


@pytest.fixture
def message() -> Callable[..., Outgoing]:
    """Makes a message; its body is its number unless told otherwise."""

    def make(number: int = 0, **changes: Any) -> Outgoing:
        values: dict[str, Any] = {
            "topic": "T",
            "queue_id": 0,
            "body": b"body %d" % number,
            "properties": b"UNIQ_KEY\x01U%d\x02" % number,
            "born_timestamp": 1_699_999_999_000,
            "born_host": HOST,
            "store_host": HOST,
        }
        return Outgoing(**(values | changes))

    return make
