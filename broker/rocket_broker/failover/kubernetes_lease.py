"""A group's lease as a Kubernetes Lease, which bears the group's name and is made by the operator.

    spec.holderIdentity      the master's pod, "" when released          spec.leaseTransitions     the epoch
    annotations rocketcluster.dev/sync-set (a,b), ha-address, address, heir
    spec.renewTime, leaseDurationSeconds        for people: nobody here goes by another one's clock

Compare-and-set is by metadata.resourceVersion. A broker may get and patch this object and nothing else; it speaks the
few lines of HTTP itself, since the Kubernetes client takes more memory than the broker.
"""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec

from rocket_broker.failover.lease import LeaseUnavailable
from rocket_broker.failover.member import Lease

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS: Final = 2.0
_DOMAIN: Final = "rocketcluster.dev"
_SYNC_SET: Final = f"{_DOMAIN}/sync-set"
_HA_ADDRESS: Final = f"{_DOMAIN}/ha-address"
_ADDRESS: Final = f"{_DOMAIN}/address"
_HEIR: Final = f"{_DOMAIN}/heir"


class ApiServer(NamedTuple):
    """Where the API server is, and the folder of the pod's service account: token, ca.crt, namespace."""

    url: str
    account: Path

    @classmethod
    def of_pod(cls) -> ApiServer:
        """As every pod is told. Raises LeaseUnavailable outside of one."""
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            raise LeaseUnavailable("leaseStore=kubernetes outside of a pod: no KUBERNETES_SERVICE_HOST")
        return cls(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}", _ACCOUNT)


class KubernetesLease:
    """The Lease `name` in the pod's namespace; `duration` is told to people, seconds."""

    def __init__(self, name: str, duration: float, server: ApiServer | None = None) -> None:
        self._name = name
        self._duration = max(1, round(duration))
        self._server = server
        self._session: aiohttp.ClientSession | None = None

    async def read(self) -> Lease:
        return _lease(await self._ask("GET"))

    async def write(self, lease: Lease, after: Lease) -> Lease | None:
        changed = await self._ask("PATCH", self._patch(lease, after.change))
        return None if changed is None else _lease(changed)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _patch(self, lease: Lease, version: str) -> dict[str, Any]:
        return {
            "metadata": {
                "resourceVersion": version,
                "annotations": {
                    _SYNC_SET: ",".join(sorted(lease.sync_set)),
                    _HA_ADDRESS: lease.ha_address,
                    _ADDRESS: lease.address,
                    _HEIR: lease.heir,
                },
            },
            "spec": {
                "holderIdentity": lease.holder,
                "leaseTransitions": lease.epoch,
                "leaseDurationSeconds": self._duration,
                "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }

    async def _ask(self, method: str, patch: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """The object; None where it is another version than the patch is for. Raises LeaseUnavailable."""
        try:
            url, headers, session = self._request()
            body = None if patch is None else msgspec.json.encode(patch)
            async with session.request(method, url, headers=headers, data=body) as answer:
                if answer.status == 409:
                    return None
                content = await answer.read()
                if answer.status != 200:
                    raise LeaseUnavailable(f"{method} {self._name}: {answer.status} {_message(content)}")
                found: dict[str, Any] = msgspec.json.decode(content)
                return found
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            raise LeaseUnavailable(f"{method} {self._name}: {str(error) or 'no answer'}") from error

    def _request(self) -> tuple[str, dict[str, str], aiohttp.ClientSession]:
        server = self._server = self._server or ApiServer.of_pod()
        namespace = (server.account / "namespace").read_text().strip()
        token = (server.account / "token").read_text().strip()  # each time: it is replaced now and then
        if self._session is None:
            trusted = ssl.create_default_context(cafile=server.account / "ca.crt") if "https" in server.url else False
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_SECONDS), connector=aiohttp.TCPConnector(ssl=trusted)
            )
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
        url = f"{server.url}/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{self._name}"
        return url, headers, self._session


def _lease(found: dict[str, Any] | None) -> Lease:
    """What an object says. Raises LeaseUnavailable for one that somebody else made something of."""
    assert found is not None, "a read has no version to be of"
    metadata, spec = found["metadata"], found.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    return Lease(
        holder=spec.get("holderIdentity") or "",
        epoch=spec.get("leaseTransitions") or 0,
        sync_set=frozenset(name for name in annotations.get(_SYNC_SET, "").split(",") if name),
        ha_address=annotations.get(_HA_ADDRESS, ""),
        address=annotations.get(_ADDRESS, ""),
        heir=annotations.get(_HEIR, ""),
        change=metadata["resourceVersion"],
    )


def _message(content: bytes) -> str:
    try:
        return str(msgspec.json.decode(content).get("message", ""))
    except (msgspec.DecodeError, AttributeError):
        return content[:200].decode("utf-8", "replace")
