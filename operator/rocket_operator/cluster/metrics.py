"""What the operator tells Prometheus of itself and of the clusters that it looks after."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from rocket_operator.cluster.reconciler import Outcome
from rocket_operator.objects.groups import State

Key = tuple[str, str]
"""Namespace and name of a RocketCluster."""

_CLUSTER = ("namespace", "name")


class Metrics:
    """The operator's figures, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._looks = Counter(
            "rocket_operator_reconcile", "Looks at a cluster, by how they ended.", ["result"], registry=self.registry
        )
        self._seconds = Histogram(
            "rocket_operator_reconcile_duration_seconds", "Time for one look.", registry=self.registry
        )
        self._last = Gauge(
            "rocket_operator_reconcile_last_success_timestamp",
            "When a cluster was last looked at without a problem; where that never was, when it was first looked at.",
            _CLUSTER, registry=self.registry,
        )  # fmt: skip
        self._known: set[Key] = set()
        self.leads = Gauge("rocket_operator_leader", "1 while this operator acts.", registry=self.registry)
        self._heard = time.monotonic()
        age = Gauge(
            "rocket_operator_watch_last_event_age_seconds", "How long ago the API server told of anything.",
            registry=self.registry,
        )  # fmt: skip
        age.set_function(lambda: time.monotonic() - self._heard)
        self.queue_depth = Gauge(
            "rocket_operator_queue_depth", "Clusters that wait to be looked at.", registry=self.registry
        )
        self._requests = Counter(
            "rocket_operator_api_requests", "Requests to the API server; code 0 is no answer.", ["verb", "code"],
            registry=self.registry,
        )  # fmt: skip
        self._conditions = Gauge(
            "rocket_cluster_condition", "1 for the status that a condition has.", (*_CLUSTER, "type", "status"),
            registry=self.registry,
        )  # fmt: skip
        self._reasons = Gauge(
            "rocket_cluster_condition_reason", "1 for the reason of a condition.", (*_CLUSTER, "type", "reason"),
            registry=self.registry,
        )  # fmt: skip
        self._masters = Gauge(
            "rocket_cluster_group_master", "1 where the master of a group that takes messages serves, else 0.",
            (*_CLUSTER, "group"), registry=self.registry,
        )  # fmt: skip
        self._groups = Gauge("rocket_cluster_groups", "Groups by state.", (*_CLUSTER, "state"), registry=self.registry)
        self._drain = Gauge(
            "rocket_cluster_drain_remaining_messages", "Messages left to consume in a group that leaves.",
            (*_CLUSTER, "group"), registry=self.registry,
        )  # fmt: skip

    def heard(self) -> None:
        """The API server told of something. In any thread."""
        self._heard = time.monotonic()

    def asked(self, verb: str, code: int) -> None:
        """The API server answered a request."""
        self._requests.labels(verb, str(code)).inc()

    def looked(self, key: Key, outcome: Outcome, seconds: float) -> None:
        """One look is over."""
        self._looks.labels("error" if outcome.problem or outcome.retry else "success").inc()
        self._seconds.observe(seconds)
        if not outcome.exists:
            return
        if key not in self._known or (outcome.problem is None and not outcome.retry):
            self._known.add(key)
            self._last.labels(*key).set(time.time())
        if outcome.status is not None:
            self._tell(key, outcome.status)

    def _tell(self, key: Key, status: Mapping[str, Any]) -> None:
        for gauge in (self._reasons, self._masters, self._drain):  # what is no longer so leaves no series
            gauge.remove_by_labels(dict(zip(_CLUSTER, key, strict=True)))
        for condition in status["conditions"]:
            for word in ("True", "False", "Unknown"):
                self._conditions.labels(*key, condition["type"], word).set(condition["status"] == word)
            self._reasons.labels(*key, condition["type"], condition["reason"]).set(1)
        states = [group["state"] for group in status["groups"]]
        for state in State:
            self._groups.labels(*key, state.value).set(states.count(state.value))
        rests = any(each["type"] == "Ready" and each["reason"] == "Hibernated" for each in status["conditions"])
        for group in status["groups"]:
            if State(group["state"]).takes_messages and not rests:
                self._masters.labels(*key, str(group["index"])).set("master" in group)
            remaining = group.get("drain", {}).get("remainingMessages")
            if remaining is not None:
                self._drain.labels(*key, str(group["index"])).set(remaining)

    def forget(self, key: Key) -> None:
        """A cluster is gone."""
        labels = dict(zip(_CLUSTER, key, strict=True))
        self._known.discard(key)
        for gauge in (self._last, self._conditions, self._reasons, self._masters, self._groups, self._drain):
            gauge.remove_by_labels(labels)
