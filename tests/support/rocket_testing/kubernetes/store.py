"""The objects: one growing version counter, owners and garbage, and who watches."""

from __future__ import annotations

import asyncio
import copy
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from rocket_testing.kubernetes import fields, rules
from rocket_testing.kubernetes.refusals import Refusal, conflict, not_found

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace (empty where it has none), name."""

CREATED = "2026-01-01T00:00:00Z"
_SYSTEM = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields")


class Store:
    """Every object of one cluster. Methods take and give copies."""

    def __init__(self) -> None:
        self._objects: dict[Key, Object] = {}
        self._owners: dict[Key, dict[str, set[fields.Path]]] = {}
        self._version = 0
        self._history: list[tuple[str, Object]] = []
        self._watchers: set[asyncio.Queue[tuple[str, Object]]] = set()
        #: Called after every change; controllers hang here.
        self.on_change: list[Callable[[str, Object], None]] = []

    # -- reading --------------------------------------------------------------------------------------------------

    @property
    def version(self) -> str:
        return str(self._version)

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        found = self._objects.get((kind, namespace, name))
        return copy.deepcopy(found) if found is not None else None

    def list(self, kind: str, namespace: str = "", selector: str = "") -> list[Object]:
        return [
            copy.deepcopy(one)
            for key, one in sorted(self._objects.items())
            if key[0] == kind and namespace in ("", key[1]) and matches(one, selector)
        ]

    def watch(self, version: str) -> asyncio.Queue[tuple[str, Object]]:
        """Every change after `version`, as (ADDED, MODIFIED or DELETED, object): none between a list and a watch is
        missed.
        """
        queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        for event, one in self._history:
            if int(one["metadata"]["resourceVersion"]) > int(version):
                queue.put_nowait((event, copy.deepcopy(one)))
        self._watchers.add(queue)
        return queue

    def unwatch(self, queue: asyncio.Queue[tuple[str, Object]]) -> None:
        self._watchers.discard(queue)

    # -- writing --------------------------------------------------------------------------------------------------

    def create(self, body: Object) -> Object:
        key = key_of(body)
        if key in self._objects:
            raise Refusal(409, "AlreadyExists", f'{key[0]} "{key[2]}" already exists')
        new = rules.admitted(copy.deepcopy(body), None)
        new.pop("status", None) if key[0] not in rules.PLAIN_STATUS else None
        new["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": CREATED, "generation": 1}
        return self._save(key, new, "ADDED")

    def replace(self, body: Object, subresource: str = "") -> Object:
        return self._update(key_of(body), body, subresource)

    def patch(self, key: Key, changes: Object, subresource: str = "") -> Object:
        """A merge patch."""
        return self._update(key, fields.merge_patch(self._existing(key), changes), subresource)

    def apply(self, body: Object, manager: str, force: bool, subresource: str = "") -> Object:
        """Server-side apply."""
        key = key_of(body)
        wanted = {name: value for name, value in body.items() if name not in ("apiVersion", "kind")}
        wanted["metadata"] = {
            name: value for name, value in body["metadata"].items() if name not in ("name", "namespace")
        }
        if not wanted["metadata"]:
            del wanted["metadata"]
        live = self._objects.get(key)
        if live is None:
            if subresource:
                raise not_found(key[0], key[2])
            made = self.create(body)
            self._owners[key] = {manager: fields.paths(wanted)}
            return made
        owners, new_paths = self._owners.setdefault(key, {}), fields.paths(wanted)
        owner = f"{manager}/{subresource}" if subresource else manager
        self._check_owners(key, live, wanted, owner, force)
        shared = set[fields.Path]().union(*(theirs for name, theirs in owners.items() if name != owner))
        result = fields.without_all(live, owners.get(owner, set()) - new_paths - shared)
        updated = self._update(key, fields.merged(result, wanted), subresource)
        owners[owner] = new_paths
        return updated

    def delete(self, key: Key, uid: str | None = None, *, orphan: bool = False) -> Object:
        live = self._existing(key)
        if uid is not None and uid != live["metadata"]["uid"]:
            raise conflict(key[0], key[2], "the UID in the precondition does not match the UID in record")
        if orphan:
            self._let_go(live["metadata"]["uid"])
        if live["metadata"].get("finalizers"):
            return self._save(key, fields.merge_patch(live, {"metadata": {"deletionTimestamp": CREATED}}), "MODIFIED")
        return self._remove(key)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _existing(self, key: Key) -> Object:
        if key not in self._objects:
            raise not_found(key[0], key[2])
        return copy.deepcopy(self._objects[key])

    def _check_owners(self, key: Key, live: Object, wanted: Object, owner: str, force: bool) -> None:
        for name, theirs in self._owners[key].items():
            taken = {path for path in fields.paths(wanted) & theirs if fields.at(live, path) != fields.at(wanted, path)}
            if name == owner or not taken:
                continue
            if not force:
                raise Refusal(
                    409,
                    "Conflict",
                    f'Apply failed with {len(taken)} conflicts with "{name}": {sorted(map(str, taken))}',
                )
            theirs -= taken

    def _update(self, key: Key, body: Object, subresource: str) -> Object:
        live = self._existing(key)
        asked = body["metadata"].get("resourceVersion")
        if asked is not None and asked != live["metadata"]["resourceVersion"]:
            raise conflict(
                key[0], key[2], "the object has been modified; please apply your changes to the latest version"
            )
        if subresource == "status":
            new = {**live, "status": copy.deepcopy(body.get("status"))}
        else:
            new = copy.deepcopy(body)
            if key[0] not in rules.PLAIN_STATUS:
                new.pop("status", None)
                new |= {"status": live["status"]} if "status" in live else {}
        new["metadata"] |= {name: live["metadata"][name] for name in _SYSTEM if name in live["metadata"]}
        new = rules.admitted(new, live)
        if {**new, "metadata": {}, "status": None} != {**live, "metadata": {}, "status": None}:
            new["metadata"]["generation"] = live["metadata"]["generation"] + 1
        if new == live:
            return copy.deepcopy(live)
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            self._objects[key] = new
            return self._remove(key)
        return self._save(key, new, "MODIFIED")

    def _save(self, key: Key, new: Object, event: str) -> Object:
        self._version += 1
        new["metadata"]["resourceVersion"] = str(self._version)
        self._objects[key] = new
        self._tell(event, new)
        return copy.deepcopy(self._objects.get(key, new))

    def _remove(self, key: Key) -> Object:
        gone = self._objects.pop(key)
        self._owners.pop(key, None)
        self._version += 1
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._tell("DELETED", gone)
        self._collect(gone["metadata"]["uid"])
        return copy.deepcopy(gone)

    def _collect(self, uid: str) -> None:
        """Whatever has lost its last owner goes as well."""
        for key in list(self._objects):
            one = self._objects.get(key)
            owners = one["metadata"].get("ownerReferences", []) if one else []
            if owners and all(owner["uid"] == uid for owner in owners):
                self._remove(key)

    def _let_go(self, uid: str) -> None:
        for key, one in list(self._objects.items()):
            owners = one["metadata"].get("ownerReferences", [])
            if any(owner["uid"] == uid for owner in owners):
                kept = [owner for owner in owners if owner["uid"] != uid]
                self._save(key, {**one, "metadata": {**one["metadata"], "ownerReferences": kept}}, "MODIFIED")

    def _tell(self, event: str, one: Object) -> None:
        self._history.append((event, copy.deepcopy(one)))
        for queue in self._watchers:
            queue.put_nowait((event, copy.deepcopy(one)))
        for listener in list(self.on_change):
            listener(event, copy.deepcopy(one))


def key_of(body: Object) -> Key:
    metadata = body["metadata"]
    return body["kind"], metadata.get("namespace", ""), metadata["name"]


def matches(one: Object, selector: str) -> bool:
    """Equality selectors, `a=b,c=d`, and existence, `a`."""
    labels = one["metadata"].get("labels") or {}
    return all(_holds(labels, term) for term in selector.split(",") if term)


def _holds(labels: Object, term: str) -> bool:
    name, separator, value = term.partition("=")
    return labels.get(name) == value.lstrip("=") if separator else name in labels


def owned_by(owner: Object, controller: bool = True) -> Iterator[Object]:
    """The owner references of a child."""
    yield {
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "controller": controller,
    }  # fmt: skip
