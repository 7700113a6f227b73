"""Delayed messages: when a message of the schedule topic is due, it is stored again under its own topic (section 6.2).

One queue per delay level, in order of delivery time, so each level has one next message and one timer; nothing is
scanned while nothing is due. How far a level has come is kept in delayOffset.json: a restart goes on there, and a
crash between two saves delivers some messages twice rather than any never.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from rocket_broker.saved import Saver
from rocket_broker.store.errors import StoreError
from rocket_broker.store.store import MessageStore, Outgoing
from rocket_wire import properties, record
from rocket_wire.bodies.offsets import DelayOffsetSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.errors import ProtocolError, RequestError
from rocket_wire.topic_names import SCHEDULE_TOPIC

log = logging.getLogger("rocket.delay")

_BATCH: Final = 64
_RETRY_SECONDS: Final = 1.0
MAX_QUEUE_ID: Final = 2**31 - 1


class DelayOffsets:
    """The next offset to deliver by level: `table` as it is, `durable` as delayOffset.json may say it.

    What was delivered must be on disk before the file says that it was, or a power failure between the two would lose
    the message. So `durable` follows `table` only after the log is synced.
    """

    def __init__(self) -> None:
        self.table: dict[int, int] = {}
        self.durable: dict[int, int] = {}
        self.version = DataVersion()

    def encode(self) -> bytes:
        """delayOffset.json."""
        return DelayOffsetSerializeWrapper(offset_table=self.durable, data_version=self.version).encode()

    def undo(self, delivered: Mapping[int, int]) -> None:
        """So many deliveries of each level are gone from the log: they are to come again."""
        for level, count in delivered.items():
            self.table[level] = max(0, self.table.get(level, 0) - count)
            self.durable[level] = min(self.durable.get(level, 0), self.table[level])

    def restore(self, saved: DelayOffsetSerializeWrapper) -> None:
        """Takes over a saved or fetched table."""
        self.table = dict(saved.offset_table)
        self.durable = dict(saved.offset_table)
        self.version = saved.data_version or DataVersion()


class DelayService:
    """Delivers due messages while it runs.

    `deliver` stores a message and wakes who waits for it; `synced` returns when all that is stored is on disk.
    """

    def __init__(
        self,
        store: MessageStore,
        offsets: DelayOffsets,
        saver: Saver,
        deliver: Callable[[Outgoing], object],
        synced: Callable[[], Awaitable[object]],
        now_ms: Callable[[], int],
        delays: tuple[int, ...],
    ) -> None:
        """`delays` are those of the levels, ms."""
        self._store = store
        self._offsets = offsets
        self._saver = saver
        self._deliver = deliver
        self._synced = synced
        self._now_ms = now_ms
        self._wake: dict[int, asyncio.Event] = {}
        self._delays = delays
        #: Why a level's queue cannot be read at the moment.
        self._waiting: dict[int, str] = {}

    def arrived(self, level: int) -> None:
        """A message was stored for this level."""
        event = self._wake.get(level)
        if event is not None:
            event.set()

    async def run(self, save_seconds: float) -> None:
        """Serves every level and saves their offsets; never returns."""
        async with asyncio.TaskGroup() as tasks:
            for level in range(1, len(self._delays) + 1):
                self._wake[level] = asyncio.Event()
                tasks.create_task(self._serve(level), name=f"delay level {level}")
            tasks.create_task(self._save_every(save_seconds), name="delay offsets")

    async def _save_every(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            delivered = dict(self._offsets.table)
            if delivered != self._offsets.durable:
                await self._synced()
                self._offsets.durable = delivered
                self._saver.save()

    async def _serve(self, level: int) -> None:
        wake = self._wake[level]
        while True:
            wake.clear()
            due_in = self._deliver_due(level)
            try:
                async with asyncio.timeout(due_in):
                    await wake.wait()
            except TimeoutError:
                continue

    def _deliver_due(self, level: int) -> float | None:
        """Delivers what is due; returns the seconds to the next message, None where there is none."""
        queue_id = level - 1
        lowest = self._store.min_offset(SCHEDULE_TOPIC, queue_id)
        offset = max(self._offsets.table.get(level, 0), lowest)
        try:
            entries = self._store.queue_entries(SCHEDULE_TOPIC, queue_id, offset, _BATCH)
            if not entries and offset < self._store.max_offset(SCHEDULE_TOPIC, queue_id):
                raise StoreError(f"the queue has lost its entry at offset {offset}")
        except StoreError as error:
            self._waits(level, str(error))
            return _RETRY_SECONDS
        self._waiting.pop(level, None)
        for position, size, due in entries:
            now = self._now_ms()
            try:
                due = self._believed(due, level, position, size)
                if due > now:
                    return (due - now) / 1000
                self._deliver_one(position, size)
            except (RequestError, StoreError) as error:
                log.error("delayed message at %d is not delivered yet: %s", position, error)
                return _RETRY_SECONDS
            offset += 1
            self._offsets.table[level] = offset
            self._offsets.version = self._offsets.version.next_version(now)
        return 0.0 if entries else None  # there may be more, whether or not readers see them yet

    def _believed(self, due: int, level: int, position: int, size: int) -> int:
        """When a message is due whose entry says `due`, ms.

        No entry can be due later than its level's delay from now, unless it is damaged, the clock was set back or the
        level had a longer delay: then the record says when, or now, as in Apache's broker. Raises StoreError.
        """
        now, delay = self._now_ms(), self._delays[level - 1]
        if due <= now + delay:
            return due
        try:
            stored = record.decode(self._store.look_up(position, size) or b"").store_timestamp
        except ProtocolError:
            return now
        return stored + delay if stored <= now else now

    def _waits(self, level: int, why: str) -> None:
        if self._waiting.get(level) != why:
            log.error("delayed messages of level %d wait: %s", level, why)
        self._waiting[level] = why

    def _deliver_one(self, position: int, size: int) -> None:
        stored = self._store.look_up(position, size)
        if stored is None:
            log.error("delayed message at %d is gone from the log: skipped", position)
            return
        try:
            message = restored(record.decode(stored))
        except ProtocolError as error:
            log.error("delayed message at %d cannot be read (%s): skipped", position, error)
            return
        if not self._store.fits(message):  # sends of such are refused, but a store of Apache's may have it
            log.error(
                "delayed message at %d is too large for a segment under its own topic %s: skipped; a larger "
                "mappedFileSizeCommitLog needs a new store", position, message.topic,
            )  # fmt: skip
            return
        self._deliver(message)


def restored(message: record.Message | Outgoing) -> Outgoing:
    """The message for the topic where it belongs. Raises ProtocolError when it does not say which that is.

    Its properties stay as they are, DELAY and the real topic among them: so does Apache's broker store it.
    """
    pairs = properties.decode(message.properties)
    topic, queue_id = pairs.get("REAL_TOPIC", ""), pairs.get("REAL_QID", "")
    if not topic or not queue_id.isdecimal() or int(queue_id) > MAX_QUEUE_ID:
        raise ProtocolError("the schedule topic holds a message without REAL_TOPIC and REAL_QID")
    return Outgoing(
        topic=topic,
        queue_id=int(queue_id),
        body=message.body,
        properties=message.properties,
        sys_flag=message.sys_flag,
        flag=message.flag,
        born_timestamp=message.born_timestamp,
        born_host=message.born_host,
        store_host=message.store_host,
        reconsume_times=message.reconsume_times,
    )


def deliveries(messages: Iterable[record.Message]) -> Counter[int]:
    """How many of these are delayed messages that were delivered, by level."""
    counts: Counter[int] = Counter()
    for message in messages:
        level, topic = properties.find(message.properties, b"DELAY"), properties.find(message.properties, b"REAL_TOPIC")
        if level is not None and level.isdigit() and topic == message.topic.encode():
            counts[int(level)] += 1
    return counts
