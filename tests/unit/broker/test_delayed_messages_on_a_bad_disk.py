"""The queue of a delay level cannot be read for a while: its messages wait, the others do not, and nobody dies."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
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


def settings(root: Path, delays: tuple[int, ...]) -> StoreSettings:
    return StoreSettings(
        root=root, commitlog_path=root / "commitlog", segment_size=65536, delay_levels=delays, open_files=1,
        max_hash_slots=100, max_index_entries=100, checkpoint_interval=0,
    )  # fmt: skip


def delay_service(
    store: MessageStore, delivered: list[bytes], now_ms: Callable[[], int], delays: tuple[int, ...]
) -> DelayService:
    """Delivers into a list."""

    async def synced() -> None:
        store.sync_log()

    saver = cast(Saver, SimpleNamespace(save=lambda: None))

    def deliver(message: Outgoing) -> None:
        delivered.append(message.body)

    return DelayService(store, DelayOffsets(), saver, deliver, synced, now_ms, delays)


@pytest.fixture
def store(tmp_path: Path) -> MessageStore:
    return MessageStore.open(
        settings(tmp_path, (1, 1)), now_ms=lambda: 1_700_000_000_000, log=logging.getLogger("store")
    )


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
    service = delay_service(store, delivered, lambda: 1_700_000_001_000, (1, 1))
    running = asyncio.create_task(service.run(3600))
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


def damage(file: Path) -> None:
    """The first entry's time of delivery."""
    content = bytearray(file.read_bytes())
    content[12:20] = b"\x7f" * 8
    file.write_bytes(content)


NOW = 1_700_000_001_000


@pytest.mark.parametrize(
    ("stored", "is_due"),
    [(NOW - 1001, True), (NOW - 999, False), (NOW + 3_600_000, True)],
    ids=["due by its record", "not due by its record", "stored before the clock was set back"],
)
async def test_an_entry_that_is_due_in_a_far_future_does_not_block_its_level(
    tmp_path: Path, stored: int, is_due: bool
) -> None:
    store = MessageStore.open(settings(tmp_path, (1000,)), now_ms=lambda: stored, log=logging.getLogger("store"))
    for number in range(2):
        store.put(delayed(1, b"%d" % number))
    store.flush()
    damage(tmp_path / "consumequeue" / "SCHEDULE_TOPIC_XXXX" / "0" / f"{0:020d}")
    delivered: list[bytes] = []
    waiting = asyncio.Event()
    clock = [NOW]

    def now_ms() -> int:
        waiting.set()
        return clock[0]

    service = delay_service(store, delivered, now_ms, (1000,))
    running = asyncio.create_task(service.run(3600))
    await waiting.wait()
    await asyncio.sleep(0)  # the look that asked the clock goes on to its end
    assert delivered == ([b"0", b"1"] if is_due else [])
    clock[0] += 1
    await eventually(lambda: delivered == [b"0", b"1"], within=5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    store.close()
