"""Small RocketClusters for tests."""

from __future__ import annotations

from typing import Any


def cluster(name: str, *, groups: int = 1, slaves: int = 1, storage: str = "1Gi", **spec: Any) -> dict[str, Any]:
    """A cluster with one name server, small volumes and small requests. Further keywords are fields of the spec."""
    broker = {
        "groups": groups,
        "slavesPerGroup": slaves,
        "storage": {"size": storage},
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        "config": {"mappedFileSizeCommitLog": "16777216"},
    }
    return {
        "apiVersion": "rocketcluster.dev/v1alpha1",
        "kind": "RocketCluster",
        "metadata": {"name": name},
        "spec": {"nameServer": {"replicas": 1}, **spec, "broker": {**broker, **spec.get("broker", {})}},
    }


def endpoint(name: str, namespace: str) -> str:
    """Where clients find its name servers."""
    return f"{name}-namesrv.{namespace}.svc:9876"
