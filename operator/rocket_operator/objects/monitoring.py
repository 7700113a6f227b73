"""For the Prometheus operator, where its kinds exist: which pods to scrape, and when to raise an alarm.

The alerts are about one cluster and its thresholds; docs/runbooks.md has a section for each. They know the cluster's
pods by the labels that the PodMonitor gives them, and say which cluster they are about by `namespace` and `name`, as
the operator's own alerts do (charts/rocketcluster/alerts). What is said of a pod is aggregated to its name: its address
changes with each restart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rocket_operator.objects import settings
from rocket_operator.objects.metadata import CLUSTER_LABEL, Cluster, Component, Manifest, child, labels
from rocket_operator.spec import Mode

_API = "monitoring.coreos.com/v1"
POD_MONITOR, PROMETHEUS_RULE = "PodMonitor", "PrometheusRule"

#: A slave this far behind has more to catch up than a pause of its network or disk explains.
_FAR_BEHIND_BYTES = 64 << 20
#: A broker's own size of a file of its log; a test compares them.
SEGMENT_BYTES = 1 << 30

Rule = dict[str, Any]


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
    rules = [*_about_brokers(cluster)]
    if cluster.spec.mode is Mode.RUNNING:  # else nothing answers, and nothing should
        rules += _about_scraping(cluster)
    for rule in rules:
        rule["labels"] |= {"namespace": cluster.namespace, "name": cluster.name}
    name = f"rocketcluster.{cluster.namespace}.{cluster.name}"
    return _monitored(cluster, PROMETHEUS_RULE) | {"spec": {"groups": [{"name": name, "rules": rules}]}}


def _about_brokers(cluster: Cluster) -> Iterator[Rule]:
    limits, segment = cluster.spec.monitoring, _segment_bytes(cluster)
    masters = _of(cluster, 'node_id=~".+-0"')  # a slave tells the same of consumers, a little later
    slaves = _of(cluster, 'node_id!~".+-0"')
    pods = _of(cluster)
    lag = f"sum by (consumer_group, topic) (rocketmq_consumer_lag_messages{masters})"
    used = f"max by (pod) (100 * (1 - rocketmq_disk_free_bytes{pods} / rocketmq_disk_size_bytes{pods}))"
    free = f"min by (pod) (rocketmq_disk_free_bytes{pods})"
    behind = f"max by (pod) (rocketmq_slave_behind_bytes{pods})"
    before = f"max by (pod) (rocketmq_slave_behind_bytes{pods} offset 5m)"
    follows = f"max by (pod) (rocketmq_master_connected{slaves})"
    known = f"sum by (pod) (rocketmq_namesrv_brokers{pods})"
    nobody = f"sum by (pod) (0 * rocketmq_namesrv_connections{pods})"  # who knows no broker tells no number
    yield _alert(
        "RocketConsumerLag", f"{lag} > {limits.consumer_lag_messages}", "10m", "warning",
        "{{ $labels.consumer_group }} is {{ $value | humanize }} messages behind in {{ $labels.topic }} of "
        f"{cluster.namespace}/{cluster.name}",
    )  # fmt: skip
    yield _alert(
        "RocketDiskPressure", f"{used} > {limits.disk_used_percent}", "10m", "warning",
        'the disk of {{ $labels.pod }} is {{ $value | printf "%.0f" }} % full',
    )  # fmt: skip
    yield _alert(
        "RocketDiskFull", f"{free} < {segment}", "5m", "critical",
        "{{ $labels.pod }} has {{ $value | humanize1024 }}B of disk left, and refuses messages once its log needs "
        f"another {segment >> 20} MiB",
    )  # fmt: skip
    yield _alert(  # one that has just started is behind, too, but less and less so
        "RocketReplicationLag", f"{behind} > {_FAR_BEHIND_BYTES} and {behind} >= {before}", "10m", "warning",
        "a slave of {{ $labels.pod }} is {{ $value | humanize1024 }}B behind and does not catch up",
    )  # fmt: skip
    yield _alert(
        "RocketSlaveDisconnected", f"{follows} == 0", "10m", "warning",
        "{{ $labels.pod }} does not follow its master: it has none of the new messages",
    )  # fmt: skip
    yield _alert(
        "RocketRouteMissing", f"({known} or {nobody}) < scalar(max({known}))", "5m", "warning",
        "the name server {{ $labels.pod }} knows {{ $value }} brokers, which is fewer than another one knows",
    )  # fmt: skip


def _about_scraping(cluster: Cluster) -> Iterator[Rule]:
    """Who answers Prometheus. A process that is down and one that is out of its reach look the same from there."""
    wanted = cluster.spec.name_server.replicas
    where, pods = f"{cluster.namespace}/{cluster.name}", _of(cluster)
    answering = f"(count(rocketmq_namesrv_connections{pods}) or vector(0))"
    yield _alert(
        "RocketNameServerDown", f"{answering} < {wanted} and on () count(up{pods} == 1) > 0", "5m", "warning",
        f"{{{{ $value }}}} of {wanted} name servers of {where} answer",
    )  # fmt: skip
    if cluster.spec.monitoring.pod_monitor == "Enabled":
        yield _alert(
            "RocketNotScraped", f"max by (pod) (up{pods}) == 0 or absent(up{pods} == 1)", "15m", "warning",
            "Prometheus reads no metrics of {{ with $labels.pod }}{{ . }}{{ else }}any pod{{ end }} of "
            f"{where}: alerts about lag, disks and replication are blind there",
        )  # fmt: skip


def _of(cluster: Cluster, *more: str) -> str:
    """What chooses this cluster's series."""
    chosen = [f'namespace="{cluster.namespace}"', f'rocketcluster_dev_cluster="{cluster.name}"', *more]
    return "{" + ", ".join(chosen) + "}"


def _segment_bytes(cluster: Cluster) -> int:
    """What a broker reserves at once for its log: the most of any group."""
    groups = [settings.group_settings(cluster.spec, index) for index in range(cluster.spec.broker.groups)]
    return max((int(each.get("mappedFileSizeCommitLog", SEGMENT_BYTES)) for each in groups), default=SEGMENT_BYTES)


def _monitored(cluster: Cluster, kind: str) -> Manifest:
    chosen = labels(cluster, Component.BROKER) | dict(cluster.spec.monitoring.labels)
    return child(cluster, _API, kind, cluster.name, chosen)


def _alert(name: str, expression: str, lasting: str, severity: str, summary: str) -> Rule:
    return {
        "alert": name,
        "expr": expression,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "runbook": f"docs/runbooks.md#{name.removeprefix('Rocket').lower()}"},
    }
