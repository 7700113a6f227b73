"""The conditions of a RocketCluster. Each says what is seen, why in one word, and why in a sentence.

Ready         clients can produce and consume everywhere the spec promises
Available     at least one name server and one group serve producers
Reconciled    nothing is left to do for the spec of observedGeneration
Degraded      something that should run does not (True is bad)
Scaling       groups come or go
Upgrading     pods are replaced by others
StorageHealthy  every volume is there, as large as it shall be
Stable        all of it: wait for this one
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rocket_operator.objects.groups import State
from rocket_operator.objects.metadata import ADOPT_ANNOTATION
from rocket_operator.rollout import objects, restarts, scaling
from rocket_operator.rollout.steps import Step, Wait
from rocket_operator.rollout.view import View
from rocket_operator.spec import DrainPolicy

#: Conditions, and their reasons that say why others do not hold.
_CAUSES: Final = (
    ("Reconciled", ("RefusedByApiServer", "RejectedByBroker", "NameTaken", "ApplyConflict", "OperatorFault")),
    ("StorageHealthy", ("StorageClassMissing", "LostVolume", "ExpansionUnsupported")),
    ("Degraded", ()),
    ("Scaling", ("OldVolumesFound", "DrainTimedOut", "DrainBlocked")),
)


@dataclass(frozen=True)
class Problem:
    """What keeps the operator from doing its work: a word for programs and a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class NameServers:
    """How many name servers are wanted, ready, and of the wanted version and settings."""

    replicas: int
    ready: int
    updated: int
    rolling: bool

    def as_status(self) -> dict[str, int]:
        return {"replicas": self.replicas, "ready": self.ready, "updated": self.updated}


@dataclass(frozen=True, slots=True)
class Found:
    """A condition before it has a time."""

    holds: bool
    reason: str
    message: str


def timestamp(seconds: float) -> str:
    """Seconds since 1970 as Kubernetes writes times."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def name_servers(view: View) -> NameServers:
    """What the name servers' Deployment says."""
    live = view.live("Deployment", view.cluster.name_servers)
    wanted = view.cluster.spec.name_server.replicas if view.is_running else 0
    if live is None:
        return NameServers(wanted, 0, 0, False)
    seen: Mapping[str, Any] = live.get("status") or {}
    is_seen = seen.get("observedGeneration", 0) >= live["metadata"].get("generation", 0)
    ready, updated = seen.get("readyReplicas", 0), seen.get("updatedReplicas", 0) if is_seen else 0
    return NameServers(wanted, ready, updated, not is_seen or updated < seen.get("replicas", 0))


def judge(view: View, step: Step | None, problem: Problem | None) -> dict[str, Found]:
    """All of them, in the order above."""
    found = {
        "Ready": _ready(view),
        "Available": _available(view),
        "Reconciled": _reconciled(view, step, problem),
        "Degraded": _degraded(view),
        "Scaling": _scaling(view),
        "Upgrading": _upgrading(view),
        "StorageHealthy": _storage(view),
    }
    return found | {"Stable": _stable(view, found)}


