"""What the processors work with: the parts of one name server."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rocket_namesrv.kv_config import KvConfig
from rocket_namesrv.live_settings import LiveSettings
from rocket_namesrv.metrics import Metrics
from rocket_namesrv.routes import RouteTable


class Parts(NamedTuple):
    """`clock` gives milliseconds that never go back."""

    routes: RouteTable
    settings: LiveSettings
    kv: KvConfig
    metrics: Metrics
    clock: Callable[[], int]
    started_at: int

    def warm_up_millis_left(self) -> int:
        """How long no route is told yet, because brokers must register first; 0 from then on."""
        return self._wait_millis_left() if self.settings.current.need_wait_for_service else 0

    def missing_brokers(self) -> list[str]:
        """The expected brokers whose master has not registered; none once they were waited for long enough."""
        if not self._wait_millis_left():
            return []
        return [name for name in self.settings.current.expected_broker_names if not self.routes.has_master(name)]

    def _wait_millis_left(self) -> int:
        return max(0, self.started_at + self.settings.current.wait_seconds_for_service * 1000 - self.clock())
