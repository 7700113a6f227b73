"""Alerts without promtool: each has situations of every sort, and says what a person needs to know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rocket_testing.alerts import NAMESPACE, alerts, rule_files, selectors
from rocket_testing.e2e.images import PROJECT

ALERTS = alerts()
SITUATIONS = {file.stem: yaml.safe_load(file.read_text()) for file in Path(__file__).parent.glob("alerts/*.yaml")}
STEP = "30s"


def looks(alert: str, healthy: bool) -> Iterator[dict[str, Any]]:
    """What is asked in the healthy situations of an alert, or in the others."""
    for test in SITUATIONS[alert]["tests"]:
        if test["name"].startswith("healthy: ") is healthy:
            yield from test["alert_rule_test"]


def test_every_alert_has_situations() -> None:
    assert SITUATIONS.keys() == ALERTS.keys()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tested_at_the_end_of_its_time_a_step_before_and_in_health(alert: str) -> None:
    file = SITUATIONS[alert]
    assert sum(test["name"].startswith("healthy: ") for test in file["tests"]) >= 2
    assert not any(look.get("exp_alerts") for look in looks(alert, healthy=True))
    before, fires, *_ = looks(alert, healthy=False)
    assert not before.get("exp_alerts")
    assert fires["exp_alerts"]
    assert {file["evaluation_interval"], *(test["interval"] for test in file["tests"])} == {STEP}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_it_is_about_and_how_much_of_a_hurry_there_is(alert: str) -> None:
    assert ALERTS[alert]["labels"]["severity"] in ("critical", "warning")
    expected = [each for look in looks(alert, healthy=False) for each in look.get("exp_alerts", ())]
    for each in expected:
        labels, notes = each["exp_labels"], each["exp_annotations"]
        assert notes.keys() == {"summary", "runbook"}
        assert "namespace" in labels  # by which alerts reach those whose cluster it is
        named = [labels[label] for label in ("name", "pod") if label in labels] or [labels["namespace"]]
        assert any(name in notes["summary"] for name in named)
        assert not re.search(r"no value|\{\{|error", notes["summary"])


def test_alerts_name_only_types_states_and_reasons_that_there_are() -> None:
    source = "".join(
        (PROJECT / "operator" / "rocket_operator" / name).read_text() for name in ("conditions.py", "objects/groups.py")
    )
    named = {
        word
        for rule in ALERTS.values()
        for selector in selectors(rule["expr"])
        for label, _, value in selector.matchers
        if label in ("type", "state", "reason")
        for word in value.split("|")
    }
    assert {"Ready", "Active", "DrainTimedOut"} <= named
    assert {word for word in named if f'"{word}"' not in source} == set()


def test_an_alert_of_a_cluster_hears_of_no_other() -> None:
    rules = [rule for group in rule_files()["orders"]["groups"] for rule in group["rules"]]
    for rule in rules:
        for selector in selectors(rule["expr"]):
            own = {("namespace", "=", NAMESPACE), ("rocketcluster_dev_cluster", "=", "orders")}
            assert own <= set(selector.matchers), rule["alert"]


def test_an_alert_about_a_condition_says_which() -> None:
    for alert, rule in ALERTS.items():
        for selector in selectors(rule["expr"]):
            if selector.metric == "rocket_cluster_condition_reason":
                assert {"type", "reason"} <= {label for label, _, _ in selector.matchers}, alert
