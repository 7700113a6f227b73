"""Whether an object is as a manifest says it, though the API server adds and rewrites.

Two things together tell: the hash of the manifest that was applied last, which the object carries (so what left the
manifest is noticed), and that every field of the manifest is in the object (so what somebody else changed is noticed).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from rocket_operator import quantity
from rocket_operator.objects.metadata import GROUP, Manifest

APPLIED_ANNOTATION = f"{GROUP}/applied"

#: By these fields, the first that an item has, items of lists are matched.
_ITEM_KEYS = ("name", "uid", "containerPort", "mountPath", "port", "topologyKey")


def stamped(manifest: Manifest) -> Manifest:
    """The manifest with its own hash on it."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED_ANNOTATION: digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def difference(stamped_manifest: Manifest, live: Manifest) -> str | None:
    """The path of the first field that is not as the manifest says; None when there is none."""
    wanted = stamped_manifest["metadata"]["annotations"][APPLIED_ANNOTATION]
    missing = _missing(stamped_manifest, live, "")
    if missing and not missing.endswith(APPLIED_ANNOTATION):
        return missing
    applied = (live["metadata"].get("annotations") or {}).get(APPLIED_ANNOTATION)
    return None if applied == wanted else "spec"


def _missing(wanted: Any, live: Any, path: str) -> str | None:
    if isinstance(wanted, dict):
        if not isinstance(live, dict):
            return None if not wanted and live is None else path
        fields = sorted(wanted, key=lambda key: key == "metadata")  # a person wants to hear of the spec first
        found = (_missing(wanted[key], live.get(key), f"{path}.{key}".lstrip(".")) for key in fields)
        return next((each for each in found if each), None)
    if isinstance(wanted, list):
        return _missing_item(wanted, live, path)
    is_left_out = live is None and not wanted  # the API server writes no "", false and 0
    return None if is_left_out or wanted == live or quantity.is_equal(wanted, live) else path


def _missing_item(wanted: list[Any], live: Any, path: str) -> str | None:
    if not isinstance(live, list):
        return None if not wanted and live is None else path
    key = _key(wanted)
    if key is None:
        if len(wanted) != len(live):
            return path
        pairs = zip(wanted, live, strict=True)
        return next((each for one, other in pairs if (each := _missing(one, other, path))), None)
    there = {item.get(key): item for item in live if isinstance(item, dict)}
    found = (_missing(item, there.get(item[key]), f"{path}[{item[key]}]") for item in wanted)
    return next((each for each in found if each), None)


def _key(items: list[Any]) -> str | None:
    for key in _ITEM_KEYS:
        if items and all(isinstance(item, dict) and key in item for item in items):
            return key
    return None
