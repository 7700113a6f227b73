"""The locks by which one member of a group reads a queue alone, for orderly consumption (protocol section 6.6).

A broker forgets a lock after 60 s without renewal; the holder renews it every 20 s and trusts it for 30 s, counted from
before it asked.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable
from typing import Final

from rocket_client.broker_calls import BrokerCalls
from rocket_client.errors import RocketError
from rocket_wire.bodies.body import MessageQueue

log = logging.getLogger("rocket.client")

LOCK_SECONDS: Final = 60.0
RENEW_SECONDS: Final = 20.0
TRUST_SECONDS: Final = 30.0


class QueueLocks:
    """The locks of one client in one group."""

    def __init__(self, calls: BrokerCalls, group: str) -> None:
        self._calls = calls
        self._group = group

    async def acquire(self, queues: Iterable[MessageQueue]) -> dict[MessageQueue, float | None]:
        """Until when (loop time) each queue is ours; None: another's. Left out: those whose broker gave no answer."""
        answers = await asyncio.gather(*(self._acquire_group(group) for group in _by_broker(queues)))
        return {queue: until for answer in answers for queue, until in answer.items()}

    async def release(self, queues: Iterable[MessageQueue]) -> None:
        """Gives these back; a broker that cannot be told forgets them by itself."""
        await asyncio.gather(*(self._release_group(group) for group in _by_broker(queues)))

    async def _acquire_group(self, queues: list[MessageQueue]) -> dict[MessageQueue, float | None]:
        until = asyncio.get_running_loop().time() + TRUST_SECONDS
        try:
            granted = await self._calls.lock(self._group, queues)
        except RocketError as error:
            log.warning("queues of %s are not locked: %s", queues[0].broker_name, error)
            return {}
        return {queue: until if queue in granted else None for queue in queues}

    async def _release_group(self, queues: list[MessageQueue]) -> None:
        try:
            await self._calls.unlock(self._group, queues)
        except RocketError as error:
            log.info("queues of %s are not unlocked: %s", queues[0].broker_name, error)


def _by_broker(queues: Iterable[MessageQueue]) -> list[list[MessageQueue]]:
    def broker(queue: MessageQueue) -> str:
        return queue.broker_name

    return [list(group) for _, group in itertools.groupby(sorted(queues, key=broker), broker)]
