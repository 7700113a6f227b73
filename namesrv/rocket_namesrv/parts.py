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
        settings = self.settings.current
        if not settings.need_wait_for_service:
            return 0
        return max(0, self.started_at + settings.wait_seconds_for_service * 1000 - self.clock())
