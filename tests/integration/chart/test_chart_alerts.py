"""Each alert as Prometheus evaluates it: it fires where it shall, with what a person needs to know, and nowhere else.

The situations are in alerts/, one file an alert, in promtool's own format; those that begin with "healthy:" must stay
quiet.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rocket_testing.alerts import chart, promtool, rule_files

pytestmark = [pytest.mark.chart, pytest.mark.timeout(120)]

FILES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_alert_fires_where_it_shall_and_stays_quiet_elsewhere(rules: Path, file: Path) -> None:
    promtool("test", "rules", str(shutil.copy(str(file), rules)), folder=rules)


def test_prometheus_takes_all_rules(rules: Path) -> None:
    files = [f"{name}.yaml" for name in rule_files()]
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", *files, folder=rules)
    assert said.count("SUCCESS") == len(files) == 3


def test_the_chart_has_the_rules_that_are_tested(built: None) -> None:
    rule = next(each for each in chart() if each["kind"] == "PrometheusRule")
    assert rule["spec"] == rule_files()["operator"]


def test_the_namespace_of_a_cluster_is_not_overwritten_by_the_operators(built: None) -> None:
    monitor = next(each for each in chart() if each["kind"] == "ServiceMonitor")
    assert [each["honorLabels"] for each in monitor["spec"]["endpoints"]] == [True]
