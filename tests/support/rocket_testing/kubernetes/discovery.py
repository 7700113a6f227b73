"""What kinds there are, as /api and /apis tell it: kopf asks before it watches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocket_operator.cluster.kinds import Kind

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def answer(path: str, kinds: Sequence[Kind]) -> dict[str, Any] | None:
    """The answer to a question about kinds; None where the path asks for objects."""
    words = path.strip("/").split("/")
    if words == ["version"]:
        return {"major": "1", "minor": "37"}
    if words == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    if words == ["apis"]:
        return {
            "kind": "APIGroupList",
            "groups": [_group(each) for each in sorted({k.api_version for k in kinds if k.group})],
        }
    if words[0] == "api" and len(words) == 2:
        return _resources(words[1], kinds)
    if words[0] == "apis" and len(words) == 3:
        return _resources(f"{words[1]}/{words[2]}", kinds)
    return None


def _group(api_version: str) -> dict[str, Any]:
    name, _, version = api_version.partition("/")
    told = {"groupVersion": api_version, "version": version}
    return {"name": name, "versions": [told], "preferredVersion": told}


def _resources(api_version: str, kinds: Sequence[Kind]) -> dict[str, Any]:
    return {
        "kind": "APIResourceList",
        "groupVersion": api_version,
        "resources": [
            {"name": kind.plural, "singularName": "", "namespaced": kind.namespaced, "kind": kind.name, "verbs": _VERBS}
            for kind in kinds
            if kind.api_version == api_version
        ],
    }
