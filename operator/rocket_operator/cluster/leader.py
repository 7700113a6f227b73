"""One operator acts at a time: whoever holds a Lease.

Nothing depends on it but peace and quiet: each write of the operator is by uid, by compare-and-set or by server-side
apply, so that two at once do no harm. Times are measured here, on a monotonic clock, never compared with a server's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rocket_operator.cluster.api import Api, ApiError
from rocket_operator.objects.metadata import Manifest

log = logging.getLogger("rocket.operator")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A holder that could not renew for `renew` gives up before others take over after `duration`."""

    duration: float = 15.0
    renew: float = 10.0
    retry: float = 2.0


class Leader:
    """One candidate for a Lease."""

    def __init__(self, api: Api, namespace: str, name: str, identity: str, timing: Timing = Timing()) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._timing = timing
        self._seen: tuple[str, float] = ("", 0.0)
        self._renewed = 0.0

    async def acquired(self) -> None:
        """Returns when this candidate holds the Lease."""
        while True:
            if await self._try(self._take, self._timing.renew):
                break
            await asyncio.sleep(self._timing.retry)
        log.info("%s leads: it holds the Lease %s/%s", self._identity, self._namespace, self._name)

    async def lost(self) -> None:
        """Renews the Lease; returns when it is lost, or could not be renewed in time."""
        while (left := self._left()) > 0:
            await asyncio.sleep(min(self._timing.retry, left))
            if await self._try(self._renew, self._left()) is None:
                log.warning("%s no longer leads: another holds %s/%s", self._identity, self._namespace, self._name)
                return
        log.warning("%s no longer leads: it could not renew %s/%s", self._identity, self._namespace, self._name)

    async def release(self) -> None:
        """Lets another candidate lead at once."""
        try:
            lease = await self._api.get("Lease", self._namespace, self._name)
            if lease is not None and _holder(lease) == self._identity:
                await self._api.replace(_with(lease, holderIdentity=""))
        except ApiError as error:
            log.info("the Lease %s/%s is not released (%s): it runs out", self._namespace, self._name, error)

    def _left(self) -> float:
        """Seconds within which the Lease must be renewed."""
        return self._renewed + self._timing.renew - time.monotonic()

    async def _try(self, attempt: Callable[[], Any], seconds: float) -> bool | None:
        """True: it is ours. False: not now, or no answer within `seconds`. None: another one's."""
        try:
            async with asyncio.timeout(seconds):
                found: bool | None = await attempt()
                return found
        except (ApiError, TimeoutError) as error:
            if not (isinstance(error, ApiError) and error.is_conflict):
                log.warning("the Lease %s/%s cannot be read or written: %s", self._namespace, self._name, error)
            return False

    async def _take(self) -> bool:
        asked = time.monotonic()
        lease = await self._api.get("Lease", self._namespace, self._name)
        if lease is None:
            await self._api.create(self._new())
        elif _holder(lease) not in ("", self._identity) and not self._is_over(lease):
            return False
        else:
            now = _micro_time()
            transitions = (lease.get("spec") or {}).get("leaseTransitions", 0) + 1
            await self._api.replace(
                _with(
                    lease, holderIdentity=self._identity, acquireTime=now, renewTime=now, leaseTransitions=transitions,
                    leaseDurationSeconds=round(self._timing.duration),
                )
            )  # fmt: skip
        self._renewed = asked
        return True

    async def _renew(self) -> bool | None:
        asked = time.monotonic()
        lease = await self._api.get("Lease", self._namespace, self._name)
        if lease is None or _holder(lease) != self._identity:
            return None
        await self._api.replace(_with(lease, renewTime=_micro_time()))
        self._renewed = asked
        return True

    def _is_over(self, lease: Manifest) -> bool:
        """Whether this candidate itself has seen the Lease unchanged for its whole duration."""
        version, now = lease["metadata"]["resourceVersion"], time.monotonic()
        if self._seen[0] != version:
            self._seen = (version, now)
        duration = (lease.get("spec") or {}).get("leaseDurationSeconds") or self._timing.duration
        return now - self._seen[1] >= float(duration)

    def _new(self) -> Manifest:
        now = _micro_time()
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity, "leaseDurationSeconds": round(self._timing.duration),
                "acquireTime": now, "renewTime": now, "leaseTransitions": 0,
            },
        }  # fmt: skip


def _holder(lease: Manifest) -> str:
    return (lease.get("spec") or {}).get("holderIdentity") or ""


def _with(lease: Manifest, **changes: Any) -> Manifest:
    return {**lease, "spec": {**(lease.get("spec") or {}), **changes}}


def _micro_time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
