"""What a name server counts, and what it reads off its route table when Prometheus asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from rocket_namesrv.routes import RouteTable


class Metrics:
    """Counters that processors raise. In a registry of its own, so that two name servers can share a process."""

    def __init__(self, routes: RouteTable, connections: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Table(routes, connections))
        registrations = Counter(
            "rocketmq_namesrv_registrations", "Broker registrations.", ["result"], registry=self.registry
        )
        self.registrations_accepted = registrations.labels("accepted")
        self.registrations_refused = registrations.labels("refused")
        requests = Counter("rocketmq_namesrv_route_requests", "Route requests.", ["result"], registry=self.registry)
        self.routes_found = requests.labels("found")
        self.routes_missing = requests.labels("missing")
        self.routes_refused = requests.labels("refused")
        self.brokers_expired = Counter(
            "rocketmq_namesrv_brokers_expired", "Brokers dropped because they fell silent.", registry=self.registry
        )


class _Table(Collector):
    def __init__(self, routes: RouteTable, connections: Callable[[], int]) -> None:
        self._routes = routes
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        brokers = GaugeMetricFamily("rocketmq_namesrv_brokers", "Live brokers.", labels=["cluster"])
        for cluster, count in self._routes.broker_counts().items():
            brokers.add_metric([cluster], count)
        yield brokers
        yield GaugeMetricFamily("rocketmq_namesrv_topics", "Topics.", len(self._routes.topics()))
        yield GaugeMetricFamily("rocketmq_namesrv_connections", "Open connections.", self._connections())
