"""For the Prometheus operator, where its kinds exist: which pods to scrape, and when to raise an alarm.

The alerts are about one cluster and its thresholds; docs/runbooks.md has a section for each.
"""

from __future__ import annotations

from typing import Any

from rocket_operator.objects.metadata import CLUSTER_LABEL, Cluster, Component, Manifest, child, labels

_API = "monitoring.coreos.com/v1"
POD_MONITOR, PROMETHEUS_RULE = "PodMonitor", "PrometheusRule"


def pod_monitor(cluster: Cluster) -> Manifest:
    found = _monitored(cluster, POD_MONITOR)
    interval = f"{cluster.spec.monitoring.interval_seconds}s"
    return found | {
        "spec": {
            "selector": {"matchLabels": {CLUSTER_LABEL: cluster.name}},
            "podTargetLabels": [CLUSTER_LABEL, "rocketcluster.dev/group", "rocketcluster.dev/role"],
            "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": interval}],
        }
    }


def prometheus_rule(cluster: Cluster) -> Manifest:
    monitoring = cluster.spec.monitoring
    brokers = f'namespace="{cluster.namespace}", pod=~"{cluster.brokers}-[0-9]+-[0-9]+"'
    servers = f'namespace="{cluster.namespace}", pod=~"{cluster.name_servers}-.+"'
    disk = f"rocketmq_disk_free_bytes{{{brokers}}} / rocketmq_disk_size_bytes{{{brokers}}}"
    lag = f"max by (consumer_group, topic) (rocketmq_consumer_lag_messages{{{brokers}}})"
    behind = f"rocketmq_slave_behind_bytes{{{brokers}}}"
    rules = [
        _alert("RocketConsumerLag", f"{lag} > {monitoring.consumer_lag_messages}", "10m", "warning",
               "{{ $labels.consumer_group }} is {{ $value }} messages behind in {{ $labels.topic }}"),
        _alert("RocketDiskPressure", f"(1 - {disk}) * 100 > {monitoring.disk_used_percent}", "10m", "warning",
               "the disk of {{ $labels.pod }} is {{ $value }} % full"),
        _alert("RocketReplicationLag", f"{behind} > 67108864", "5m", "warning",
               "slave {{ $labels.slave }} is {{ $value }} bytes behind its master"),
        _alert("RocketNameServerDown",
               f"count(rocketmq_namesrv_brokers{{{servers}}}) < {cluster.spec.name_server.replicas}", "5m", "warning",
               f"fewer than {cluster.spec.name_server.replicas} name servers of {cluster.name} answer"),
    ]  # fmt: skip
    return _monitored(cluster, PROMETHEUS_RULE) | {
        "spec": {"groups": [{"name": f"rocketcluster.{cluster.namespace}.{cluster.name}", "rules": rules}]}
    }


def _monitored(cluster: Cluster, kind: str) -> Manifest:
    chosen = labels(cluster, Component.BROKER) | dict(cluster.spec.monitoring.labels)
    return child(cluster, _API, kind, cluster.name, chosen)


def _alert(name: str, expression: str, lasting: str, severity: str, summary: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "runbook": f"docs/runbooks.md#{name.removeprefix('Rocket').lower()}"},
    }
