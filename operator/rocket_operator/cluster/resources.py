"""The statuses of RocketTopics and RocketConsumerGroups: whether every group has what they declare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rocket_operator.cluster.api import Api, ApiError
from rocket_operator.cluster.observer import Observer
from rocket_operator.conditions import timestamp
from rocket_operator.objects.metadata import FIELD_MANAGER
from rocket_operator.rollout.declared import winners
from rocket_operator.rollout.resources import DeclaredGroup, DeclaredTopic
from rocket_operator.rollout.view import Broker, View
from rocket_operator.spec import API_VERSION

Declared = DeclaredTopic | DeclaredGroup
Stand = tuple[bool, str, str, list[dict[str, Any]]]
"""Whether it is as declared, the reason, the sentence, and each group's state."""


class Resources:
    """Writes statuses; one that says already what it should is left alone."""

    def __init__(self, api: Api, observer: Observer) -> None:
        self._api = api
        self._observer = observer

    async def report(self, view: View) -> None:
        """Says of each resource of a cluster how it stands."""
        namespace = view.cluster.namespace
        for kind, each, stand in _stands(view):
            await self._write(kind, namespace, each, stand, view.now)

    async def orphaned(self, namespace: str, cluster: str) -> None:
        """Says of each resource that its cluster does not exist."""
        try:
            declared = await self._observer.declared(namespace)
        except ApiError as error:
            if error.is_missing:
                return  # not even the kinds exist any more
            raise
        stand: Stand = (False, "ClusterNotFound", f"there is no RocketCluster {cluster} in this namespace", [])
        now = datetime.now(UTC).timestamp()
        for kind, found in (("RocketTopic", declared.topics), ("RocketConsumerGroup", declared.consumer_groups)):
            for each in found:
                if each.cluster == cluster:
                    await self._write(kind, namespace, each, stand, now)

    async def _write(self, kind: str, namespace: str, each: Declared, stand: Stand, now: float) -> None:
        holds, reason, message, groups = stand
        body = await self._api.get(kind, namespace, each.resource)
        if body is None:
            return
        previous = body.get("status") or {}
        before = next((one for one in previous.get("conditions") or () if one["type"] == "Ready"), None)
        word = "True" if holds else "False"
        since = before.get("lastTransitionTime") if before is not None and before.get("status") == word else None
        condition = {
            "type": "Ready", "status": word, "reason": reason, "message": message,
            "observedGeneration": each.generation,
            "lastTransitionTime": since or timestamp(now),
        }  # fmt: skip
        new = {"observedGeneration": each.generation, "groups": groups, "conditions": [condition]}
        if new == previous:
            return
        named = {"metadata": {"name": each.resource, "namespace": namespace}, "status": new}
        await self._api.apply({"apiVersion": API_VERSION, "kind": kind, **named}, "status", f"{FIELD_MANAGER}-status")


def _stands(view: View) -> list[tuple[str, Declared, Stand]]:
    topics, groups = view.observed.topics, view.observed.consumer_groups
    found: list[tuple[str, Declared, Stand]] = []
    found += [("RocketTopic", each, _stand(view, each, topics, _has_topic)) for each in topics]
    found += [("RocketConsumerGroup", each, _stand(view, each, groups, _has_group)) for each in groups]
    return found


def _has_topic(each: Any, broker: Broker) -> bool | None:
    return None if broker.topics is None else each.is_met_by(broker.topics.get(each.name))


def _has_group(each: Any, broker: Broker) -> bool | None:
    return None if broker.consumer_groups is None else each.is_met_by(broker.consumer_groups.get(each.name))


def _stand(view: View, each: Declared, all_of_them: Sequence[Any], has: Any) -> Stand:
    winner: Mapping[str, Declared] = winners(all_of_them)
    first = winner[each.name]
    if first.resource != each.resource:
        return False, "Conflict", f"{first.resource} declares {each.name} already", []
    groups = []
    for group in view.active_groups():
        pod = view.master(group.index)
        met = has(each, view.observed.brokers[pod.name]) if pod else None
        groups.append({"index": group.index, "state": "Applied" if met else "Pending"})
    waiting = [str(group["index"]) for group in groups if group["state"] != "Applied"]
    if waiting or not groups:
        return False, "Pending", f"group {', '.join(waiting) or '0'} does not have it yet", groups
    return True, "Applied", "every group has it as declared", groups
