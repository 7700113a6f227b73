"""A master whose sync set lags behind delivers what is due all the same: its readers see it once the set has it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from rocket_broker.delay import DelayOffsets, DelayService
from rocket_broker.saved import Saver
from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import MessageStore, Outgoing
from rocket_testing.waiting import eventually
from rocket_wire import properties

COUNT = 200


async def test_every_due_message_is_delivered_though_readers_see_none_yet(tmp_path: Path) -> None:
    settings = StoreSettings(
        root=tmp_path, commitlog_path=tmp_path / "commitlog", segment_size=65536, delay_levels=(1,), open_files=1,
        max_hash_slots=100, max_index_entries=100, checkpoint_interval=0,
    )  # fmt: skip
    store = MessageStore.open(settings, now_ms=lambda: 1_700_000_000_000, log=logging.getLogger("store"))
    store.readable_end = 0
    pairs = properties.encode({"REAL_TOPIC": "T", "REAL_QID": "0", "DELAY": "1"})
    store.put_many(
        [Outgoing(topic="SCHEDULE_TOPIC_XXXX", queue_id=0, body=b"%d" % n, properties=pairs) for n in range(COUNT)]
    )
    delivered: list[bytes] = []

    def deliver(message: Outgoing) -> None:
        delivered.append(message.body)

    async def synced() -> None:
        store.sync_log()

    service = DelayService(
        store, DelayOffsets(), Saver(tmp_path / "delayOffset.json", bytes), deliver, synced, lambda: 1_700_000_001_000,
        (1,),
    )  # fmt: skip
    running = asyncio.create_task(service.run(3600))
    await eventually(lambda: len(delivered) == COUNT)
    assert delivered == [b"%d" % n for n in range(COUNT)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    store.close()
