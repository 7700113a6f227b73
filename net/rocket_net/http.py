"""A process as its operators see it: `/metrics` for Prometheus, `/healthz` and `/readyz` for Kubernetes.

/healthz    200 as long as the event loop answers: restart the process when it does not
/readyz     200 when the process does its work, else 503; the body says why
/metrics    what is in the registry, in the format that the asker prefers
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Histogram, exposition

from rocket_net.server import AddressInUse

log = logging.getLogger("rocket.net")

Ready = Callable[[], tuple[bool, str]]

#: Seconds that a stop waits for an answer under way.
_STOP_SECONDS: Final = 1.0


class HealthServer:
    """Answers the three paths. Use: `start`, later `stop`."""

    def __init__(self, registry: CollectorRegistry, ready: Ready, alive: Ready | None = None) -> None:
        """`ready` says whether the process is ready, and in a sentence what it does or waits for.

        `alive` says whether it still does its work; without it, an answer is proof enough.
        """
        self._registry = registry
        self._ready = ready
        self._alive = alive or _answers
        self._runner: web.AppRunner | None = None

    def show(self, registry: CollectorRegistry, ready: Ready) -> None:
        """From now on these are asked: a process that has something to do first answers before it has figures."""
        self._registry, self._ready = registry, ready

    async def start(self, host: str, port: int, *, or_free_port: bool = False) -> int:
        """Listens; an empty host is every interface, port 0 takes a free one. Returns the port. Raises AddressInUse.

        `or_free_port` is for a port that nobody asked for: several processes on one machine have the same default, so
        where it is taken, another one is better than no start.
        """
        try:
            return await self._listen(host, port)
        except AddressInUse as error:
            if not or_free_port:
                raise
            log.warning("%s; taking a free one", error.strerror)
            return await self._listen(host, 0)

    async def _listen(self, host: str, port: int) -> int:
        app = web.Application()
        app.add_routes([
            web.get("/healthz", self._healthz), web.get("/readyz", self._readyz), web.get("/metrics", self._metrics),
        ])  # fmt: skip
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, host or None, port).start()
        except OSError as error:
            await runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                text = f"port {port} for metrics and health is in use: set metricsPromExporterPort to another one"
                raise AddressInUse(errno.EADDRINUSE, text) from None
            raise
        self._runner = runner
        bound: int = runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _healthz(self, _: web.Request) -> web.Response:
        return _said(*self._alive())

    async def _readyz(self, _: web.Request) -> web.Response:
        return _said(*self._ready())

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


def _answers() -> tuple[bool, str]:
    return True, "ok"


def _said(holds: bool, reason: str) -> web.Response:
    return web.Response(text=reason + "\n", status=200 if holds else 503)


class LoopDelay:
    """Measures how late the event loop comes to what is due: the delay that every request suffers."""

    def __init__(self, registry: CollectorRegistry, interval_seconds: float = 0.5) -> None:
        self._interval = interval_seconds
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._delays = Histogram(
            "rocketmq_event_loop_delay_seconds",
            "How late a timer fires, which is how long a request waits for the event loop.",
            registry=registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
        )

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + self._interval
        self._timer = loop.call_at(self._due, self._sample)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _sample(self) -> None:
        self._delays.observe(max(0.0, asyncio.get_running_loop().time() - self._due))
        self.start()
