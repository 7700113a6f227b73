"""The operator's parts, built and run: it waits to lead, then watches and reconciles until it is told to stop.

An operator that no longer leads ends its process, and is started anew by whoever runs it: there is no way to keep
something by mistake from the time when it led.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any

from rocket_net.http import HealthServer
from rocket_operator import handlers
from rocket_operator.cluster.actor import Actor
from rocket_operator.cluster.api import Api
from rocket_operator.cluster.brokers import Brokers
from rocket_operator.cluster.events import Events
from rocket_operator.cluster.leader import Leader, Timing
from rocket_operator.cluster.metrics import Key, Metrics
from rocket_operator.cluster.observer import Observer
from rocket_operator.cluster.queue import Queue
from rocket_operator.cluster.reconciler import Outcome, Reconciler
from rocket_operator.objects.metadata import Images

log = logging.getLogger("rocket.operator")

LEASE = "rocket-operator"
#: A cluster that was not looked at for so many resyncs means that this operator hangs.
_SILENT_RESYNCS = 5
_LONGEST_PAUSE = 120.0


@dataclass(frozen=True, slots=True)
class Settings:
    """`namespaces`: which to watch, all when empty. `resync`: seconds. `images` may hold {version}."""

    images: Images
    namespaces: Collection[str] = ()
    instance: str = "rocket-operator"
    lease_namespace: str = ""
    """Where the Lease is; empty: this operator leads without one."""
    timing: Timing = field(default_factory=Timing)
    resync: float = 30.0
    http_host: str = "0.0.0.0"
    http_port: int = 8080


class Operator:
    """One operator's process."""

    def __init__(self, settings: Settings, api: Api, brokers: Brokers) -> None:
        self._settings = settings
        self._api = api
        self.metrics = Metrics()
        events = Events(api, settings.instance)
        observer = Observer(api, brokers)
        actor = Actor(api, brokers, events)
        self._reconciler = Reconciler(api, observer, actor, events, settings.images)
        self._queue = Queue(self._look, self.metrics, settings.resync)
        self.metrics.queue_depth.set_function(self._queue.depth)
        api.on_answer = self.metrics.asked
        self._health = HealthServer(self.metrics.registry, self._ready, self._alive)
        self._leads = False
        self.http_port = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when `stop` is set, or when another operator leads."""
        settings = self._settings
        self.http_port = await self._health.start(settings.http_host, settings.http_port)
        try:
            if not settings.lease_namespace:
                await self._lead(stop)
                return
            leader = Leader(self._api, settings.lease_namespace, LEASE, settings.instance, settings.timing)
            if await _came_first(leader.acquired(), stop):
                await self._lead(stop, leader)
        finally:
            await self._health.stop()

    async def _lead(self, stop: asyncio.Event, leader: Leader | None = None) -> None:
        self._leads = True
        self.metrics.leads.set(1)
        stop_watching = threading.Event()
        watching = asyncio.create_task(self._watch(stop_watching))
        over = [watching, asyncio.create_task(stop.wait())]
        if leader is not None:
            over.append(asyncio.create_task(leader.lost()))
        try:
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leads = False
            self.metrics.leads.set(0)
            stop_watching.set()
            for task in over[1:]:
                task.cancel()
            await self._queue.stop()
            if leader is not None:
                await leader.release()
        await asyncio.gather(*over[1:], return_exceptions=True)
        await watching

    async def _watch(self, stop: threading.Event) -> None:
        loop = asyncio.get_running_loop()

        def wake(key: Key, generation: int | None) -> None:
            loop.call_soon_threadsafe(self._queue.wake, key, generation)

        registry = handlers.registry(wake, self._seen)
        await asyncio.to_thread(handlers.watch, registry, self._settings.namespaces, self._settings.instance, stop)

    async def _look(self, key: Key) -> Outcome:
        return await self._reconciler.reconcile(*key, time.time)

    def _seen(self) -> None:
        self.metrics.heard()

    def _ready(self) -> tuple[bool, str]:
        return True, "leading" if self._leads else "standing by: another operator leads"

    def _alive(self) -> tuple[bool, str]:
        silent = self._queue.oldest_look_seconds() if self._leads else 0.0
        if silent > _SILENT_RESYNCS * self._settings.resync + _LONGEST_PAUSE:
            return False, f"a cluster was not looked at for {silent:.0f} s: the operator hangs"
        return True, "ok"


async def _came_first(wanted: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Whether it ended before `stop` was set. It is cancelled otherwise."""
    tasks = [asyncio.create_task(wanted), asyncio.create_task(stop.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    came = tasks[0].done()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if came:
        tasks[0].result()
    return came
