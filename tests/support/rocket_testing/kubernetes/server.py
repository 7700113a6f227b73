"""The HTTP face: the paths of the kinds that the operator knows, as the API server has them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from types import TracebackType
from typing import Any, Self

import yaml
from aiohttp import web

from kubernetes.aio.client import Configuration
from rocket_operator.cluster.kinds import KINDS, Kind
from rocket_testing.kubernetes import discovery
from rocket_testing.kubernetes.faults import Faults
from rocket_testing.kubernetes.refusals import Refusal, not_found
from rocket_testing.kubernetes.store import Store, matches
from rocket_testing.kubernetes.workloads import Node

#: Besides what the operator reads and writes: kopf will not watch where these do not exist.
_KOPFS = (
    Kind("Namespace", "", "v1", "namespaces", namespaced=False),
    Kind("CustomResourceDefinition", "apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False),
)
_BY_PLACE = {(kind.group, kind.version, kind.plural): kind for kind in (*KINDS.values(), *_KOPFS)}


class Kubernetes:
    """A running API server with a node. Use it with `async with`."""

    def __init__(self, *, without: frozenset[str] = frozenset({"PodMonitor", "PrometheusRule"})) -> None:
        """`without`: kinds that do not exist here."""
        self.store = Store()
        self.node = Node(self.store)
        self.faults = Faults()
        self._without = without
        self._runner: web.AppRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.url = ""

    @property
    def configuration(self) -> Configuration:
        return Configuration(host=self.url)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._tasks.append(asyncio.create_task(self.node.run()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.faults.is_cut:
            return web.json_response({}, status=503)
        try:
            if (found := discovery.answer(request.path, self._kinds())) is not None:
                return web.json_response(found)
            kind, namespace, name, subresource = self._place(request.path)
            if request.method == "GET" and request.query.get("watch"):
                if self.faults.is_deaf:
                    return web.json_response({}, status=503)
                return await self._watch(request, kind, namespace)
            if request.method == "GET":
                return web.json_response(self._read(request, kind, namespace, name))
            if self.faults.answers:
                code = self.faults.answers.pop(0)
                raise Refusal(code, "Injected", "a fault that the test declared")
            found = self._write(request.method, (kind, namespace, name, subresource), await request.read(), request)
            self.faults.writes.append(f"{request.method} {kind.name} {name or found['metadata']['name']}")
            return web.json_response(found)
        except Refusal as refusal:
            headers = {"Retry-After": "1"} if refusal.code == 429 else {}
            return web.json_response(refusal.status(), status=refusal.code, headers=headers)

    def _kinds(self) -> list[Kind]:
        return [kind for kind in _BY_PLACE.values() if kind.name not in self._without]

    def _place(self, path: str) -> tuple[Kind, str, str, str]:
        words = path.strip("/").split("/")
        group, words = ("", words[1:]) if words[0] == "api" else (words[1], words[2:])
        version, words = words[0], words[1:]
        namespace = ""
        if words[0] == "namespaces" and len(words) > 2:
            namespace, words = words[1], words[2:]
        kind = _BY_PLACE.get((group, version, words[0]))
        if kind is None or kind.name in self._without:
            raise not_found("the server could not find the requested resource", path)
        name, subresource = [*words[1:3], "", ""][:2]
        return kind, namespace, name, subresource

    def _read(self, request: web.Request, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        if name:
            found = self.store.get(kind.name, namespace, name)
            if found is None:
                raise not_found(kind.plural, name)
            return found
        items = self.store.list(kind.name, namespace, request.query.get("labelSelector", ""))
        described = {"kind": f"{kind.name}List", "apiVersion": kind.api_version}
        return {**described, "metadata": {"resourceVersion": self.store.version}, "items": items}

    def _write(
        self, method: str, place: tuple[Kind, str, str, str], body: bytes, request: web.Request
    ) -> dict[str, Any]:
        kind, namespace, name, subresource = place
        content = yaml.safe_load(body) if body else {}
        key = (kind.name, namespace, name)
        if method == "POST":
            return self.store.create(content)
        if method == "PUT":
            return self.store.replace(content, subresource)
        if method == "DELETE":
            orphan = content.get("propagationPolicy") == "Orphan"
            return self.store.delete(key, (content.get("preconditions") or {}).get("uid"), orphan=orphan)
        if "apply-patch" in request.content_type:
            force = request.query.get("force") == "true"
            return self.store.apply(content, request.query["fieldManager"], force, subresource)
        return self.store.patch(key, content, subresource)

    async def _watch(self, request: web.Request, kind: Kind, namespace: str) -> web.StreamResponse:
        queue = self.store.watch(request.query.get("resourceVersion", self.store.version))
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await response.prepare(request)
            with contextlib.suppress(ConnectionResetError):
                while True:
                    event, one = await queue.get()
                    if self.faults.is_deaf:
                        continue
                    mine = one["kind"] == kind.name and namespace in ("", one["metadata"].get("namespace", ""))
                    if mine and matches(one, request.query.get("labelSelector", "")):
                        await response.write(json.dumps({"type": event, "object": one}).encode() + b"\n")
        finally:
            self.store.unwatch(queue)
        return response
