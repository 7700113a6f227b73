"""What the status of an object says, now or in a while."""

from __future__ import annotations

from typing import Any

from rocket_testing.e2e.kubernetes import Kubernetes, conditions_of


def condition(kubernetes: Kubernetes, namespace: str, kind: str, name: str, wanted: str) -> dict[str, Any]:
    """One condition of an object; empty where it has none of that type."""
    return conditions_of(kubernetes.get(namespace, kind, name) or {}).get(wanted, {})


def until_reason(kubernetes: Kubernetes, namespace: str, wanted: str, reason: str, seconds: float = 60) -> str:
    """The message of a condition of the cluster `orders` once it has a reason."""
    kubernetes.until(
        lambda: condition(kubernetes, namespace, "rkt", "orders", wanted).get("reason") == reason, seconds, namespace
    )
    return str(condition(kubernetes, namespace, "rkt", "orders", wanted)["message"])
