"""What the operator tells Prometheus of a cluster: by what its alerts decide whether somebody is woken."""

from __future__ import annotations

from typing import Any

import pytest

from rocket_operator.cluster.metrics import Metrics
from rocket_operator.cluster.reconciler import Outcome
from rocket_operator.conditions import Problem

ORDERS = ("shop", "orders")


def status(ready: str = "Serving", *groups: dict[str, Any]) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True" if ready == "Serving" else "False", "reason": ready}
    return {"conditions": [condition], "groups": list(groups)}


def group(index: int, state: str = "Active", **more: Any) -> dict[str, Any]:
    return {"index": index, "state": state, **more}


def samples(metrics: Metrics, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """Samples by the values of these labels."""
    return {
        tuple(sample.labels[label] for label in labels): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def look(metrics: Metrics, outcome: Outcome) -> float:
    """After one more look: since when the cluster was not looked at without a problem."""
    metrics.looked(ORDERS, outcome, 0.01)
    return samples(metrics, "rocket_operator_reconcile_last_success_timestamp", "namespace", "name")[ORDERS]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as the one item of a list."""
    now = [1000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    return now


def test_a_cluster_that_never_was_well_is_known_since_its_first_look(clock: list[float]) -> None:
    metrics, broken = Metrics(), Outcome(problem=Problem("InvalidSpec", "no"))
    assert look(metrics, broken) == 1000
    clock[0] = 2000
    assert look(metrics, broken) == 1000
    assert look(metrics, Outcome(retry=True)) == 1000
    assert look(metrics, Outcome()) == 2000


def test_a_cluster_that_is_gone_leaves_nothing_and_one_of_its_name_starts_anew(clock: list[float]) -> None:
    metrics = Metrics()
    look(metrics, Outcome(status=status("Serving", group(0, master={}), group(1, "Draining", drain={}))))
    metrics.forget(ORDERS)
    assert not [s for family in metrics.registry.collect() for s in family.samples if s.labels.get("name") == "orders"]
    clock[0] = 2000
    assert look(metrics, Outcome(retry=True)) == 2000


def test_only_the_reason_that_holds_is_told() -> None:
    metrics = Metrics()
    look(metrics, Outcome(status=status("GroupNotOpen")))
    look(metrics, Outcome(status=status("GroupHasNoMaster")))
    assert samples(metrics, "rocket_cluster_condition_reason", "type", "reason") == {("Ready", "GroupHasNoMaster"): 1}


def test_each_group_that_takes_messages_tells_whether_its_master_serves() -> None:
    metrics = Metrics()
    groups = [group(0, master={"pod": "orders-broker-0-0"}), group(1), group(2, "Creating"), group(3, "Draining")]
    look(metrics, Outcome(status=status("GroupHasNoMaster", *groups)))
    assert samples(metrics, "rocket_cluster_group_master", "group") == {("0",): 1, ("1",): 0}


def test_a_hibernated_cluster_lacks_no_master() -> None:
    metrics = Metrics()
    look(metrics, Outcome(status=status("Serving", group(0, master={}))))
    look(metrics, Outcome(status=status("Hibernated", group(0))))
    assert samples(metrics, "rocket_cluster_group_master", "group") == {}
