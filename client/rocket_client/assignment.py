"""The queues that one consumer has now: gained, given up, committed, moved.

Giving a queue up commits it first, so that its next owner repeats nothing that was finished. What was handed out gets
a moment to finish before that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from rocket_client.errors import RocketError
from rocket_client.intake import Intake, Surroundings
from rocket_client.message import queue_text
from rocket_client.offsets import Errors, Offsets
from rocket_client.queue_locks import LOCK_SECONDS, TRUST_SECONDS, QueueLocks
from rocket_wire.bodies.body import MessageQueue

log = logging.getLogger("rocket.client")

#: How long the messages in hand of a queue that is given up may take to finish, seconds.
_HAND_OVER: Final = 0.2
_HAND_OVER_ORDERLY: Final = 20.0


class Assignment:
    """One consumer's queues. With `locks`, each is locked before it is read, for orderly consumption."""

    def __init__(
        self,
        around: Surroundings,
        offsets: Offsets,
        begin: Callable[[MessageQueue], Awaitable[int]],
        locks: QueueLocks | None,
    ) -> None:
        """`begin` gives the offset from which to read a queue for which `offsets` has none."""
        self.intakes: dict[MessageQueue, Intake] = {}
        self._around = around
        self._offsets = offsets
        self._begin = begin
        self._locks = locks
        self._committed: dict[MessageQueue, int] = {}
        self._saving = asyncio.Lock()
        self._closing = False

    async def gain(self, queues: Iterable[MessageQueue], strict: bool = False) -> bool:
        """Begins to read these queues. False where that failed for one: to be tried again soon; `strict` raises it."""
        wanted = [queue for queue in queues if queue not in self.intakes]
        locked_until = await self._lock(wanted)
        free = [queue for queue in wanted if queue in locked_until]
        start_offset = self._start_offset if strict else self._start_offset_or_none
        starts = await asyncio.gather(*(start_offset(queue) for queue in free))
        for queue, start in zip(free, starts, strict=True):
            if start is not None and queue not in self.intakes:
                self._open(queue, start, locked_until[queue])
        return all(queue in self.intakes for queue in wanted)

    async def give_up(self, queues: Iterable[MessageQueue]) -> None:
        """Reads these queues no more: commits them, and lets others have them."""
        leaving = [intake for queue in list(queues) if (intake := self.intakes.pop(queue, None)) is not None]
        for intake in leaving:
            intake.close()
        patience = _HAND_OVER if self._locks is None or self._closing else _HAND_OVER_ORDERLY
        await asyncio.gather(*(intake.idle(patience) for intake in leaving))
        for intake in leaving:
            if intake.commit_offset > intake.begun_at:  # said again: another may have had the queue for a moment, too
                self._committed.pop(intake.queue, None)
        await self._save({intake.queue: intake.commit_offset for intake in leaving})
        for intake in leaving:
            self._committed.pop(intake.queue, None)
            log.info("given up: %s at offset %d", queue_text(intake.queue), intake.commit_offset)
        if self._locks is not None and leaving:
            await self._locks.release(intake.queue for intake in leaving)

    async def commit(self) -> Errors:
        """Commits every queue that got further since the last time. What went wrong, by queue."""
        return await self._save({queue: intake.commit_offset for queue, intake in self.intakes.items()})

    async def move(self, offsets: Mapping[MessageQueue, int]) -> None:
        """Goes on from these offsets, and commits them."""
        known = {queue: offset for queue, offset in offsets.items() if queue in self.intakes}
        for queue, offset in known.items():
            self.intakes[queue].restart_at(offset)
        await self._save(known)

    async def renew_locks(self) -> bool:
        """Renews the locks of all queues. False where one was lost: its queue is dropped, to be gained anew."""
        if self._locks is None or not self.intakes:
            return True
        now = asyncio.get_running_loop().time()
        held = await self._locks.acquire(self.intakes)
        lost = []
        for queue, intake in list(self.intakes.items()):
            refused = queue in held and held[queue] is None
            if refused or intake.locked_until - TRUST_SECONDS + LOCK_SECONDS < now:
                lost.append(queue)
            elif (until := held.get(queue)) is not None:
                intake.locked_until = until
                intake.changed()
        for queue in lost:
            log.warning("%s: its lock went to another consumer; what was pulled is dropped", queue_text(queue))
            self.intakes.pop(queue).close()
            self._committed.pop(queue, None)
        return not lost

    def distrust_locks(self, broker_names: set[str]) -> None:
        """Hands nothing out from these brokers until their locks are renewed: they may have forgotten them."""
        now = asyncio.get_running_loop().time()
        for queue, intake in self.intakes.items():
            if queue.broker_name in broker_names:
                intake.locked_until = min(intake.locked_until, now)

    @property
    def lacks_locks(self) -> bool:
        """Whether a queue stands still because its lock is to be renewed first."""
        now = asyncio.get_running_loop().time()
        return self._locks is not None and any(intake.locked_until <= now for intake in self.intakes.values())

    async def close(self) -> None:
        """Gives everything up; what is still in hand comes again."""
        self._closing = True
        await self.give_up(list(self.intakes))
        self._offsets.close()

    async def _lock(self, queues: list[MessageQueue]) -> dict[MessageQueue, float]:
        if self._locks is None:
            return dict.fromkeys(queues, float("inf"))
        held = await self._locks.acquire(queues)
        return {queue: until for queue, until in held.items() if until is not None}

    async def _start_offset(self, queue: MessageQueue) -> int | None:
        kept = await self._offsets.load(queue)
        if kept is None or kept < 0:
            return await self._begin(queue)
        self._committed[queue] = kept  # not to be said again, until it is more: its last owner may get further
        return kept

    async def _start_offset_or_none(self, queue: MessageQueue) -> int | None:
        try:
            return await self._start_offset(queue)
        except RocketError as error:
            log.warning("%s is not read yet, since its offset is not known: %s", queue_text(queue), error)
            return None

    def _open(self, queue: MessageQueue, start: int, locked_until: float) -> None:
        intake = Intake(self._around, queue, start)
        intake.locked_until = locked_until
        self.intakes[queue] = intake
        intake.start()
        log.info("gained: %s from offset %d", queue_text(queue), start)

    async def _save(self, offsets: Mapping[MessageQueue, int]) -> Errors:
        async with self._saving:
            changed = {queue: offset for queue, offset in offsets.items() if self._committed.get(queue) != offset}
            if not changed:
                return {}
            failed = await self._offsets.save(changed)
            for queue, offset in changed.items():
                if queue not in failed:
                    self._committed[queue] = offset
            return failed
