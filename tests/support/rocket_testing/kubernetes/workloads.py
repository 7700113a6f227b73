"""The controllers that make pods and claims, and a node that runs them at once.

`Node.step` is one pass over everything; it is called again until nothing changes. A pod is Ready unless a test says
otherwise: its image cannot be pulled (`unpullable`), or `is_ready` says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from rocket_testing.kubernetes.store import Object, Store, key_of, owned_by

_POD_INDEX = "apps.kubernetes.io/pod-index"
_REVISION = "controller-revision-hash"


class Node:
    """Runs the workloads of a store."""

    def __init__(self, store: Store) -> None:
        self.unpullable: set[str] = set()
        self.is_ready: Callable[[Object], bool] = lambda pod: True
        self._store = store
        self._addresses = itertools.count(1)
        self._woken = asyncio.Event()
        store.on_change.append(lambda event, one: self._woken.set())

    def look_again(self) -> None:
        """What a test decides has changed."""
        self._woken.set()

    async def run(self) -> None:
        """Never returns."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            self.step()

    def step(self) -> None:
        for kind, make in (("StatefulSet", self._stateful_set), ("Deployment", self._deployment)):
            for workload in self._store.list(kind):
                if "deletionTimestamp" not in workload["metadata"]:
                    make(workload)
        for claim in self._store.list("PersistentVolumeClaim"):
            self._bind(claim)
        for pod in self._store.list("Pod"):
            self._run_pod(pod)

    # -- controllers ----------------------------------------------------------------------------------------------

    def _stateful_set(self, workload: Object) -> None:
        spec, name = workload["spec"], workload["metadata"]["name"]
        revision = _revision(name, spec["template"])
        pods = self._pods(workload)
        for pod in pods:
            if int(pod["metadata"]["labels"][_POD_INDEX]) >= spec["replicas"]:
                self._store.delete(key_of(pod))
        for ordinal in range(spec["replicas"]):
            if all(pod["metadata"]["name"] != f"{name}-{ordinal}" for pod in pods):
                self._claims(workload, ordinal)
                labels = {_POD_INDEX: str(ordinal), _REVISION: revision}
                self._make_pod(workload, f"{name}-{ordinal}", labels)
        for claim in self._claims_of(workload):
            self._own(claim, workload, spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete")
        ready = [pod for pod in self._pods(workload) if _is_ready(pod)]
        self._status(
            workload, {"readyReplicas": len(ready), "updateRevision": revision, "replicas": len(self._pods(workload))}
        )

    def _deployment(self, workload: Object) -> None:
        spec, name = workload["spec"], workload["metadata"]["name"]
        revision = _revision(name, spec["template"])
        pods = self._pods(workload)
        current = [pod for pod in pods if pod["metadata"]["labels"]["pod-template-hash"] == revision]
        for pod in current[spec["replicas"] :]:
            self._store.delete(key_of(pod))
        for _ in range(spec["replicas"] - len(current)):
            number = next(self._addresses)
            self._make_pod(workload, f"{name}-{revision[:6]}-{number}", {"pod-template-hash": revision})
        current = [pod for pod in self._pods(workload) if pod["metadata"]["labels"]["pod-template-hash"] == revision]
        ready = [pod for pod in current if _is_ready(pod)]
        if len(ready) >= spec["replicas"]:
            for pod in self._pods(workload):
                if pod["metadata"]["labels"]["pod-template-hash"] != revision:
                    self._store.delete(key_of(pod))
        pods = self._pods(workload)
        counts = {"replicas": len(pods), "updatedReplicas": len(current), "readyReplicas": sum(map(_is_ready, pods))}
        self._status(workload, counts)

    def _status(self, workload: Object, counts: dict[str, Any]) -> None:
        found = {"observedGeneration": workload["metadata"]["generation"], **counts}
        self._store.patch(key_of(workload), {"status": found}, "status")

    def _pods(self, workload: Object) -> list[Object]:
        selector = ",".join(f"{key}={value}" for key, value in workload["spec"]["selector"]["matchLabels"].items())
        return self._store.list("Pod", workload["metadata"]["namespace"], selector)

    def _make_pod(self, workload: Object, name: str, labels: dict[str, str]) -> None:
        template = workload["spec"]["template"]
        metadata = {
            "name": name,
            "namespace": workload["metadata"]["namespace"],
            "labels": {**template["metadata"]["labels"], **labels},
            "annotations": template["metadata"].get("annotations", {}),
            "ownerReferences": list(owned_by(workload)),
        }
        self._store.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})

    # -- claims ---------------------------------------------------------------------------------------------------

    def _claims(self, workload: Object, ordinal: int) -> None:
        namespace = workload["metadata"]["namespace"]
        for template in workload["spec"]["volumeClaimTemplates"]:
            name = f"{template['metadata']['name']}-{workload['metadata']['name']}-{ordinal}"
            if self._store.get("PersistentVolumeClaim", namespace, name) is None:
                metadata = {"name": name, "namespace": namespace, "labels": template["metadata"].get("labels", {})}
                spec = {"storageClassName": "standard", **template["spec"]}
                self._store.create(
                    {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
                )

    def _claims_of(self, workload: Object) -> Iterator[Object]:
        for claim in self._store.list("PersistentVolumeClaim", workload["metadata"]["namespace"]):
            if f"-{workload['metadata']['name']}-" in claim["metadata"]["name"]:
                yield claim

    def _own(self, claim: Object, workload: Object, wanted: bool) -> None:
        owners = list(owned_by(workload, controller=False)) if wanted else []
        if claim["metadata"].get("ownerReferences", []) != owners:
            self._store.patch(key_of(claim), {"metadata": {"ownerReferences": owners}})

    def _bind(self, claim: Object) -> None:
        if claim.get("status", {}).get("phase") != "Bound":
            size = claim["spec"]["resources"]["requests"]["storage"]
            self._store.patch(key_of(claim), {"status": {"phase": "Bound", "capacity": {"storage": size}}}, "status")

    # -- the node -------------------------------------------------------------------------------------------------

    def _run_pod(self, pod: Object) -> None:
        image = pod["spec"]["containers"][0]["image"]
        before = pod.get("status", {})
        state: Object = {"running": {}}
        if image in self.unpullable:
            state = {"waiting": {"reason": "ImagePullBackOff", "message": f"cannot pull {image}"}}
        ready = image not in self.unpullable and self.is_ready(pod)
        status = {
            "phase": "Running" if ready else "Pending",
            "podIP": before.get("podIP") or f"10.0.0.{next(self._addresses)}",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"name": "main", "state": state, "image": image}],
        }
        self._store.patch(key_of(pod), {"status": status}, "status")


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _revision(name: str, template: Object) -> str:
    return f"{name}-{hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]}"