def conditions(view: View, found: Mapping[str, Found], previous: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What `judge` found, as the status has it. A time moves only with its status."""
    before = {each["type"]: each for each in previous}
    generation = view.cluster.generation
    return [condition(name, each, before.get(name), generation, view.now) for name, each in found.items()]


def condition(name: str, found: Found, before: Mapping[str, Any] | None, generation: int, now: float) -> dict[str, Any]:
    """One condition as the status has it. `before`: what it replaces, by whoever wrote it; `now`: seconds."""
    word = "True" if found.holds else "False"
    since = before.get("lastTransitionTime") if before is not None and before.get("status") == word else None
    return {
        "type": name,
        "status": word,
        "observedGeneration": generation,
        "lastTransitionTime": since or timestamp(now),
        "reason": found.reason,
        "message": found.message[:1000],
    }


def _ready(view: View) -> Found:
    if not view.is_running:
        return Found(False, "Hibernated", "spec.mode is Hibernated")
    if name_servers(view).ready == 0:
        return Found(False, "NameServersUnavailable", "no name server is ready")
    active = {group.index for group in view.active_groups()}
    for index in range(view.cluster.spec.broker.groups):
        if index not in active:
            return Found(False, "GroupNotOpen", f"group {index} does not take messages yet")
        if not _serves(view, index):
            return Found(False, "GroupHasNoMaster", f"group {index} has no master that serves")
    return Found(True, "Serving", "every group takes messages")


def _available(view: View) -> Found:
    if view.is_running and name_servers(view).ready and any(_serves(view, each.index) for each in view.active_groups()):
        return Found(True, "Serving", "a name server and a group of brokers serve")
    return Found(False, "NoWritableGroup", "no group of brokers, or no name server, serves producers")


def _serves(view: View, index: int) -> bool:
    return any(pod.is_master and pod.serves for pod in view.members(index))


def _reconciled(view: View, step: Step | None, problem: Problem | None) -> Found:
    if problem is not None:
        return Found(False, problem.reason, problem.message)
    if view.cluster.spec.management_policy == "Paused":
        return Found(False, "Paused", "spec.managementPolicy is Paused: nothing is changed")
    if step is not None:
        return Found(False, "Waiting" if isinstance(step, Wait) else "Progressing", step.why)
    return Found(True, "AsSpecified", "everything is as the spec says")


def _degraded(view: View) -> Found:
    if not view.is_running:
        return Found(False, "Hibernated", "nothing should run")
    for pod in view.observed.pods:
        if pod.trouble:
            return Found(True, pod.trouble.partition(":")[0], f"{pod.name} cannot start: {pod.trouble}")
    for group in view.existing_groups:
        members = [pod for pod in view.members(group.index) if pod.serves]
        if view.wanted(group) and len(members) < view.cluster.members_per_group:
            message = f"group {group.index} has {len(members)} of {view.cluster.members_per_group} members"
            return Found(True, "BrokerDown", message)
    servers = name_servers(view)
    if servers.ready < servers.replicas:
        return Found(True, "NameServerDown", f"{servers.ready} of {servers.replicas} name servers are ready")
    return Found(False, "AllServe", "everything that should run does")


def _scaling(view: View) -> Found:
    for index in range(view.cluster.spec.broker.groups):
        if claims := view.old_volumes(index):
            names = ", ".join(claim.name for claim in claims)
            message = (
                f"group {index} is not made: {names} still hold the messages of a group of this number that was scaled "
                f"away. Delete them, or annotate this resource with {ADOPT_ANNOTATION}={index} to have them back"
            )
            return Found(True, "OldVolumesFound", message)
    leaving = scaling.leaving(view)
    if leaving is not None:
        return _leaving(view, leaving.index)
    for group in view.existing_groups:
        if group.state is not State.ACTIVE:
            return Found(True, group.state.value, f"group {group.index} is added")
    missing = view.cluster.spec.broker.groups - len(view.existing_groups)
    return (
        Found(True, "Creating", f"{missing} groups are made")
        if missing > 0
        else Found(False, "NotScaling", "every wanted group takes messages")
    )


def _leaving(view: View, index: int) -> Found:
    group = next(each for each in view.existing_groups if each.index == index)
    down = view.cluster.spec.scaling.down
    if group.state is State.ACTIVE and down.policy is DrainPolicy.BLOCK:
        return Found(True, "DrainBlocked", f"group {index} is not wanted, and scaling.down.policy is Block")
    deadline = (group.started or view.now) + (down.drain_timeout_seconds or float("inf"))
    if group.state is State.DRAINING and view.now >= deadline:
        message = f"group {index} is not drained after {down.drain_timeout_seconds} s; it stays read-only"
        return Found(True, "DrainTimedOut", message)
    if group.state is State.DRAINING and (why := scaling.doubt(view, group, scaling.blockers(view, group))):
        return Found(True, "DrainInDoubt", f"it cannot be said what is left in group {index}: {why}")
    return Found(True, group.state.value, f"group {index} is removed")


def _upgrading(view: View) -> Found:
    stale = restarts.stale_pods(view)
    if stale:
        pod, reason = stale[0]
        return Found(
            True, view.cluster.spec.update.strategy.value, f"{len(stale)} brokers restart; {pod.name}: {reason}"
        )
    if name_servers(view).rolling:
        return Found(True, "NameServers", "name servers are replaced")
    return Found(False, "UpToDate", "every pod is of the wanted version and settings")


def _storage(view: View) -> Found:
    if not view.observed.volumes:
        missing = next(_storage_problems(view), None)
        return missing or Found(not view.is_running, "NoVolumes", "there is no volume yet")
    return next(_storage_problems(view), Found(True, "Bound", "every volume is at least as large as it shall be"))


def _storage_problems(view: View) -> Iterator[Found]:
    wanted = view.cluster.spec.broker.storage.storage_class_name
    if wanted in view.observed.missing_classes:
        yield Found(False, "StorageClassMissing", f"there is no storage class {wanted}: make it")
    for group in view.existing_groups:
        size = objects.wanted_size(view, group.index)
        for claim in view.volumes(group.index):
            if claim.phase == "Lost":
                yield Found(False, "LostVolume", f"the volume of {claim.name} is gone")
            if objects.is_larger(size, claim.requested) and objects.cannot_grow(view, claim):
                message = f"{claim.name} cannot grow to {size}: storage class {claim.storage_class} does not allow it"
                yield Found(False, "ExpansionUnsupported", message)
            elif claim.actual and objects.is_larger(claim.requested, claim.actual):
                waits = f" ({claim.resizing})" if claim.resizing else ""
                yield Found(False, "Resizing", f"{claim.name} grows from {claim.actual} to {claim.requested}{waits}")
            elif claim.phase == "Pending":
                yield Found(False, "Pending", f"{claim.name} has no volume yet")


def cause(found: Mapping[str, Found]) -> Found | None:
    """What somebody has to do something about, and what explains the rest; None where there is no such thing.

    Without it a person would read only that nothing serves.
    """
    for name, reasons in _CAUSES:
        if found[name].reason in reasons or (name == "Degraded" and _is_trouble(found[name])):
            return Found(False, found[name].reason, f"{name}: {found[name].message}")
    return None


def _is_trouble(degraded: Found) -> bool:
    return degraded.holds and degraded.reason not in ("BrokerDown", "NameServerDown")


def _stable(view: View, found: Mapping[str, Found]) -> Found:
    if not view.is_running:
        rests = found["Reconciled"].holds and not view.observed.pods
        return Found(rests, "Hibernated", "nothing runs" if rests else "it is being stopped")
    if (wrong := cause(found)) is not None:
        return wrong
    for name, wanted in (
        ("Ready", True), ("Reconciled", True), ("Degraded", False), ("Scaling", False), ("Upgrading", False),
        ("StorageHealthy", True),
    ):  # fmt: skip
        if found[name].holds is not wanted:
            return Found(False, found[name].reason, f"{name}: {found[name].message}")
    return Found(True, "AsSpecified", "everything is as the spec says, and serves")
