"""Server-side apply: who owns which field, and what becomes of fields that an owner no longer applies. Pure.

A field's path is a tuple of keys; an item of a list that is matched by key is a `(key, value)` pair in it. Other lists
are owned whole.
"""

from __future__ import annotations

import copy
from typing import Any

Path = tuple[Any, ...]

#: Lists that are maps, by the name of their field.
LIST_KEYS = {
    "containers": "name", "initContainers": "name", "volumes": "name", "env": "name", "volumeMounts": "mountPath",
    "ports": "port", "ownerReferences": "uid", "conditions": "type", "groups": "index", "members": "pod",
    "imagePullSecrets": "name", "topologySpreadConstraints": "topologyKey",
}  # fmt: skip


def list_key(field: str, items: list[Any]) -> str | None:
    """The key of a list's items; None where it is owned whole."""
    key = "containerPort" if field == "ports" and items and "containerPort" in items[0] else LIST_KEYS.get(field)
    return key if key and all(isinstance(item, dict) and key in item for item in items) else None


def paths(value: Any, at: Path = (), field: str = "") -> set[Path]:
    """The paths of all leaves."""
    if isinstance(value, dict) and value:
        return set().union(*(paths(inner, (*at, key), key) for key, inner in value.items()))
    if isinstance(value, list) and value and (key := list_key(field, value)):
        return set().union(*(paths(item, (*at, (key, item[key]))) for item in value))
    return {at}


def merged(live: Any, wanted: Any, field: str = "") -> Any:
    """`wanted` laid over `live`."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        return {**live, **{key: merged(live.get(key), value, key) for key, value in wanted.items()}}
    if isinstance(live, list) and isinstance(wanted, list) and wanted and (key := list_key(field, wanted)):
        there = {item.get(key): item for item in live}
        new = {item[key]: merged(there.get(item[key]), item) for item in wanted}
        return [new.pop(item.get(key), item) for item in live] + list(new.values())
    return copy.deepcopy(wanted)


def without(value: Any, path: Path) -> Any:
    """The value without one field; what becomes empty by that goes with it."""
    head, rest = path[0], path[1:]
    if isinstance(head, tuple):
        if not isinstance(value, list):
            return value
        if rest == (head[0],):  # the key itself: the item goes when nothing else is left of it
            return [item for item in value if item != {head[0]: head[1]}]
        return [without(item, rest) if item.get(head[0]) == head[1] else item for item in value]
    if not isinstance(value, dict) or head not in value:
        return value
    inner = without(value[head], rest) if rest else None
    kept = {key: each for key, each in value.items() if key != head}
    return kept if inner in (None, {}, []) else {**kept, head: inner}


def without_all(value: Any, gone: set[Path]) -> Any:
    """The value without these fields."""
    for path in sorted(gone, key=lambda path: (_is_key(path), -len(path), str(path))):
        value = without(value, path)
    return value


def _is_key(path: Path) -> bool:
    return len(path) > 1 and isinstance(path[-2], tuple) and path[-2][0] == path[-1]


def at(value: Any, path: Path) -> Any:
    """What is at a path; None where there is nothing."""
    for step in path:
        if isinstance(step, tuple):
            value = next((item for item in value or [] if item.get(step[0]) == step[1]), None)
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def merge_patch(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result
