"""The Kubernetes API, as far as the operator needs it: every call has a deadline, every refusal is an ApiError."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.dynamic import DynamicClient, Resource

from rocket_operator.cluster.kinds import KINDS
from rocket_operator.objects.metadata import FIELD_MANAGER, Manifest

_TIMEOUT_SECONDS = 30.0


@dataclass(eq=False)
class ApiError(Exception):
    """What the API server answered instead. `status` is HTTP's, 0 where there was no answer; `reason` as in Status."""

    status: int
    reason: str
    message: str
    retry_after: float | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason

    @property
    def is_missing(self) -> bool:
        return self.status == 404

    @property
    def is_conflict(self) -> bool:
        """Somebody else was faster: look again."""
        return self.status == 409

    @property
    def is_refusal(self) -> bool:
        """The same request will be refused again. An API server calls fields of the wrong type an error of its own."""
        is_of_wrong_type = self.status == 500 and "failed to create typed patch object" in self.message
        return is_of_wrong_type or self.status in (400, 403, 405, 413, 422)


class Api:
    """A connection pool to one API server. Use it with `async with`."""

    def __init__(self, configuration: client.Configuration) -> None:
        self.on_answer: Callable[[str, int], None] = lambda verb, code: None
        self._client = client.ApiClient(configuration)
        self._dynamic = DynamicClient(self._client)
        self._resources = {
            kind.name: Resource(
                prefix="apis" if kind.group else "api", group=kind.group, api_version=kind.version, kind=kind.name,
                namespaced=kind.namespaced, name=kind.plural, client=self._dynamic,
            )
            for kind in KINDS.values()
        }  # fmt: skip

    @staticmethod
    async def configuration() -> client.Configuration:
        """How to reach the API server: as a pod's service account, else as kubectl would."""
        found = client.Configuration()
        try:
            config.load_incluster_config(found)
        except config.ConfigException:
            await config.load_kube_config(client_configuration=found)
        return found

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def get(self, kind: str, namespace: str | None, name: str) -> Manifest | None:
        """The object; None where there is none."""
        try:
            return await self._request("get", kind, namespace, name)
        except ApiError as error:
            if error.is_missing:
                return None
            raise

    async def list(self, kind: str, namespace: str | None, label_selector: str | None = None) -> list[Manifest]:
        """All objects of a kind. Raises ApiError with status 404 where the kind does not exist."""
        found = await self._request("get", kind, namespace, None, label_selector=label_selector)
        described = {"kind": kind, "apiVersion": KINDS[kind].api_version}  # items of a list do not say it
        return [described | item for item in found.get("items") or []]

    async def create(self, manifest: Manifest) -> Manifest:
        metadata = manifest["metadata"]
        return await self._request("post", manifest["kind"], metadata.get("namespace"), None, manifest)

    async def replace(self, manifest: Manifest) -> Manifest:
        """Raises ApiError with status 409 where its resourceVersion is not the present one."""
        metadata = manifest["metadata"]
        return await self._request("put", manifest["kind"], metadata.get("namespace"), metadata["name"], manifest)

    async def apply(self, manifest: Manifest, subresource: str = "", manager: str = FIELD_MANAGER) -> Manifest:
        """Server-side apply. What another manager has set otherwise becomes ours."""
        metadata = manifest["metadata"]
        return await self._request(
            "patch", manifest["kind"], metadata.get("namespace"), metadata["name"], manifest, subresource,
            content_type="application/apply-patch+yaml", field_manager=manager, force_conflicts="true",
        )  # fmt: skip

    async def patch(self, kind: str, namespace: str, name: str, changes: Mapping[str, Any]) -> Manifest:
        """A merge patch."""
        return await self._request(
            "patch", kind, namespace, name, changes,
            content_type="application/merge-patch+json", field_manager=FIELD_MANAGER,
        )  # fmt: skip

    async def delete(self, kind: str, namespace: str, name: str, uid: str, orphan: bool = False) -> None:
        """Deletes the very object with this uid; one that is gone already is gone."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Orphan" if orphan else "Background"}
        try:
            await self._request("delete", kind, namespace, name, options)
        except ApiError as error:
            if not error.is_missing:
                raise

    async def _request(
        self,
        method: str,
        kind: str,
        namespace: str | None,
        name: str | None,
        body: Any = None,
        subresource: str = "",
        **options: Any,
    ) -> Manifest:
        path = self._resources[kind].path(name=name, namespace=namespace) + (f"/{subresource}" if subresource else "")
        try:
            answer = await self._dynamic.request(
                method, path, body=body, serializer=_plain, _request_timeout=_TIMEOUT_SECONDS, **options
            )
        except ApiException as error:
            self.on_answer(method, error.status or 0)
            raise _refused(error) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.on_answer(method, 0)
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            raise ApiError(0, "NoAnswer", f"{method.upper()} {path}: {what}") from error
        self.on_answer(method, 200)
        return answer if isinstance(answer, dict) else {}


def _plain(_: object, answer: Manifest) -> Manifest:
    return answer


def _refused(error: ApiException) -> ApiError:
    try:
        status = json.loads(error.body or "{}")
    except ValueError:
        status = {}
    delay = (error.headers or {}).get("Retry-After", "")
    reason = status.get("reason") or error.reason or "Unknown"
    return ApiError(error.status or 0, reason, status.get("message", ""), float(delay) if delay.isdigit() else None)
