"""What the API server makes of an object before it is stored: our kinds' schemas, and what must not change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rocket_operator import quantity, schema
from rocket_operator.problems import Problem
from rocket_testing.kubernetes.refusals import invalid

Object = dict[str, Any]

OWN_KINDS = {
    "RocketCluster": "rocketclusters", "RocketTopic": "rockettopics", "RocketConsumerGroup": "rocketconsumergroups",
}  # fmt: skip
#: Kinds without a status subresource, or whose status tests may write as they like.
PLAIN_STATUS = frozenset({"Event", "ConfigMap", "Lease", "Role", "RoleBinding", "ServiceAccount"})
#: What of a StatefulSet's spec may change.
_CHANGEABLE = frozenset(
    {"replicas", "template", "updateStrategy", "persistentVolumeClaimRetentionPolicy", "minReadySeconds", "ordinals"}
)


def admitted(new: Object, live: Object | None) -> Object:
    """The object as it is stored: with defaults, checked. Raises Refusal."""
    kind, name = new["kind"], new["metadata"]["name"]
    if kind in OWN_KINDS:
        described = schema.of(OWN_KINDS[kind])
        new = _pruned(described, schema.with_defaults(described, new))
        if problems := list(_problems(described, new, live)):
            raise invalid(kind, name, "; ".join(str(problem) for problem in problems))
    if live is not None and kind == "StatefulSet":
        changed = {
            key for key in new["spec"].keys() | live["spec"].keys() if new["spec"].get(key) != live["spec"].get(key)
        }
        if forbidden := changed - _CHANGEABLE:
            raise invalid(
                kind, name, f"spec: Forbidden: updates to statefulset spec for {sorted(forbidden)} are forbidden"
            )
    if live is not None and kind == "PersistentVolumeClaim":
        before, after = (each["spec"]["resources"]["requests"]["storage"] for each in (live, new))
        if quantity.parse(after) < quantity.parse(before):
            raise invalid(kind, name, "spec.resources.requests.storage: Forbidden: field can not be less than before")
    return new


def _problems(described: Object, new: Object, live: Object | None) -> Iterator[Problem]:
    problems = list(schema.type_and_limit_problems(described, new))
    yield from problems
    if not problems:
        yield from schema.rule_problems(described, new, live)


def _pruned(described: Object, value: Any, path: tuple[str, ...] = ()) -> Any:
    """Without the fields that the schema does not have."""
    if described.get("x-kubernetes-preserve-unknown-fields") or path == ("metadata",):
        return value
    if isinstance(value, list) and "items" in described:
        return [_pruned(described["items"], item, (*path, "[]")) for item in value]
    if not isinstance(value, dict) or "properties" not in described:
        return value
    known = described["properties"]
    return {key: _pruned(known[key], inner, (*path, key)) for key, inner in value.items() if key in known}
