"""Events, as `kubectl describe` shows them: what the operator did and why. The same one is told once a minute at most.

They are for people and may be lost; nothing depends on them. What cannot be told is in the log.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import UTC, datetime

from rocket_operator.cluster.api import Api, ApiError
from rocket_operator.objects.metadata import FIELD_MANAGER, Cluster, Manifest
from rocket_operator.spec import API_VERSION, KIND

log = logging.getLogger("rocket.operator")

_QUIET_SECONDS = 60.0
_MOST_REMEMBERED = 1000


class Events:
    """Tells Events about RocketClusters."""

    def __init__(self, api: Api, instance: str) -> None:
        """`instance` names this operator's pod."""
        self._api = api
        self._instance = instance
        self._told: dict[tuple[str, str, str], float] = {}

    async def tell(self, cluster: Cluster, reason: str, message: str, *, is_warning: bool = False) -> None:
        """Tells one, unless the same was told just now."""
        key, now = (cluster.uid, reason, message), time.monotonic()
        if now - self._told.get(key, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return
        if len(self._told) >= _MOST_REMEMBERED:
            self._told = {known: at for known, at in self._told.items() if now - at < _QUIET_SECONDS}
        self._told[key] = now
        try:
            await self._api.create(self._event(cluster, reason, message, "Warning" if is_warning else "Normal"))
        except ApiError as error:
            log.warning("an Event of %s/%s could not be told (%s): %s", cluster.namespace, cluster.name, error, message)

    def _event(self, cluster: Cluster, reason: str, message: str, kind: str) -> Manifest:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{cluster.name}.{uuid.uuid4().hex[:16]}", "namespace": cluster.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": cluster.name,
                "namespace": cluster.namespace,
                "uid": cluster.uid,
            },
            "reason": reason,
            "message": message[:1024],
            "type": kind,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": f"rocketcluster.dev/{FIELD_MANAGER}",
            "reportingInstance": self._instance,
        }
