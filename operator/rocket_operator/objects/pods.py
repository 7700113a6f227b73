"""What name server pods and broker pods have in common, and how a podTemplate of the resource is laid over them.

Every pod meets the restricted pod security standard: a numeric user, no capability, no privilege, a root file system
that cannot be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rocket_operator.objects.metadata import HTTP_PORT, Cluster, Images
from rocket_operator.spec import Resources, Scheduling, Wish

CONFIG_FOLDER = "/etc/rocketcluster"

#: Lists in a pod that are matched by a field of their items, as Kubernetes' strategic merge does.
_MERGE_KEYS = {
    "containers": "name", "initContainers": "name", "volumes": "name", "env": "name", "imagePullSecrets": "name",
    "volumeMounts": "mountPath", "ports": "containerPort", "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}  # fmt: skip


def pod_security(cluster: Cluster) -> dict[str, Any]:
    security = cluster.spec.security
    return {
        "runAsNonRoot": True,
        "runAsUser": security.run_as_user,
        "runAsGroup": security.run_as_user,
        "fsGroup": security.fs_group,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container(cluster: Cluster, name: str, image: str, args: Sequence[str], resources: Resources) -> dict[str, Any]:
    logging = cluster.spec.logging
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": cluster.spec.image.pull_policy,
        "args": [*args, "--log-format", logging.format, "--log-level", logging.level],
        "resources": {"requests": dict(resources.requests), "limits": dict(resources.limits)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def probe(path: str, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 3,
    }


def http_port() -> dict[str, Any]:
    return {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}


def pod(cluster: Cluster, scheduling: Scheduling, containers: list[dict[str, Any]]) -> dict[str, Any]:
    """A pod's spec without its volumes."""
    spec: dict[str, Any] = {
        "containers": containers,
        "securityContext": pod_security(cluster),
        "enableServiceLinks": False,
    }
    if scheduling.node_selector:
        spec["nodeSelector"] = dict(scheduling.node_selector)
    if scheduling.tolerations:
        spec["tolerations"] = [dict(each) for each in scheduling.tolerations]
    if scheduling.priority_class_name:
        spec["priorityClassName"] = scheduling.priority_class_name
    if secrets := cluster.spec.image.pull_secrets:
        spec["imagePullSecrets"] = [dict(secret) for secret in secrets]
    return spec


def spread(wish: Wish, topology: str, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Spreads pods with these labels over a topology's values, or does not."""
    if wish is Wish.NONE:
        return []
    return [
        {
            "maxSkew": 1,
            "topologyKey": topology,
            "whenUnsatisfiable": "DoNotSchedule" if wish is Wish.REQUIRED else "ScheduleAnyway",
            "labelSelector": {"matchLabels": dict(labels)},
        }
    ]


def anti_affinity(wish: Wish, labels: Mapping[str, str]) -> dict[str, Any]:
    """Keeps pods with these labels on different nodes."""
    term = {"labelSelector": {"matchLabels": dict(labels)}, "topologyKey": "kubernetes.io/hostname"}
    if wish is Wish.NONE:
        return {}
    if wish is Wish.REQUIRED:
        return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    weighted = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": weighted}}


def template(metadata: dict[str, Any], spec: dict[str, Any], images: Images, over: Mapping[str, Any]) -> dict[str, Any]:
    """A pod template with the resource's podTemplate laid over it. The version is a label, in no selector.

    Labels of ours stay as they are: selectors go by them, and so does who looks for the pods.
    """
    own = {**metadata["labels"], "app.kubernetes.io/version": images.version[:63]}
    laid: dict[str, Any] = overlay({"metadata": metadata, "spec": spec}, over)
    described = laid.get("metadata") or {}
    return laid | {"metadata": {**described, "labels": {**(described.get("labels") or {}), **own}}}


def overlay(under: Any, over: Any, field: str = "") -> Any:
    """`over` laid over `under`: mappings field by field (null takes a field away), known lists item by item."""
    if isinstance(under, dict) and isinstance(over, Mapping):
        merged = dict(under)
        for key, value in over.items():
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = overlay(merged.get(key), value, key)
        return merged
    key = _MERGE_KEYS.get(field)
    if isinstance(under, list) and isinstance(over, list) and key:
        return _overlay_items(under, over, key)
    return over


def _overlay_items(under: list[Any], over: list[Any], key: str) -> list[Any]:
    added = {item.get(key): item for item in over if isinstance(item, dict)}
    known = [overlay(item, added.pop(item[key])) if item.get(key) in added else item for item in under]
    return known + list(added.values())
