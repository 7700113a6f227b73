"""Shares a group's queues out: each member asks who its members are, computes its own part, and takes that.

Every 20 s, at once when a broker says that a member came or went, and soon again where something was missing. Queues to
give up come first; those to gain wait a moment where others have them, so that the former owner's commit is seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rocket_client.allocation import allocate
from rocket_client.assignment import Assignment
from rocket_client.broker_calls import BrokerCalls
from rocket_client.errors import BrokerError, RocketError, TopicNotFound
from rocket_client.heartbeat import Heartbeat
from rocket_client.instance import Instance
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.topic_names import RETRY_PREFIX

log = logging.getLogger("rocket.client")

#: How long a former owner of a queue has to commit it, seconds.
_HAND_OVER: Final = 0.5
#: How soon an incomplete rebalance is tried again, at first and at last, seconds. A topic may appear at any time.
_FIRST_RETRY: Final = 0.5
_LAST_RETRY: Final = 3.0
#: After a broker's connection was lost, all members come back one by one; counting them earlier would move queues
#: to and fro. Seconds.
_QUIET: Final = 2.0
#: How long the queues of a broker that left the route are kept for it, so that a restart repeats nothing. Seconds.
_AWAITED: Final = 120.0


@dataclass(frozen=True)
class Part:
    """One member's part of one topic, the topic's brokers, and whether others have parts of it."""

    queues: frozenset[MessageQueue]
    brokers: frozenset[str]
    is_shared: bool


class Rebalance:
    """Keeps one consumer's assignment right. `topics` are those that it is subscribed to now."""

    def __init__(
        self,
        instance: Instance,
        heartbeat: Heartbeat,
        group: str | None,
        topics: Callable[[], list[str]],
        assignment: Assignment,
    ) -> None:
        """`group` None: every queue is ours, as in broadcasting."""
        self._instance = instance
        self._heartbeat = heartbeat
        self._calls = BrokerCalls(instance)
        self._group = group
        self._topics = topics
        self._assignment = assignment
        self._due = asyncio.Event()
        self._turn = asyncio.Lock()
        self._quiet_until = 0.0
        self._complained: set[str] = set()
        self._absent_since: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    def start(self, period: float) -> None:
        """Begins to rebalance by itself, unless it has begun."""
        if self._task is None:
            self._task = self._instance.background.start(self._run(period), "rebalance")

    async def stop(self) -> None:
        """Gains no queue any more; waits for a rebalance under way."""
        self._stopped = True
        async with self._turn:
            if self._task is not None:
                self._task.cancel()

    def soon(self) -> None:
        """Something changed."""
        self._due.set()

    def quiet(self) -> None:
        """A broker's connection was lost: do not count members for a moment."""
        self._quiet_until = asyncio.get_running_loop().time() + _QUIET

    async def once(self) -> bool:
        """Rebalances now. False where it was not complete."""
        async with self._turn:
            complete = True
            topics = [] if self._stopped else self._topics()
            gone = [queue for queue in self._assignment.intakes if queue.topic not in topics]
            await self._assignment.give_up(gone)
            for topic in topics:
                complete &= await self._rebalance(topic)
            return complete

    async def _run(self, period: float) -> None:
        retry = _FIRST_RETRY
        pause = _FIRST_RETRY  # the retry topic appears a moment after the first heartbeat
        while True:
            await self._wait(pause)
            if await self._once_or_later():
                retry, pause = _FIRST_RETRY, period
            else:
                retry, pause = min(retry * 2, _LAST_RETRY), retry

    async def _once_or_later(self) -> bool:
        try:
            return await self.once()
        except Exception:
            log.exception("rebalancing failed and is tried again")
            return False

    async def _wait(self, pause: float) -> None:
        try:
            async with asyncio.timeout(pause):
                await self._due.wait()
        except TimeoutError:
            pass
        self._due.clear()
        await asyncio.sleep(self._quiet_until - asyncio.get_running_loop().time())

    async def _rebalance(self, topic: str) -> bool:
        try:
            part = await self._part(topic)
        except RocketError as error:
            self._complain(topic, error)
            return False
        self._complained.discard(topic)
        if part is None:
            self._heartbeat.soon()
            return False
        have = {queue for queue in self._assignment.intakes if queue.topic == topic}
        await self._assignment.give_up(self._given_up(have, part))
        gained = sorted(part.queues - have)
        if gained and part.is_shared:
            await asyncio.sleep(_HAND_OVER)
        return await self._assignment.gain(gained)

    def _given_up(self, have: set[MessageQueue], part: Part) -> set[MessageQueue]:
        """What is no longer ours. Queues of a broker that is absent are nobody's: they wait for it a while."""
        now = asyncio.get_running_loop().time()
        for name in part.brokers:
            self._absent_since.pop(name, None)
        return {
            queue
            for queue in have - part.queues
            if queue.broker_name in part.brokers
            or self._absent_since.setdefault(queue.broker_name, now) + _AWAITED < now
        }

    async def _part(self, topic: str) -> Part | None:
        """Our part; None where the broker does not count us among the members (yet)."""
        route = await self._instance.routes.get(topic)
        if not self._heartbeat.knows(route.addresses()):
            await self._heartbeat.beat()
        brokers = frozenset(route.brokers)
        if self._group is None:
            return Part(frozenset(route.queues_to_read), brokers, is_shared=False)
        try:
            members = await self._calls.members(self._group, topic)
        except BrokerError:
            return None  # the answer of a broker that knows no member at all
        if self._instance.client_id not in members:
            return None
        mine = allocate(route.queues_to_read, members, self._instance.client_id)
        return Part(frozenset(mine), brokers, is_shared=len(members) > 1)

    def _complain(self, topic: str, error: RocketError) -> None:
        is_new = topic not in self._complained
        self._complained.add(topic)
        level = logging.WARNING if is_new and not _is_expected(topic, error) else logging.DEBUG
        log.log(level, "queues of topic %s stay as they are: %s", topic, error)


def _is_expected(topic: str, error: RocketError) -> bool:
    """A group's retry topic does not exist before its first heartbeat."""
    return topic.startswith(RETRY_PREFIX) and isinstance(error, TopicNotFound)
