"""The name servers: a Deployment, its settings, its two Services, its disruption budget."""

from __future__ import annotations

from collections.abc import Sequence

from rocket_operator.objects import pods, settings
from rocket_operator.objects.metadata import (
    HTTP_PORT,
    SETTINGS_ANNOTATION,
    Cluster,
    Component,
    Images,
    Manifest,
    child,
    labels,
    selector,
)
from rocket_operator.spec import Mode

NAMESRV = Component.NAME_SERVER
_FILE = "namesrv.conf"
#: Who is to be waited for changes with each group, and matters only while a name server starts.
_NOT_IN_HASH = frozenset({"expectedBrokers"})
#: Until every node has heard that a stopping pod serves no more.
_STOP_SECONDS = 3


def name_server_settings(cluster: Cluster, expected: Sequence[str]) -> dict[str, str]:
    """namesrv.conf. A new name server is ready once each group in `expected` has registered with it."""
    return {
        "listenPort": str(cluster.spec.name_server.port),
        "kvConfigPath": "/data/kvConfig.json",
        "metricsPromExporterPort": str(HTTP_PORT),
        "metricsPromExporterHost": "0.0.0.0",
        "expectedBrokers": ";".join(expected),
        "deleteTopicWithBrokerRegistration": "true",  # a topic that is deleted on its brokers leaves the routes, too
    } | settings.name_server_settings(cluster.spec)


def config_map(cluster: Cluster, expected: Sequence[str]) -> Manifest:
    found = child(cluster, "v1", "ConfigMap", cluster.name_servers, labels(cluster, NAMESRV))
    return found | {"data": {_FILE: settings.text(name_server_settings(cluster, expected))}}


def deployment(cluster: Cluster, images: Images) -> Manifest:
    spec = cluster.spec.name_server
    changes = settings.restart_hash(name_server_settings(cluster, ()), _NOT_IN_HASH)
    metadata = {"labels": labels(cluster, NAMESRV), "annotations": {SETTINGS_ANNOTATION: changes}}
    container = pods.container(
        cluster, "namesrv", images.name_server, ["-c", f"{pods.CONFIG_FOLDER}/{_FILE}"], spec.resources
    ) | {
        "ports": [{"name": "clients", "containerPort": spec.port, "protocol": "TCP"}, pods.http_port()],
        "startupProbe": pods.probe("/healthz", 1, 60),
        "livenessProbe": pods.probe("/healthz", 10, 6),
        "readinessProbe": pods.probe("/readyz", 2, 2),
        "lifecycle": {"preStop": {"sleep": {"seconds": _STOP_SECONDS}}},
        "volumeMounts": [
            {"name": "config", "mountPath": pods.CONFIG_FOLDER, "readOnly": True},
            {"name": "data", "mountPath": "/data"},
        ],
    }
    pod = pods.pod(cluster, spec.scheduling, [container]) | {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 30,
        "volumes": [
            {"name": "config", "configMap": {"name": cluster.name_servers}},
            {"name": "data", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }
    if constraints := pods.spread(spec.scheduling.node_spread, "kubernetes.io/hostname", selector(cluster, NAMESRV)):
        pod["topologySpreadConstraints"] = constraints
    return child(cluster, "apps/v1", "Deployment", cluster.name_servers, labels(cluster, NAMESRV)) | {
        "spec": {
            "replicas": spec.replicas if cluster.spec.mode is Mode.RUNNING else 0,
            "selector": {"matchLabels": selector(cluster, NAMESRV)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": pods.template(metadata, pod, images, spec.pod_template),
        }
    }


def client_service(cluster: Cluster) -> Manifest:
    """For clients: only name servers that know the routes."""
    service = cluster.spec.name_server.service
    found = _service(cluster, cluster.name_servers, {"type": service.type})
    if service.annotations:
        found["metadata"]["annotations"] = dict(service.annotations)
    return found


def headless_service(cluster: Cluster) -> Manifest:
    """For brokers: every name server, also one that knows no routes yet."""
    return _service(cluster, cluster.headless, {"clusterIP": "None", "publishNotReadyAddresses": True})


def disruption_budget(cluster: Cluster) -> Manifest:
    return budget(cluster, cluster.name_servers, NAMESRV)


def budget(cluster: Cluster, name: str, component: Component, group: int | None = None) -> Manifest:
    """One pod of these may be away; one that does not work anyway may always go."""
    return child(cluster, "policy/v1", "PodDisruptionBudget", name, labels(cluster, component, group)) | {
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(cluster, component, group)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
    }


def _service(cluster: Cluster, name: str, spec: dict[str, object]) -> Manifest:
    port = cluster.spec.name_server.port
    return child(cluster, "v1", "Service", name, labels(cluster, NAMESRV)) | {
        "spec": spec
        | {
            "selector": selector(cluster, NAMESRV),
            "ports": [{"name": "clients", "port": port, "targetPort": "clients", "protocol": "TCP"}],
        }
    }
