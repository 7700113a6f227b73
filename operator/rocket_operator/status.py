"""From what is seen to the resource's status: a summary for people, numbers for autoscalers, conditions for programs.

Pure, and without a clock of its own: what is written again at each look must come out the same while nothing changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rocket_operator import conditions
from rocket_operator.conditions import timestamp
from rocket_operator.objects import broker
from rocket_operator.objects.groups import Group, State
from rocket_operator.objects.metadata import CLUSTER_LABEL, ROLE_LABEL
from rocket_operator.quantity import parse
from rocket_operator.rollout import scaling
from rocket_operator.rollout.steps import Delete, Step
from rocket_operator.rollout.view import Pod, View

_MOST_BLOCKERS = 10
#: The lists that are maps, and what their items are told apart by; as the schema says.
_LIST_KEYS = {"groups": "index", "members": "pod", "conditions": "type"}
_MOST_RESTARTS = 10


@dataclass(frozen=True)
class Look:
    """One look at a cluster: what is seen, what is to be done next (None: nothing), what was done, what went wrong."""

    view: View
    step: Step | None = None
    done: Sequence[Step] = ()
    problem: conditions.Problem | None = None
    operator_version: str = ""

    @cached_property
    def judged(self) -> Mapping[str, conditions.Found]:
        """What is to be said of it, by condition."""
        return conditions.judge(self.view, self.step, self.problem)


def status(look: Look, previous: Mapping[str, Any]) -> dict[str, Any]:
    """The whole status. `previous` is the one that it replaces."""
    view = look.view
    found: dict[str, Any] = {
        "observedGeneration": view.cluster.generation,
        "summary": _summary(look, conditions.cause(look.judged)),
        "display": _display(view),
        "scale": {
            "replicas": sum(group.state.takes_messages for group in view.existing_groups),
            "selector": f"{CLUSTER_LABEL}={view.cluster.name},{ROLE_LABEL}=master",
        },
        "version": _version(look),
        "endpoints": {"nameServers": view.cluster.endpoint},
        "nameServers": conditions.name_servers(view).as_status(),
        "groups": [_group(view, group) for group in view.existing_groups],
        "restarts": _restarts(look, previous),
        "conditions": conditions.conditions(view, look.judged, previous.get("conditions") or ()),
    }
    return found | ({"plan": _plan(look.step)} if look.step is not None else {})


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two statuses say the same: lists that are maps have no order, and an API server keeps its own."""
    return bool(_unordered(one) == _unordered(other))


def _unordered(value: Any, field: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _unordered(inner, key) for key, inner in value.items()}
    key = _LIST_KEYS.get(field) if isinstance(value, list) else None
    return {item[key]: _unordered(item) for item in value} if key else value


def _summary(look: Look, cause: conditions.Found | None) -> str:
    view = look.view
    if look.problem is not None:
        return look.problem.message[:200]
    if not view.is_running and not view.observed.pods:
        return "Hibernated"
    if cause is not None:
        return cause.message[:200]
    if look.step is not None:
        return look.step.why[:200]
    if view.cluster.spec.management_policy == "Paused":
        return "Paused"
    serving = sum(pod.serves for pod in view.observed.pods if pod.group is not None)
    wanted = view.cluster.spec.broker.groups * view.cluster.members_per_group
    return "Running" if serving >= wanted else f"{serving} of {wanted} brokers serve"


def _display(view: View) -> dict[str, str]:
    spec = view.cluster.spec
    serving = [group for group in view.active_groups() if _master_serves(view, group)]
    brokers = [pod for pod in view.observed.pods if pod.group is not None]
    servers = conditions.name_servers(view)
    masters = (f"{pod.group}:{pod.name}" for pod in brokers if pod.is_master and pod.serves)
    return {
        "groups": f"{len(serving)}/{spec.broker.groups}",
        "brokers": f"{sum(pod.serves for pod in brokers)}/{spec.broker.groups * view.cluster.members_per_group}",
        "nameServers": f"{servers.ready}/{servers.replicas}",
        "masters": " ".join(sorted(masters)),
    }


def _master_serves(view: View, group: Group) -> bool:
    return any(pod.is_master and pod.serves for pod in view.members(group.index))


def _version(look: Look) -> dict[str, str]:
    # A pod that is going counts no more, or the status would be Stable and of the version before.
    running = sorted({pod.version for pod in look.view.observed.pods if pod.version and not pod.terminating})
    found = {"target": look.view.images.version, "operator": look.operator_version}
    return ({"current": running[0]} if running else {}) | found


def _group(view: View, group: Group) -> dict[str, Any]:
    found: dict[str, Any] = {
        "index": group.index,
        "name": view.cluster.group(group.index),
        "state": group.state.value,
        "epoch": _epoch(view, group),
        "members": [_member(view, pod) for pod in view.members(group.index)],
        "volumes": _volumes(view, group),
    }
    if master := next((pod for pod in view.members(group.index) if pod.is_master and pod.serves), None):
        found["master"] = {"pod": master.name}
    if group.state.is_leaving:
        found["drain"] = _drain(view, group)
    return found


def _epoch(view: View, group: Group) -> int:
    """How often the group had another master; 0 where roles are fixed."""
    lease = view.live("Lease", view.cluster.group(group.index)) or {}
    return (lease.get("spec") or {}).get("leaseTransitions") or 0


def _member(view: View, pod: Pod) -> dict[str, Any]:
    seen = view.observed.brokers.get(pod.name)
    found: dict[str, Any] = {"pod": pod.name, "role": "Master" if pod.is_master else "Slave", "ready": pod.serves}
    if pod.version:
        found["version"] = pod.version
    if seen is not None and seen.behind is not None:
        found |= {"inSync": seen.behind == 0, "lagBytes": round_up(seen.behind)}
    return found


def round_up(number: int) -> int:
    """The next power of two, so that a status does not change with every message."""
    return 1 << (number - 1).bit_length() if number > 0 else 0


def _volumes(view: View, group: Group) -> dict[str, str]:
    sizes = [volume.actual for volume in view.volumes(group.index) if volume.actual]
    found = {"requested": broker.volume_size(view.cluster, group.index)}
    return found | ({"actual": min(sizes, key=parse)} if sizes else {})


def _drain(view: View, group: Group) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if group.started is not None:
        found["startedAt"] = timestamp(group.started)
        if timeout := view.cluster.spec.scaling.down.drain_timeout_seconds:
            found["deadline"] = timestamp(group.started + timeout)
    left = scaling.blockers(view, group) if group.state in (State.DRAINING, State.VERIFYING) else None
    if left is not None:
        found["remainingMessages"] = sum(blocker.remaining for blocker in left)
        found["blockers"] = [
            {"topic": each.topic, "group": each.group, "remaining": each.remaining} for each in left[:_MOST_BLOCKERS]
        ]
    return found


def _plan(step: Step) -> dict[str, str]:
    return {"action": type(step).__name__, "reason": step.why} | ({"target": step.target} if step.target else {})


def _restarts(look: Look, previous: Mapping[str, Any]) -> list[dict[str, str]]:
    new = [
        {"pod": step.name, "reason": step.why, "at": timestamp(look.view.now)}
        for step in look.done
        if isinstance(step, Delete) and step.kind == "Pod"
    ]
    return [*reversed(new), *(previous.get("restarts") or ())][:_MOST_RESTARTS]
