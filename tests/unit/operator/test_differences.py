"""Whether an object is as its manifest says, when the API server and others have had their hands on it."""

from __future__ import annotations

from typing import Any

import pytest

from rocket_operator import quantity
from rocket_operator.rollout.differences import difference, stamped


def made(**spec: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": "orders"}, "spec": spec}


def test_what_the_api_server_adds_is_no_difference() -> None:
    wanted = stamped(made(ports=[{"name": "clients", "port": 1}]))
    live = {**stamped(made(ports=[{"name": "clients", "port": 1}])), "status": {}}
    live["spec"] = {"clusterIP": "10.0.0.1", "ports": [{"name": "clients", "port": 1, "nodePort": 30000}]}
    assert difference(wanted, live) is None


def test_a_field_that_left_the_manifest_is_noticed() -> None:
    assert difference(stamped(made(a=1)), stamped(made(a=1, b=2))) == "spec"


@pytest.mark.parametrize("args", [["-c"], ["-c", "x", "y"], ["x", "-c"], None])
def test_a_list_that_is_longer_shorter_or_in_another_order_is_noticed(args: list[str] | None) -> None:
    wanted = stamped(made(args=["-c", "x"]))
    assert difference(wanted, {**wanted, "spec": {"args": args}}) == "spec.args"


def test_items_with_names_are_compared_by_name() -> None:
    wanted = stamped(made(env=[{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]))
    turned = {**wanted, "spec": {"env": [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}]}}
    changed = {**wanted, "spec": {"env": [{"name": "b", "value": "3"}, {"name": "a", "value": "1"}]}}
    assert difference(wanted, turned) is None
    assert difference(wanted, changed) == "spec.env[b].value"


def test_a_quantity_written_in_another_way_is_the_same() -> None:
    wanted = stamped(made(memory="1024Mi", cpu=1))
    assert difference(wanted, {**wanted, "spec": {"memory": "1Gi", "cpu": "1000m"}}) is None
    assert difference(wanted, {**wanted, "spec": {"memory": "2Gi", "cpu": "1"}}) == "spec.memory"


@pytest.mark.parametrize("wanted", ["", False, 0])
def test_an_empty_value_that_the_api_server_leaves_out_is_no_difference(wanted: object) -> None:
    manifest = stamped(made(env=[{"name": "a", "value": wanted}]))
    assert difference(manifest, {**manifest, "spec": {"env": [{"name": "a"}]}}) is None
    assert difference(manifest, {**manifest, "spec": {"env": [{"name": "a", "value": "1"}]}}) == "spec.env[a].value"


@pytest.mark.parametrize(
    ("wanted", "live", "same"),
    [
        ("0.00000000001", "1m", True),
        ("1e999", "1e999", True),
        ("1e-999", "1m", True),
        ("2m", "1m", False),
        ("1" * 9999, "2", False),
    ],
)
def test_a_quantity_is_rounded_up_to_thousandths(wanted: str, live: str, same: bool) -> None:
    assert quantity.is_equal(wanted, live) == same
