"""Does what a step says, by one call, and tells people of it by an Event."""

from __future__ import annotations

import logging

from rocket_operator.cluster.api import Api
from rocket_operator.cluster.brokers import Brokers
from rocket_operator.cluster.events import Events
from rocket_operator.objects.metadata import Cluster, Manifest, is_owned
from rocket_operator.rollout.steps import (
    Apply,
    Configure,
    CopyMetadata,
    Delete,
    DeleteMetadata,
    HandOver,
    Patch,
    Step,
    Unregister,
)

log = logging.getLogger("rocket.operator")


class NameTaken(Exception):
    """An object that a cluster needs cannot be made: one of its name is there. The text says which."""


class Actor:
    """Acts; decides nothing."""

    def __init__(self, api: Api, brokers: Brokers, events: Events) -> None:
        self._api = api
        self._brokers = brokers
        self._events = events

    async def act(self, cluster: Cluster, step: Step) -> Manifest | None:
        """The object as it is now, where the step applied one. Raises ApiError or Refused."""
        where = {"namespace": cluster.namespace, "cluster": cluster.name}
        log.info("%s", step.why, extra=where | {"step": type(step).__name__, "reason": step.reason or "Detail"})
        made = await self._act(cluster, step)
        if step.reason is not None:
            await self._events.tell(cluster, step.reason, step.why)
        return made

    async def _check_is_free(self, cluster: Cluster, step: Apply) -> None:
        kind, name = step.manifest["kind"], step.manifest["metadata"]["name"]
        found = await self._api.get(kind, cluster.namespace, name)
        if found is not None and not is_owned(found, cluster):
            raise NameTaken(f"there is a {kind} {name} that is not this cluster's: delete it, or rename the cluster")

    async def _act(self, cluster: Cluster, step: Step) -> Manifest | None:
        match step:
            case Apply():
                if step.is_new:
                    await self._check_is_free(cluster, step)
                return await self._api.apply(step.manifest)
            case Delete():
                await self._api.delete(step.kind, cluster.namespace, step.name, step.uid, step.orphan)
            case Patch():
                await self._api.patch(step.kind, cluster.namespace, step.name, step.changes)
            case Configure() | CopyMetadata() | DeleteMetadata() | HandOver() | Unregister():
                await self._brokers.act(step)
            case _:
                raise TypeError(f"{step} is nothing to do")
        return None
