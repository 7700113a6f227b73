"""The operator's reconciler against the API server of this process, looked at step by step.

async with bench() as b:
    await b.make(broker={"groups": 2})
    await b.until_stable()
    b.edit(broker={"groups": 1})
    assert await b.until_stable() == [...]            what was done and why, in sentences
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from rocket_operator.cluster.actor import Actor
from rocket_operator.cluster.api import Api
from rocket_operator.cluster.events import Events
from rocket_operator.cluster.observer import Observer
from rocket_operator.cluster.reconciler import Outcome, Reconciler
from rocket_operator.objects.metadata import Images
from rocket_testing.fake_brokers import FakeBrokers
from rocket_testing.kubernetes import Kubernetes

IMAGES = Images("broker:{version}", "namesrv:{version}", "1.0")
NAMESPACE, NAME = "default", "orders"
_DEADLINE_SECONDS = 20.0


class Bench:
    """One cluster named orders. `now` is the operator's clock and stands still until it is moved."""

    def __init__(self, kubernetes: Kubernetes, api: Api) -> None:
        self.kubernetes = kubernetes
        self.store = kubernetes.store
        self.brokers = FakeBrokers(kubernetes.store, kubernetes.faults)
        self.now = 1_000_000.0
        self._api = api
        self.restart()

    def restart(self) -> None:
        """Another operator's process takes over; it knows nothing."""
        events = Events(self._api, "test")
        observer = Observer(self._api, self.brokers)
        actor = Actor(self._api, self.brokers, events)
        self._reconciler = Reconciler(self._api, observer, actor, events, IMAGES)

    def make(self, **spec: Any) -> None:
        self.store.create({
            "apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster",
            "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": spec,
        })  # fmt: skip

    def edit(self, **spec: Any) -> None:
        self.store.patch(("RocketCluster", NAMESPACE, NAME), {"spec": spec})

    def delete(self) -> None:
        self.store.delete(("RocketCluster", NAMESPACE, NAME))

    async def look(self) -> Outcome:
        """One look of the operator, after the node did what it had to."""
        self.kubernetes.node.step()
        self.kubernetes.node.step()
        return await self._reconciler.reconcile(NAMESPACE, NAME, lambda: self.now)

    async def until_stable(self) -> list[str]:
        """Looks until the cluster is Stable; the sentences of the Events meanwhile."""
        return await self.until("Stable", "True")

    async def until(self, condition: str, status: str = "True", reason: str | None = None) -> list[str]:
        told = len(self.events())
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            await self.look()
            found = self.condition(condition)
            if found.get("status") == status and reason in (None, found.get("reason")) and self._is_current(found):
                return self.events()[told:]
            assert time.monotonic() < deadline, self.status()
            await asyncio.sleep(0)

    def _is_current(self, found: dict[str, Any]) -> bool:
        body = self.store.get("RocketCluster", NAMESPACE, NAME)
        return body is not None and found["observedGeneration"] == body["metadata"]["generation"]

    def status(self) -> dict[str, Any]:
        body = self.store.get("RocketCluster", NAMESPACE, NAME) or {}
        return dict(body.get("status", {}))

    def condition(self, name: str) -> dict[str, Any]:
        return next((dict(each) for each in self.status().get("conditions", []) if each["type"] == name), {})

    def state(self, group: int) -> str | None:
        return next((each["state"] for each in self.status().get("groups", []) if each["index"] == group), None)

    def events(self) -> list[str]:
        """All Events' messages, oldest first."""
        found = self.store.list("Event")
        return [each["message"] for each in sorted(found, key=lambda each: int(each["metadata"]["resourceVersion"]))]

    def names(self, kind: str) -> list[str]:
        return [each["metadata"]["name"] for each in self.store.list(kind, NAMESPACE)]

    def picture(self) -> dict[tuple[str, str], Any]:
        """Everything there is, without what differs from run to run: what two runs must agree in."""
        kinds = ("ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Service", "PodDisruptionBudget", "Lease",
                 "Deployment", "StatefulSet", "PersistentVolumeClaim")  # fmt: skip
        found: dict[tuple[str, str], Any] = {
            (kind, each["metadata"]["name"]): (each.get("spec"), each.get("data"), each["metadata"].get("labels"))
            for kind in kinds
            for each in self.store.list(kind)
        }
        for pod in self.store.list("Pod"):
            labels = pod["metadata"]["labels"]
            if "rocketcluster.dev/group" in labels:
                found["Pod", pod["metadata"]["name"]] = (pod["spec"], labels)
        return found


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    async with Kubernetes() as kubernetes, Api(kubernetes.configuration) as api:
        yield Bench(kubernetes, api)
