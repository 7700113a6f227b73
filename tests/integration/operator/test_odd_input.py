"""What somebody may do to a cluster's objects, or the operator may get wrong: it is told, and stops nothing else."""

from __future__ import annotations

import pytest

from rocket_operator.cluster import reconciler
from rocket_operator.cluster.observer import Observer
from rocket_testing.operator_bench import Bench


@pytest.mark.parametrize("where", ["look", "status"])
async def test_a_fault_of_the_operator_is_told_in_the_status_and_the_look_is_tried_again(
    b: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    b.make()
    await b.until_stable()

    def fail(*_: object) -> None:
        raise ValueError("no number")

    with monkeypatch.context() as patched:
        patched.setattr(*((Observer, "look") if where == "look" else (reconciler, "status")), fail)
        outcome = await b.look()
        assert outcome.retry
        for name in ("Reconciled", "Stable"):
            assert b.condition(name)["status"] == "False"
            assert b.condition(name)["reason"] == "OperatorFault"
            assert b.condition(name)["message"] == "a fault of the operator: ValueError: no number"
        assert len([line for line in caplog.messages if "a fault of the operator" in line]) == 1
        b.kubernetes.faults.writes.clear()
        await b.look()
        assert b.kubernetes.faults.writes == [], "the same is not written again"
    await b.until_stable()


async def test_a_condition_that_lost_its_time_gets_a_new_one(b: Bench) -> None:
    b.make()
    await b.until_stable()
    told = [{key: each[key] for key in each if key != "lastTransitionTime"} for each in b.status()["conditions"]]
    b.store.patch(("RocketCluster", "default", "orders"), {"status": {"conditions": told}}, "status")
    await b.look()
    assert b.condition("Ready")["lastTransitionTime"] == "1970-01-12T13:46:40Z"
