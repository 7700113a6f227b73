"""From a file's text to one mapping, as strictly as `kubectl --validate=strict` reads it.

A key that appears twice, a second document, or no mapping at all is refused with its line; PyYAML alone would take the
last key and be silent. Dates stay text, as they do in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from rocket_operator.problems import InvalidManifest, Problem


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys and knows no dates."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(None, None, f"the key {key!r} is not a string", key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(None, None, f"the key {key!r} appears twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text: str) -> dict[str, Any]:
    """The one manifest in `text`. Raises InvalidManifest when it is not YAML, or not exactly one mapping."""
    try:
        documents = [document for document in yaml.load_all(text, _Loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        raise InvalidManifest([_syntax_problem(error)]) from error
    except yaml.YAMLError as error:
        raise InvalidManifest([Problem("", f"not YAML: {error}")]) from error
    if not documents:
        raise InvalidManifest([Problem("", "the file is empty: it needs one RocketCluster")])
    if len(documents) > 1:
        kinds = ", ".join(_kind(document) for document in documents)
        sentence = f"the file holds {len(documents)} documents ({kinds}): give one RocketCluster a file of its own"
        raise InvalidManifest([Problem("", sentence)])
    if not isinstance(documents[0], dict):
        raise InvalidManifest([Problem("", f"the file holds a {_kind(documents[0])}, not a RocketCluster")])
    return documents[0]


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return Problem(where, ", ".join(part for part in (error.context, error.problem) if part))


def _kind(document: object) -> str:
    if isinstance(document, dict):
        return str(document.get("kind", "no kind"))
    return {list: "list", str: "text", int: "number", float: "number", bool: "boolean"}.get(type(document), "value")
