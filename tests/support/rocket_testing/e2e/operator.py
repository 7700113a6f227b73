"""The operator in the test cluster, as the chart installs it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rocket_testing.e2e import images
from rocket_testing.e2e.images import PROJECT
from rocket_testing.e2e.kubernetes import CommandFailed, Kubernetes

NAMESPACE = "rocket-system"
RELEASE = "rocketcluster"
_SELECTOR = "app.kubernetes.io/name=rocket-operator"


@dataclass(frozen=True)
class Operator:
    """One release of the chart."""

    kubernetes: Kubernetes

    def install(self, *values: str) -> str:
        """helm upgrade --install, with this checkout's images; `values` as in --set."""
        tag = images.tag()
        options = [
            f"image.repository={images.PREFIX}/rocket-operator",
            f"image.tag={tag}",
            f"brokers.image={images.PREFIX}/rocket-broker:{tag}",
            f"nameServers.image={images.PREFIX}/rocket-namesrv:{tag}",
            *values,
        ]  # fmt: skip
        return self.kubernetes.helm(
            "upgrade", "--install", RELEASE, str(PROJECT / "charts" / "rocketcluster"), "--namespace", NAMESPACE,
            "--create-namespace", "--wait", "--timeout", "90s", *(word for each in options for word in ("--set", each)),
        )  # fmt: skip

    def uninstall(self) -> None:
        self.kubernetes.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "60s")

    def scale(self, replicas: int) -> None:
        self.kubernetes.kubectl("scale", "-n", NAMESPACE, f"deploy/{RELEASE}", f"--replicas={replicas}")
        self.kubernetes.until(lambda: len(self.pods()) == replicas, 60)

    def pods(self) -> list[dict[str, Any]]:
        return self.kubernetes.list(NAMESPACE, "pods", _SELECTOR)

    def log(self, since: float) -> list[dict[str, Any]]:
        """The lines of its log, of all its pods that are there, since a time (seconds since 1970)."""
        moment = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = []
        for pod in self.pods():
            try:
                text = self.kubernetes.kubectl(
                    "logs", "-n", NAMESPACE, pod["metadata"]["name"], f"--since-time={moment}"
                )
            except CommandFailed:
                continue  # a pod that is only just coming or going has none
            found += [
                json.loads(line) if line.startswith("{") else {"message": line, "level": "?"}
                for line in text.splitlines()
            ]
        return found

    def complaints(self, since: float, namespace: str) -> list[str]:
        """Errors and tracebacks, but for those about other namespaces."""
        return [
            str(line)
            for line in self.log(since)
            if (line["level"] not in ("INFO", "WARNING") or "traceback" in line)
            and (line.get("namespace") in (None, namespace))
        ]
