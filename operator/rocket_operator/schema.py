"""The CRD's own schema, applied as the API server applies it: unknown fields, defaults, types and limits, CEL rules.

There is one description of each of our kinds, in crds/. This module is the part of an API server that
`rocketctl up` needs to hold a file against it; it knows nothing of what the fields mean.
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/ has the rules.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

import cel
import jsonschema
import yaml

from rocket_operator import quantity
from rocket_operator.problems import Problem

type_names = {
    "object": "a mapping",
    "array": "a list",
    "string": "a string",
    "integer": "an integer",
    "boolean": "true or false",
}

#: What an object's metadata may hold (ObjectMeta of the Kubernetes API); the schema itself may only narrow the name.
OBJECT_META = (
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generation",
    "labels", "managedFields", "name", "namespace", "ownerReferences", "resourceVersion", "selfLink", "uid",
)  # fmt: skip


@cache
def of(plural: str) -> dict[str, Any]:
    """The openAPIV3Schema of one of our kinds, such as "rocketclusters", from the CRD that is part of this package."""
    text = resources.files("rocket_operator").joinpath(f"crds/{plural}.yaml").read_text("utf-8")
    schema: dict[str, Any] = yaml.safe_load(text)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def unknown_fields(schema: Mapping[str, Any], value: object, path: str = "") -> Iterator[Problem]:
    """A problem for each field that the schema does not have, as kubectl's strict validation finds them."""
    for index, item in enumerate(_items(schema, value)):
        yield from unknown_fields(schema["items"], item, f"{path}.{index}")
    if not isinstance(value, dict) or "properties" not in schema:
        return
    known = dict(schema["properties"])
    if path == "metadata":
        known = {key: {} for key in OBJECT_META} | known
    for key, inner in value.items():
        if key in known:
            yield from unknown_fields(known[key], inner, _join(path, key))
        else:
            yield Problem(_join(path, key), f"unknown field (value {_show(inner)}); {_hint(key, known)}")


def with_defaults(schema: Mapping[str, Any], value: Any) -> Any:
    """A copy of `value` with the schema's defaults for what is absent or null. Wrong types are left as they are."""
    if items := _items(schema, value):
        return [with_defaults(schema["items"], item) for item in items]
    if not isinstance(value, dict):
        return value
    fields: Mapping[str, Any] = schema.get("properties", {})
    result = {key: inner for key, inner in value.items() if inner is not None or key not in fields}
    for key, field in fields.items():
        if key not in result and "default" in field:
            result[key] = copy.deepcopy(field["default"])
        if key in result:
            result[key] = with_defaults(field, result[key])
    return result


def type_and_limit_problems(schema: Mapping[str, Any], value: object) -> Iterator[Problem]:
    """What breaks the schema's types, limits, patterns and enumerations."""
    # OpenAPI 3.0 grew out of draft 4, where 1.0 is no integer.
    errors = list(jsonschema.Draft4Validator(schema).iter_errors(value))
    wrong = [error.absolute_path for error in errors if error.validator == "type"]
    for error in errors:
        if error.validator == "type" or error.absolute_path not in wrong:  # a wrong type breaks other limits as well
            path = ".".join(str(part) for part in error.absolute_path)
            say = _SENTENCES.get(str(error.validator))
            yield Problem(path, say(error.instance, error.validator_value) if say else error.message)


def rule_problems(
    schema: Mapping[str, Any], value: object, previous: object = None, path: str = ""
) -> Iterator[Problem]:
    """What breaks a CEL rule. `value` has defaults and right types; `previous` is what it replaces, or None."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" in rule["rule"] and previous is None:
            continue  # a transition rule says nothing about a creation
        if not _holds(rule, value, previous):
            for place, blamed in _culprits(rule, value, previous):
                shown = "" if isinstance(blamed, dict) else f"{_show(blamed)}: "
                yield Problem(path + place + rule.get("fieldPath", ""), f"{shown}{rule['message']}")
    for index, item in enumerate(_items(schema, value)):
        yield from rule_problems(schema["items"], item, _same_item(schema, item, previous), f"{path}.{index}")
    if isinstance(value, dict):
        before = previous if isinstance(previous, dict) else {}
        for key, field in schema.get("properties", {}).items():
            if key in value:
                yield from rule_problems(field, value[key], before.get(key), _join(path, key))


def _items(schema: Mapping[str, Any], value: object) -> list[Any]:
    """The items of a list that the schema describes."""
    return value if isinstance(value, list) and "items" in schema else []


def _same_item(schema: Mapping[str, Any], item: Any, previous: object) -> object:
    """What an item replaces: in a list that is a map, the item with the same keys."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(previous, list):
        return None
    return next((old for old in previous if all(old.get(key) == item.get(key) for key in keys)), None)


def _hint(key: str, known: Collection[str]) -> str:
    """What somebody may have meant who wrote a key that is not known."""
    if close := difflib.get_close_matches(key, known, 1, 0.75):
        return f"did you mean {close[0]}?"
    if len(known) > 24:
        return f"none of the {len(known)} allowed here is like it"
    return f"allowed here are {', '.join(sorted(known))}"


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _holds(rule: Mapping[str, str], value: object, previous: object) -> bool:
    context = cel.Context({"self": value, "oldSelf": previous})
    context.add_function("quantity", lambda text: float(quantity.parse(text)))  # as Kubernetes has it
    context.add_function("compareTo", lambda one, other: (one > other) - (one < other))
    return bool(cel.evaluate(rule["rule"], context))


def _culprits(rule: Mapping[str, str], value: object, previous: object) -> list[tuple[str, object]]:
    """Where below the field, and which value: the entries of a mapping that break a rule for every entry, else all."""
    entries = value.items() if isinstance(value, dict) and ".all(key," in rule["rule"] else ()
    alone = [(f".{key}", inner) for key, inner in entries if not _holds(rule, {key: inner}, previous)]
    return alone or [("", value)]


def _show(value: object) -> str:
    """The value as a person would write it, not longer than fits a line."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _wrong_type(value: object, wanted: str) -> str:
    sentence = f"{_show(value)} is not {type_names.get(wanted, wanted)}"
    if wanted == "string" and isinstance(value, int | float):
        sentence += f': write "{_show(value)}", in quotes'
    return sentence


_SENTENCES: dict[str, Callable[[Any, Any], str]] = {
    "type": _wrong_type,
    "enum": lambda value, allowed: f"{_show(value)} is not one of {', '.join(allowed)}",
    "minimum": lambda value, limit: f"{_show(value)} is less than the minimum {limit}",
    "maximum": lambda value, limit: f"{_show(value)} is more than the maximum {limit}",
    "maxLength": lambda value, limit: f"{_show(value)} has {len(value)} characters, the maximum is {limit}",
    "maxProperties": lambda value, limit: f"has {len(value)} entries, the maximum is {limit}",
    "pattern": lambda value, pattern: f"{_show(value)} does not match {pattern}",
}
