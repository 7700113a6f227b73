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


class Slaves(Protocol):
    """The slaves, as a master with a fixed role sees them."""

    def in_reach(self, position: int) -> int:
        """How many slaves are connected and close enough behind `position`."""

    async def wait(self, position: int, count: int) -> None:
        """Returns when `count` slaves have the log up to `position`."""


class Replicas(Protocol):
    """Whether other members must have a message before it is acknowledged."""

    @property
    def is_needed(self) -> bool:
        """Whether a message that is stored now waits for anybody."""

    async def wait(self, position: int) -> ResponseCode:
        """Returns when the log up to `position` is where it must be, or cannot be in time: the status to answer."""


class EnoughSlaves:
    """SYNC_MASTER of a fixed role: `inSyncReplicas` members have it, whichever they are."""

    def __init__(self, config: LiveConfig, slaves: Slaves) -> None:
        self._config = config
        self._slaves = slaves

    @property
    def is_needed(self) -> bool:
        settings = self._config.settings
        return settings.in_sync_replicas > 1 and settings.broker_role is BrokerRole.SYNC_MASTER

    async def wait(self, position: int) -> ResponseCode:
        settings = self._config.settings
        count = settings.in_sync_replicas - 1
        if self._slaves.in_reach(position) < count:
            return ResponseCode.SLAVE_NOT_AVAILABLE
        try:
            async with asyncio.timeout(settings.slave_timeout / 1000):
                await self._slaves.wait(position, count)
        except TimeoutError:
            return ResponseCode.FLUSH_SLAVE_TIMEOUT
        return ResponseCode.SUCCESS


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
        return self._is_for_disk or self._replicas.is_needed or self._topics.pending is not None

    def wait(self, position: int) -> Awaitable[ResponseCode]:
        """What the log up to `position` must wait for by the settings of this moment; gives the status to answer."""
        to_disk, to_replicas = self._is_for_disk, self._replicas.is_needed
        topics = self._topics.pending
        if to_disk and not to_replicas and topics is None:
            return self._flush(position)
        waiting = self._wait(position, to_disk=to_disk, to_replicas=to_replicas)
        return waiting if topics is None else self._wait_with_topics(topics, waiting)

    @property
    def _is_for_disk(self) -> bool:
        return self._config.settings.flush_disk_type is FlushDiskType.SYNC_FLUSH

    async def _wait_with_topics(
        self, topics: asyncio.Future[None], waiting: Coroutine[None, None, ResponseCode]
    ) -> ResponseCode:
        status = await waiting
        await asyncio.wait([topics])
        return status or (ResponseCode.SUCCESS if topics.exception() is None else ResponseCode.FLUSH_DISK_TIMEOUT)

    async def _wait(self, position: int, *, to_disk: bool, to_replicas: bool) -> ResponseCode:
        replicated = asyncio.ensure_future(self._replicas.wait(position)) if to_replicas else None
        status = await self._flush(position) if to_disk else ResponseCode.SUCCESS
        if replicated is not None:
            replica_status = await replicated
            status = status or replica_status
        return status

    def _flush(self, position: int) -> asyncio.Future[ResponseCode]:
        return self._durability.wait(position, self._config.settings.sync_flush_timeout / 1000)
