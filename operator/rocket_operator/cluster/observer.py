"""One look at a cluster: lists its children from the API, then asks its brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rocket_operator.cluster import reading
from rocket_operator.cluster.api import Api, ApiError
from rocket_operator.cluster.brokers import Brokers
from rocket_operator.cluster.kinds import CHILDREN, OPTIONAL
from rocket_operator.cluster.needs import needs
from rocket_operator.objects.metadata import (
    CLUSTER_LABEL,
    FIELD_MANAGER,
    MANAGED_LABEL,
    Cluster,
    Images,
    Manifest,
    is_owned,
)
from rocket_operator.rollout.resources import DeclaredGroup, DeclaredTopic
from rocket_operator.rollout.view import Observed, View, Volume


@dataclass(frozen=True)
class Declared:
    """The RocketTopics and RocketConsumerGroups of one namespace, whichever cluster they name."""

    topics: tuple[DeclaredTopic, ...]
    consumer_groups: tuple[DeclaredGroup, ...]


class Observer:
    """Looks; remembers nothing."""

    def __init__(self, api: Api, brokers: Brokers) -> None:
        self._api = api
        self._brokers = brokers

    async def look(self, cluster: Cluster, images: Images, now: float) -> View:
        """Everything of a cluster at once. Raises ApiError."""
        view = View(cluster, images, await self._observe(cluster), now)
        wanted = needs(view)
        brokers, routes = await asyncio.gather(
            self._brokers.observe(view, wanted),
            self._brokers.routes(view) if wanted.routes else _nothing(),
        )
        return replace(view, observed=replace(view.observed, brokers=brokers, routes=routes))

    async def declared(self, namespace: str) -> Declared:
        """All declared topics and consumer groups of a namespace. Raises ApiError."""
        topics, groups = await asyncio.gather(
            self._api.list("RocketTopic", namespace), self._api.list("RocketConsumerGroup", namespace)
        )
        return Declared(
            tuple(DeclaredTopic.parse(body) for body in _staying(topics)),
            tuple(DeclaredGroup.parse(body) for body in _staying(groups)),
        )

    async def _observe(self, cluster: Cluster) -> Observed:
        selector = f"{CLUSTER_LABEL}={cluster.name}"
        children, pods, claims, declared = await asyncio.gather(
            asyncio.gather(*(self._children(kind, cluster, selector) for kind in CHILDREN)),
            self._api.list("Pod", cluster.namespace, f"{selector},{MANAGED_LABEL}={FIELD_MANAGER}"),
            self._api.list("PersistentVolumeClaim", cluster.namespace, selector),
            self.declared(cluster.namespace),
        )
        own = _own(cluster, [item for found in children for item in found or ()])
        leases = [item for (kind, _), item in own.items() if kind == "Lease"]
        masters = reading.holders(leases) if cluster.spec.failover.is_automatic else None
        volumes = tuple(volume for claim in claims if (volume := reading.volume(claim)))
        fixed, missing = await self._classes(cluster, volumes)
        return Observed(
            objects=own,
            pods=tuple(pod for item in pods if _is_live(item) and (pod := reading.pod(item, masters))),
            volumes=volumes,
            optional_kinds=frozenset(
                kind for kind, found in zip(CHILDREN, children, strict=True) if kind in OPTIONAL and found is not None
            ),
            fixed_size_classes=fixed,
            missing_classes=missing,
            topics=tuple(each for each in declared.topics if each.cluster == cluster.name),
            consumer_groups=tuple(each for each in declared.consumer_groups if each.cluster == cluster.name),
        )

    async def _children(self, kind: str, cluster: Cluster, selector: str) -> list[Manifest] | None:
        """A kind's objects; None where an optional kind does not exist, or may not be seen."""
        try:
            return await self._api.list(kind, cluster.namespace, selector)
        except ApiError as error:
            if kind in OPTIONAL and error.status in (403, 404):
                return None
            raise

    async def _classes(self, cluster: Cluster, volumes: Sequence[Volume]) -> tuple[frozenset[str], frozenset[str]]:
        """The storage classes, of those in use, whose volumes cannot grow, and those that do not exist.

        An operator that may not see them, being confined to namespaces, leaves the judgement to the API server.
        """
        wanted = cluster.spec.broker.storage.storage_class_name
        names = {volume.storage_class for volume in volumes if volume.storage_class} | ({wanted} if wanted else set())
        try:
            found = {name: await self._api.get("StorageClass", None, name) for name in names}
        except ApiError as error:
            if error.status == 403:
                return frozenset(), frozenset()
            raise
        fixed = frozenset(name for name, one in found.items() if one and not one.get("allowVolumeExpansion"))
        return fixed, frozenset(name for name, one in found.items() if one is None)


async def _nothing() -> Mapping[str, frozenset[str]]:
    return {}


def _own(cluster: Cluster, items: Iterable[Manifest]) -> dict[tuple[str, str], Manifest]:
    return {(item["kind"], item["metadata"]["name"]): item for item in items if is_owned(item, cluster)}


def _is_live(pod: Manifest) -> bool:
    """Not one that has ended and is only remembered."""
    return (pod.get("status") or {}).get("phase") not in ("Failed", "Succeeded")


def _staying(bodies: Iterable[Manifest]) -> list[Manifest]:
    return [body for body in bodies if "deletionTimestamp" not in body["metadata"]]
