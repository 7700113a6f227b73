"""The alerts as Prometheus gets them, and promtool, which evaluates them as Prometheus does.

write_rules(folder)                            operator.yaml, orders.yaml, hibernated.yaml
promtool("check", "rules", "operator.yaml", folder=folder)
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rocket_operator import manifest
from rocket_operator.objects import monitoring
from rocket_operator.objects.metadata import Cluster
from rocket_operator.spec import ClusterSpec
from rocket_testing.e2e.images import PROJECT
from rocket_testing.e2e.kubernetes import BINARIES

CHART = PROJECT / "charts" / "rocketcluster"
RUNBOOKS = PROJECT / "docs" / "runbooks.md"
#: Where the operator runs, and where the cluster is, in all of these tests.
OPERATORS_NAMESPACE, NAMESPACE = "rocket-system", "shop"

_SECONDS = 60.0


class Refused(Exception):
    """What promtool or helm said, and their exit status was not 0."""


def promtool(*arguments: str, folder: Path) -> str:
    """What promtool prints. Raises Refused."""
    return _run(str(BINARIES / "promtool"), *arguments, folder=folder)


def chart(*values: str) -> list[dict[str, Any]]:
    """The chart's objects for Prometheus with all of them switched on."""
    switches = [f"monitoring.{each}.enabled=true" for each in ("serviceMonitor", "prometheusRule", "dashboard")]
    options = [word for value in (*switches, *values) for word in ("--set", value)]
    text = _run(
        str(BINARIES / "helm"), "template", "demo", str(CHART), "--namespace", OPERATORS_NAMESPACE,
        "--show-only", "templates/monitoring.yaml", *options, folder=PROJECT,
    )  # fmt: skip
    return [each for each in yaml.safe_load_all(text) if each]


def cluster(name: str = "orders", spec: str = "{}") -> Cluster:
    head = f"apiVersion: rocketcluster.dev/v1alpha1\nkind: RocketCluster\nmetadata: {{name: {name}}}\n"
    return Cluster(ClusterSpec.parse(manifest.read(f"{head}spec: {spec}\n")), NAMESPACE, "uid")


def rule_files() -> dict[str, dict[str, Any]]:
    """The rules of the operator, of the cluster orders, and of the cluster archive, which is hibernated."""
    text = (CHART / "alerts" / "operator.yaml").read_text().replace("RELEASE_NAMESPACE", OPERATORS_NAMESPACE)
    return {
        "operator": yaml.safe_load(text),
        "orders": monitoring.prometheus_rule(cluster())["spec"],
        "hibernated": monitoring.prometheus_rule(cluster("archive", "{mode: Hibernated}"))["spec"],
    }


def write_rules(folder: Path) -> Path:
    for name, spec in rule_files().items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(spec))
    return folder


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert there is, by its name."""
    files = rule_files()
    groups = [group for name in ("operator", "orders") for group in files[name]["groups"]]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


@dataclass(frozen=True)
class Selector:
    """`metric{label="value", ...}` in an expression; matchers are label, operator, value."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...] = ()

    def matches(self, metric: str, labels: Mapping[str, str]) -> bool:
        return metric == self.metric and all(
            _holds(labels.get(name, ""), operator, value) for name, operator, value in self.matchers
        )

    def without_values_of(self, *names: str) -> Selector:
        """The same, for whatever these labels say; but they must be there."""
        return Selector(
            self.metric, tuple((name, "!=", "") if name in names else (name, op, v) for name, op, v in self.matchers)
        )


def selectors(expression: str) -> Iterator[Selector]:
    """All selectors of our metrics and of `up`."""
    for metric, inner in re.findall(r"\b(rocket(?:mq)?_[a-z_]+|up)\b(?:\{([^{}]*)\})?(?!\")", expression):
        yield Selector(metric, tuple(re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', inner)))


def _holds(found: str, operator: str, wanted: str) -> bool:
    is_so = re.fullmatch(wanted, found) is not None if operator.endswith("~") else found == wanted
    return is_so != operator.startswith("!")


def _run(*command: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode:
        raise Refused(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
