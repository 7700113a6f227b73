"""One group of brokers: a StatefulSet, its settings, its Service, its disruption budget, its Lease.

All members of a group are alike: one template, one file of settings. What a member is follows from its ordinal, which
the pod is told as it starts; so is its address, which records carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_operator.objects import pods, settings
from rocket_operator.objects.groups import Group, State
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
from rocket_operator.objects.namesrv import budget
from rocket_operator.spec import Keep, Mode

BROKER = Component.BROKER
FILE = "broker.properties"
VOLUME = "store"
_DATA_FOLDER = "/data"
OPEN, READ_ONLY = "6", "4"


def group_settings(cluster: Cluster, group: Group) -> dict[str, str]:
    """broker.properties. Every live key is in it, so that one that leaves the spec goes back to its default."""
    port = cluster.spec.broker.port
    own = {
        "brokerPermission": OPEN if group.state.takes_messages else READ_ONLY,
        "namesrvAddr": f"{cluster.headless}.{cluster.namespace}.svc:{cluster.spec.name_server.port}",
        "fetchNameSrvAddrByDnsLookup": "true",
        "listenPort": str(port),
        "haListenPort": str(port + 1),
        "storePathRootDir": f"{_DATA_FOLDER}/store",
        "metricsPromExporterPort": str(HTTP_PORT),
        "metricsPromExporterHost": "0.0.0.0",
    }
    if cluster.spec.failover.is_automatic:
        own["leaseStore"] = "kubernetes"
    return {**settings.LIVE_DEFAULTS, **settings.group_settings(cluster.spec, group.index), **own}


def config_map(cluster: Cluster, group: Group) -> Manifest:
    found = child(cluster, "v1", "ConfigMap", cluster.group(group.index), labels(cluster, BROKER, group.index))
    found["metadata"]["annotations"] = group.annotations()
    return found | {"data": {FILE: settings.text(group_settings(cluster, group))}}


def wanted_settings(config_map: Mapping[str, Any]) -> dict[str, str]:
    """The settings in a group's ConfigMap."""
    return settings.parse((config_map.get("data") or {}).get(FILE, ""))


def stateful_set(cluster: Cluster, group: Group, images: Images) -> Manifest:
    index = group.index
    return child(cluster, "apps/v1", "StatefulSet", cluster.group(index), labels(cluster, BROKER, index)) | {
        "spec": {
            "replicas": replicas(cluster, group),
            "serviceName": cluster.group(index),
            "selector": {"matchLabels": selector(cluster, BROKER, index)},
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "persistentVolumeClaimRetentionPolicy": {
                "whenScaled": Keep.RETAIN.value,  # the operator deletes them itself: hibernation scales, too
                "whenDeleted": _when_deleted(cluster, group).value,
            },
            "template": _template(cluster, group, images),
            "volumeClaimTemplates": [_volume_claim(cluster, index)],
        }
    }


def replicas(cluster: Cluster, group: Group) -> int:
    """How many members run. A group that unregisters stops them, which is how they tell everybody."""
    stops = group.state in (State.UNREGISTERING, State.REMOVING) or cluster.spec.mode is Mode.HIBERNATED
    return 0 if stops else cluster.members_per_group


def volume_size(cluster: Cluster, index: int) -> str:
    return cluster.spec.broker.override(index).storage_size or cluster.spec.broker.storage.size


def headless_service(cluster: Cluster, index: int) -> Manifest:
    port = cluster.spec.broker.port
    return child(cluster, "v1", "Service", cluster.group(index), labels(cluster, BROKER, index)) | {
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": selector(cluster, BROKER, index),
            "ports": [
                {"name": "clients", "port": port, "targetPort": "clients", "protocol": "TCP"},
                {"name": "replication", "port": port + 1, "targetPort": "replication", "protocol": "TCP"},
            ],
        }
    }


def disruption_budget(cluster: Cluster, index: int) -> Manifest:
    return budget(cluster, cluster.group(index), BROKER, index)


def lease(cluster: Cluster, index: int) -> Manifest:
    """Whose holder is the group's master. It is made here, since brokers may change their own but create none."""
    return child(cluster, "coordination.k8s.io/v1", "Lease", cluster.group(index), labels(cluster, BROKER, index))


def _when_deleted(cluster: Cluster, group: Group) -> Keep:
    """Whether volumes go with the StatefulSet; when a group is scaled away that is another question."""
    return Keep.RETAIN if group.state.is_leaving else cluster.spec.deletion_policy


def _template(cluster: Cluster, group: Group, images: Images) -> dict[str, Any]:
    spec, chosen = cluster.spec.broker, selector(cluster, BROKER, group.index)
    changes = settings.restart_hash(group_settings(cluster, group))
    metadata = {"labels": labels(cluster, BROKER, group.index), "annotations": {SETTINGS_ANNOTATION: changes}}
    pod = pods.pod(cluster, spec.scheduling, [_container(cluster, group, images)]) | {
        "serviceAccountName": cluster.brokers,
        "automountServiceAccountToken": cluster.spec.failover.is_automatic,  # for the group's Lease
        "terminationGracePeriodSeconds": spec.termination.grace_period_seconds,
        "volumes": [{"name": "config", "configMap": {"name": cluster.group(group.index)}}],
    }
    if affinity := pods.anti_affinity(spec.scheduling.group_anti_affinity, chosen):
        pod["affinity"] = affinity
    if constraints := pods.spread(spec.scheduling.zone_spread, "topology.kubernetes.io/zone", chosen):
        pod["topologySpreadConstraints"] = constraints
    return pods.template(metadata, pod, images, spec.pod_template)


def _container(cluster: Cluster, group: Group, images: Images) -> dict[str, Any]:
    spec = cluster.spec.broker
    args = ["-c", f"{pods.CONFIG_FOLDER}/{FILE}", "--keep-file"]
    args += ["--set", "brokerId=$(ORDINAL)", "--set", "brokerIP1=$(POD_IP)"]
    resources = spec.override(group.index).resources or spec.resources
    probes = spec.probes
    return pods.container(cluster, "broker", images.broker, args, resources) | {
        "env": [
            {"name": "ORDINAL", "valueFrom": _field("metadata.labels['apps.kubernetes.io/pod-index']")},
            {"name": "POD_IP", "valueFrom": _field("status.podIP")},
        ],
        "ports": [
            {"name": "clients", "containerPort": spec.port, "protocol": "TCP"},
            {"name": "vip", "containerPort": spec.port - 2, "protocol": "TCP"},
            {"name": "replication", "containerPort": spec.port + 1, "protocol": "TCP"},
            pods.http_port(),
        ],
        "startupProbe": pods.probe("/healthz", probes.startup.period_seconds, probes.startup.failure_threshold),
        "livenessProbe": pods.probe("/healthz", probes.liveness.period_seconds, probes.liveness.failure_threshold),
        "readinessProbe": pods.probe("/readyz", probes.readiness.period_seconds, probes.readiness.failure_threshold),
        "volumeMounts": [
            {"name": "config", "mountPath": pods.CONFIG_FOLDER, "readOnly": True},
            {"name": VOLUME, "mountPath": _DATA_FOLDER},
        ],
    }


def _field(path: str) -> dict[str, Any]:
    return {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}


def _volume_claim(cluster: Cluster, index: int) -> dict[str, Any]:
    storage = cluster.spec.broker.storage
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": volume_size(cluster, index)}},
    }
    if storage.storage_class_name:
        spec["storageClassName"] = storage.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": VOLUME, "labels": selector(cluster, BROKER, index)},
        "spec": spec,
    }
