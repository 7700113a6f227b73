"""One name server: its parts, built, started and stopped. It knows no other name server; brokers register with each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from rocket_namesrv import processors
from rocket_namesrv.kv_config import KvConfig
from rocket_namesrv.live_settings import LiveSettings
from rocket_namesrv.metrics import Metrics
from rocket_namesrv.parts import Parts
from rocket_namesrv.routes import RouteTable
from rocket_namesrv.settings import NamesrvSettings
from rocket_net.connection import Connection
from rocket_net.http import HealthServer, LoopDelay
from rocket_net.limits import Limits
from rocket_net.properties_file import Configuration
from rocket_net.server import Server
from rocket_wire.frame import SerializeType

log = logging.getLogger("rocket.namesrv")


def monotonic_millis() -> int:
    """Milliseconds that never go back, from no particular beginning."""
    return time.monotonic_ns() // 1_000_000


class NameServer:
    """Listens for brokers and clients, and on a second port for Prometheus and Kubernetes."""

    def __init__(
        self,
        configuration: Configuration[NamesrvSettings],
        clock: Callable[[], int] = monotonic_millis,
        serialize: SerializeType = SerializeType.JSON,
    ) -> None:
        """Reads the key-value store: raises KvConfigError."""
        settings = configuration.settings
        routes = RouteTable()
        metrics = Metrics(routes, lambda: len(self._server.connections))
        kv = KvConfig(Path(settings.kv_config_path))
        self.port = 0
        self.http_port = 0
        self._parts = Parts(routes, LiveSettings(configuration), kv, metrics, clock, clock())
        self._server = Server(processors.table(self._parts), _limits(settings), serialize, self._lost)
        self._health = HealthServer(metrics.registry, self._ready)
        self._loop_delay = LoopDelay(metrics.registry)
        self._scan: asyncio.TimerHandle | None = None
        self._is_stopping = False

    async def start(self) -> None:
        """Listens on both ports. Raises AddressInUse, and then neither is taken."""
        settings = self._parts.settings.current
        self.http_port = await self._health.start(
            settings.metrics_prom_exporter_host,
            settings.metrics_prom_exporter_port,
            or_free_port=not self._parts.settings.is_given("metricsPromExporterPort"),
        )
        try:
            self.port = await self._server.start(settings.bind_address, settings.listen_port)
        except OSError:
            await self._health.stop()
            raise
        self._loop_delay.start()
        self._schedule_scan()

    async def stop(self) -> None:
        """Answers what is under way, then closes both ports."""
        self._is_stopping = True
        if self._scan is not None:
            self._scan.cancel()
        self._loop_delay.stop()
        await self._server.stop()
        await self._health.stop()

    def expire_silent_brokers(self) -> None:
        """Drops brokers that fell silent and closes their connections, so that a live one notices and comes back."""
        for gone in self._parts.routes.expire(self._parts.clock()):
            log.warning("broker %s of cluster %s dropped: not heard for too long", gone.address, gone.cluster)
            self._parts.metrics.brokers_expired.inc()
            if isinstance(gone.connection, Connection):
                gone.connection.close()

    def _schedule_scan(self) -> None:
        interval = self._parts.settings.current.scan_not_active_broker_interval / 1000
        self._scan = asyncio.get_running_loop().call_later(interval, self._scan_brokers)

    def _scan_brokers(self) -> None:
        self.expire_silent_brokers()
        self._schedule_scan()

    def _lost(self, connection: Connection) -> None:
        for gone in self._parts.routes.disconnect(connection):
            log.info("broker %s of cluster %s dropped: its connection closed", gone.address, gone.cluster)

    def _ready(self) -> tuple[bool, str]:
        if self._is_stopping:
            return False, "stopping"
        if not self.port:
            return False, "starting"
        left = self._parts.warm_up_millis_left()
        if left > 0:
            return False, f"waiting {left / 1000:.0f} s more for brokers to register (waitSecondsForService)"
        if missing := self._parts.missing_brokers():
            return False, f"waiting for {', '.join(missing)} to register (expectedBrokers)"
        brokers = sum(self._parts.routes.broker_counts().values())
        return True, f"ready, brokers registered: {brokers}"


def _limits(settings: NamesrvSettings) -> Limits:
    return Limits(
        idle_seconds=settings.server_channel_max_idle_time_seconds, max_connections=settings.server_max_connections
    )
