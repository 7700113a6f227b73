"""What can be said of the chart without helm: its values, rights and kinds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "rocketcluster"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


def test_the_values_fit_their_schema() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(VALUES)


def test_the_schema_knows_every_value_and_no_other() -> None:
    def keys(node: Any, at: str = "") -> set[str]:
        if not isinstance(node, dict) or not node:
            return {at}
        return set().union(*(keys(inner, f"{at}.{key}") for key, inner in node.items()))

    def known(schema: dict[str, Any], at: str = "") -> set[str]:
        if "properties" not in schema:
            return {at}
        assert schema["additionalProperties"] is False, at
        return set().union(*(known(inner, f"{at}.{key}") for key, inner in schema["properties"].items()))

    described = known(SCHEMA) - {".global"}
    assert {path for path in described if not any(key.startswith(path) for key in keys(VALUES))} == set()


REFUSED: list[dict[str, Any]] = [
    {"replica": 2}, {"replicas": 0}, {"image": {"tagg": "1"}}, {"watchNamespaces": ["A"]}, {"cluster": {"name": "Big"}},
    {"logging": {"level": "loud"}}, {"monitoring": {"serviceMonitor": {"interval": "often"}}},
    {"monitoring": {"serviceMonitor": {"interval": "5m"}}},
]  # fmt: skip


@pytest.mark.parametrize("values", REFUSED)
def test_a_value_that_cannot_be_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(values)


def test_the_kinds_are_the_operators_own_files() -> None:
    assert (CHART / "crd-files").resolve() == ROOT / "operator" / "rocket_operator" / "crds"


def test_no_right_has_a_wildcard_and_no_pod_is_entered() -> None:
    for file in (CHART / "templates").glob("*"):
        if file.is_file():
            assert not re.search(r"(verbs|resources|apiGroups): *\[[^\]]*\*", file.read_text()), file
            assert "pods/exec" not in file.read_text()
            assert "secrets]" not in file.read_text()
