"""What Prometheus reads at /metrics. Everything is taken from the broker's own counters when it is asked for.

Names are Apache's where Apache has one (protocol section 10.1), so that its dashboards work. Series by topic are
bounded: see `statistics.MAX_TOPICS`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from rocket_broker.state import Broker
from rocket_broker.statistics import MAX_TOPICS, PUT_BUCKETS
from rocket_wire.topic_names import DLQ_PREFIX, RETRY_PREFIX


def registry(broker: Broker, connections: Callable[[], int]) -> CollectorRegistry:
    """A registry that reads this broker."""
    found = CollectorRegistry()
    found.register(_BrokerCollector(broker, connections))
    ProcessCollector(registry=found)
    return found


class _BrokerCollector(Collector):
    def __init__(self, broker: Broker, connections: Callable[[], int]) -> None:
        self._broker = broker
        self._connections = connections
        settings = broker.config.settings
        self._labels: Final = [settings.broker_cluster_name, "broker", broker.config.node]

    def collect(self) -> Iterator[Metric]:
        """All metrics, fresh."""
        yield from self._throughput()
        yield from self._lag()
        yield from self._store()
        yield from self._clients()
        yield from self._replication()

    def _throughput(self) -> Iterator[Metric]:
        statistics = self._broker.statistics
        messages = self._counter("rocketmq_messages_in", "Messages stored.", "topic", "is_system", "is_retry")
        size = self._counter("rocketmq_throughput_in", "Bytes stored.", "topic", "is_system", "is_retry")
        for topic, count in statistics.stored_by_topic.items():
            labels = [*self._labels, topic, *self._kind(topic)]
            messages.add_metric(labels, count.messages)
            size.add_metric(labels, count.size)
        yield from (messages, size)
        names = ("topic", "consumer_group", "is_system", "is_retry")
        messages = self._counter("rocketmq_messages_out", "Messages delivered.", *names)
        size = self._counter("rocketmq_throughput_out", "Bytes delivered.", *names)
        for (topic, group), count in statistics.delivered_by_group.items():
            labels = [*self._labels, topic, group, *self._kind(topic)]
            messages.add_metric(labels, count.messages)
            size.add_metric(labels, count.size)
        yield from (messages, size, self._put_latency())

    def _put_latency(self) -> Metric:
        buckets, total = [], 0
        for bound, count in zip([*map(str, PUT_BUCKETS), "+Inf"], self._broker.statistics.put_buckets, strict=True):
            total += count
            buckets.append((bound, float(total)))
        metric = HistogramMetricFamily("rocketmq_put_latency_seconds", "Time to store one message.", labels=_NAMES)
        metric.add_metric(self._labels, buckets, self._broker.statistics.put_seconds)
        return metric

    def _lag(self) -> Iterator[Metric]:
        names = ("consumer_group", "topic", "is_system", "is_retry")
        lag = self._gauge("rocketmq_consumer_lag_messages", "Messages that a consumer group has not consumed.", *names)
        for key, queues in list(self._broker.offsets.table.items())[:MAX_TOPICS]:
            topic, _, group = key.rpartition("@")
            behind = sum(max(0, self._broker.store.max_offset(topic, queue) - at) for queue, at in queues.items())
            lag.add_metric([*self._labels, group, topic, *self._kind(topic)], behind)
        yield lag

    def _store(self) -> Iterator[Metric]:
        store, settings = self._broker.store, self._broker.config.settings
        disk = shutil.disk_usage(settings.root)
        yield self._one(
            "rocketmq_storage_size_bytes", "Bytes of the commit log.", store.max_position - store.min_position
        )
        behind = store.max_position - store.flushed_position
        yield self._one("rocketmq_storage_flush_behind_bytes", "Bytes not yet synced to disk.", behind)
        yield self._one("rocketmq_commitlog_min_position_bytes", "First byte of the commit log.", store.min_position)
        yield self._one("rocketmq_commitlog_max_position_bytes", "End of the commit log.", store.max_position)
        yield self._one("rocketmq_disk_size_bytes", "Size of the store's disk.", disk.total)
        yield self._one("rocketmq_disk_free_bytes", "Free bytes of the store's disk.", disk.free)

    def _clients(self) -> Iterator[Metric]:
        broker = self._broker
        yield self._one("rocketmq_connections", "Open connections.", self._connections())
        yield self._one("rocketmq_held_pulls", "Pulls that wait for a message.", broker.arrivals.count)
        yield self._one("rocketmq_topic_number", "Topics.", len(broker.topics.table))
        yield self._one("rocketmq_consumer_group_number", "Consumer groups.", len(broker.groups.table))
        yield self._one("rocketmq_broker_permission", "4 read, 2 write.", broker.config.settings.broker_permission)
        consumers = self._gauge("rocketmq_consumer_connections", "Connected consumers.", "consumer_group")
        for name, group in list(broker.clients.consumers.items())[:MAX_TOPICS]:
            consumers.add_metric([*self._labels, name], len(group.members))
        yield consumers
        producers = {channel for members in broker.clients.producers.values() for channel in members}
        yield self._one("rocketmq_producer_connections", "Connected producers.", len(producers))

    def _replication(self) -> Iterator[Metric]:
        slaves = self._gauge("rocketmq_slave_behind_bytes", "How far a slave is behind this master.", "slave")
        for address, position in self._broker.slaves():
            slaves.add_metric([*self._labels, address], self._broker.store.max_position - position)
        yield slaves
        connected = int(self._broker.master.is_connected)
        yield self._one("rocketmq_master_connected", "Whether this slave follows its master.", connected)

    def _kind(self, topic: str) -> tuple[str, str]:
        is_system = self._broker.topics.is_system(topic)
        return str(is_system).lower(), str(topic.startswith((RETRY_PREFIX, DLQ_PREFIX))).lower()

    def _counter(self, name: str, text: str, *labels: str) -> CounterMetricFamily:
        return CounterMetricFamily(name, text, labels=[*_NAMES, *labels])

    def _gauge(self, name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, text, labels=[*_NAMES, *labels])

    def _one(self, name: str, text: str, value: float) -> Metric:
        metric = GaugeMetricFamily(name, text, labels=_NAMES)
        metric.add_metric(self._labels, value)
        return metric


_NAMES: Final = ("cluster", "node_type", "node_id")
