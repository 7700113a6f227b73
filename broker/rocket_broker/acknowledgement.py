"""When a send may be answered, and with which status (protocol section 5.2, design section 5 "Acknowledge last").

    ASYNC_FLUSH and ASYNC_MASTER   at once: the bytes are in the kernel
    SYNC_FLUSH                     when they are on the disk;       10 FLUSH_DISK_TIMEOUT where that takes too long
    SYNC_MASTER, inSyncReplicas>1  when enough slaves have them;    12 FLUSH_SLAVE_TIMEOUT where that takes too long,
                                                                    11 SLAVE_NOT_AVAILABLE where too few are in reach

A message whose topic was just made waits for topics.json as well: what was acknowledged must be found after a crash.
A message with WAIT=false waits for nothing. 10, 11 and 12 are statuses of a stored message, not errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Protocol

from rocket_broker.config import LiveConfig
from rocket_broker.durability import Durability
from rocket_broker.saved import Saver
from rocket_broker.settings import BrokerRole, FlushDiskType
from rocket_wire.codes import ResponseCode


class Replicas(Protocol):
    """The slaves, as the master sees them."""

    def in_reach(self, position: int) -> int:
        """How many slaves are connected and close enough behind `position`."""

    async def wait(self, position: int, count: int) -> None:
        """Returns when `count` slaves have the log up to `position`."""


class Acknowledgement:
    """Decides what a stored message waits for."""

    def __init__(self, config: LiveConfig, durability: Durability, replicas: Replicas, topics: Saver) -> None:
        self._config = config
        self._durability = durability
        self._replicas = replicas
        self._topics = topics

    @property
    def is_needed(self) -> bool:
        """Whether a stored message waits for anything; else it may be acknowledged now."""
        to_disk, slaves = self._wanted()
        return to_disk or slaves > 0 or self._topics.pending is not None

    def wait(self, position: int) -> Awaitable[ResponseCode]:
        """What the log up to `position` must wait for by the settings of this moment; gives the status to answer."""
        to_disk, slaves = self._wanted()
        topics = self._topics.pending
        if to_disk and slaves <= 0 and topics is None:
            return self._flush(position)
        waiting = self._wait(position, to_disk, slaves)
        return waiting if topics is None else self._wait_with_topics(topics, waiting)

    def _wanted(self) -> tuple[bool, int]:
        """Whether the disk must have a message, and how many slaves."""
        settings = self._config.settings
        slaves = settings.in_sync_replicas - 1 if settings.broker_role is BrokerRole.SYNC_MASTER else 0
        return settings.flush_disk_type is FlushDiskType.SYNC_FLUSH, slaves

    async def _wait_with_topics(
        self, topics: asyncio.Future[None], waiting: Coroutine[None, None, ResponseCode]
    ) -> ResponseCode:
        status = await waiting
        await asyncio.wait([topics])
        return status or (ResponseCode.SUCCESS if topics.exception() is None else ResponseCode.FLUSH_DISK_TIMEOUT)

    async def _wait(self, position: int, to_disk: bool, slaves: int) -> ResponseCode:
        replicated = asyncio.ensure_future(self._replicate(position, slaves)) if slaves > 0 else None
        status = await self._flush(position) if to_disk else ResponseCode.SUCCESS
        if replicated is not None:
            slave_status = await replicated
            status = status or slave_status
        return status

    def _flush(self, position: int) -> asyncio.Future[ResponseCode]:
        return self._durability.wait(position, self._config.settings.sync_flush_timeout / 1000)

    async def _replicate(self, position: int, slaves: int) -> ResponseCode:
        if self._replicas.in_reach(position) < slaves:
            return ResponseCode.SLAVE_NOT_AVAILABLE
        try:
            async with asyncio.timeout(self._config.settings.slave_timeout / 1000):
                await self._replicas.wait(position, slaves)
        except TimeoutError:
            return ResponseCode.FLUSH_SLAVE_TIMEOUT
        return ResponseCode.SUCCESS
