"""The queue of a delay level cannot be read for a while: its messages wait, the others do not, and nobody dies."""

from __future__ import annotations

import asyncio
import errno
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rocket_broker import delay
from rocket_broker.delay import DelayOffsets, DelayService
from rocket_broker.saved import Saver
from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import MessageStore, Outgoing
from rocket_testing.disk_calls import DiskCalls
from rocket_testing.waiting import eventually
from rocket_wire import properties

HOST = bytes(8)


def delayed(level: int, body: bytes) -> Outgoing:
    pairs = {"REAL_TOPIC": "T", "REAL_QID": "0", "DELAY": str(level)}
    return Outgoing(topic="SCHEDULE_TOPIC_XXXX", queue_id=level - 1, body=body, properties=properties.encode(pairs))


@pytest.fixture
def store(tmp_path: Path) -> MessageStore:
    settings = StoreSettings(
        root=tmp_path, commitlog_path=tmp_path / "commitlog", segment_size=65536, delay_levels=(1, 1), open_files=1,
        max_hash_slots=100, max_index_entries=100, checkpoint_interval=0,
    )  # fmt: skip
    return MessageStore.open(settings, now_ms=lambda: 1_700_000_000_000, log=logging.getLogger("store"))


@pytest.mark.parametrize("names", [("preadv",), ("open",)])
async def test_delayed_messages_wait_while_their_queue_cannot_be_read(
    store: MessageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, names: Any
) -> None:
    monkeypatch.setattr(delay, "_RETRY_SECONDS", 0.01)
    for level in (1, 2):
        store.put(delayed(level, b"level %d" % level))
    store.put(Outgoing(topic="T", queue_id=9, body=b"another file is the one that is open"))
    store.flush()
    store.queue_entries("T", 9, 0, 1)
    disk = DiskCalls(monkeypatch, tmp_path)
    disk.fail(errno.EIO, names=names, part="SCHEDULE_TOPIC_XXXX/0/")
    delivered: list[bytes] = []
    saver = cast(Saver, SimpleNamespace(save=lambda: None))

    async def synced() -> None:
        store.sync_log()

    service = DelayService(
        store, DelayOffsets(), saver, lambda message: delivered.append(message.body), synced, lambda: 1_700_000_001_000
    )
    running = asyncio.create_task(service.run(2, 3600))
    await eventually(lambda: len(disk.failed) > 3)
    assert delivered == [b"level 2"]
    assert not running.done()
    waits = [line.message for line in caplog.records if "delayed messages of level 1 wait" in line.message]
    assert len(waits) == 1
    assert "Input/output error" in waits[0]
    disk.heal()
    await eventually(lambda: delivered == [b"level 2", b"level 1"])
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    store.close()
