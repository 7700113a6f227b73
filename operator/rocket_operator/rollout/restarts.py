"""Decisions about running brokers: what they can take over as they run is told to them, the rest needs a restart.

One broker at a time in the whole cluster, slaves before their master, group by group; a master only when its slaves
have all that it has. A broker that does not serve anyway is restarted at once: a change that broke it can be mended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from rocket_operator.objects.groups import Group, State
from rocket_operator.objects.metadata import SETTINGS_ANNOTATION, VERSION_LABEL
from rocket_operator.objects.settings import LIVE_KEYS
from rocket_operator.rollout.steps import Configure, Delete, Step, Wait
from rocket_operator.rollout.view import Pod, View
from rocket_operator.spec import UpdateStrategy

#: The key of broker.properties that says where a group's lease is; absent with fixed roles.
_LEASE: Final = "leaseStore"


def configure(view: View) -> Iterator[Step]:
    """Each broker that answers is told the live keys that it has otherwise."""
    for group in view.existing_groups:
        wanted = view.settings(group)
        for pod in view.members(group.index):
            broker = view.observed.brokers.get(pod.name)
            changes = live_changes(wanted, broker.settings) if broker else {}
            if changes:
                told = ", ".join(f"{key}={value}" for key, value in changes.items())
                why = f"telling {pod.name} as it runs: {told}"
                yield Configure(why, pod.name, view.address(pod), changes, reason="Configured")


def live_changes(wanted: Mapping[str, str], running: Mapping[str, str]) -> dict[str, str]:
    """Live keys whose running value is not the wanted one."""
    return {key: wanted[key] for key in wanted if key in LIVE_KEYS and running.get(key) != wanted[key]}


def restart(view: View) -> Iterator[Step]:
    """The next broker to restart."""
    if view.cluster.spec.update.strategy is not UpdateStrategy.SLAVES_FIRST or not view.is_running:
        return
    stale = [(pod, reason) for group in view.existing_groups for pod, reason in _stale(view, group)]
    for pod, reason in stale:
        if not pod.ready and not pod.terminating:
            yield _restart(pod, f"{reason}; it does not serve as it is")
    if not stale:
        yield from _unseen(view)
        return
    first, reason = stale[0]
    if blocked := _disturbed(view, first):
        yield Wait(f"waiting with the restart of {first.name} ({reason}): {blocked}")
    else:
        yield _restart(first, reason)


def _unseen(view: View) -> Iterator[Step]:
    """Until Kubernetes has seen a changed StatefulSet nobody can say which of its pods are as they shall be."""
    for group in view.existing_groups:
        name = view.cluster.group(group.index)
        if view.live("StatefulSet", name) is not None and view.revision(group.index) is None:
            yield Wait(f"waiting until Kubernetes has seen StatefulSet {name} as it is now")


def stale_pods(view: View) -> list[tuple[Pod, str]]:
    """Broker pods that do not run as they shall, and why, in the order to restart them."""
    return [found for group in view.existing_groups for found in _stale(view, group)]


def _stale(view: View, group: Group) -> Iterator[tuple[Pod, str]]:
    revision = view.revision(group.index)
    if revision is None:
        return
    for pod in sorted(view.members(group.index), key=lambda pod: (pod.is_master, -pod.ordinal)):
        if pod.revision != revision:
            yield pod, _why(view, group, pod)


def _why(view: View, group: Group, pod: Pod) -> str:
    found = view.live("StatefulSet", view.cluster.group(group.index)) or {}
    template = found["spec"]["template"]
    image = template["spec"]["containers"][0]["image"]
    if image != pod.image:
        return f"the image changes from {pod.image} to {image}"
    metadata = template["metadata"]
    if (metadata.get("annotations") or {}).get(SETTINGS_ANNOTATION) != pod.settings_hash:
        return f"settings change that need a restart: {_changed_keys(view, group, pod)}"
    version = (metadata.get("labels") or {}).get(VERSION_LABEL)
    return f"the version changes to {version}" if version != pod.version else "the pod template changes"


def _changed_keys(view: View, group: Group, pod: Pod) -> str:
    broker = view.observed.brokers.get(pod.name)
    if broker is None:
        return "which ones is not known, its broker does not answer"
    wanted = view.settings(group)
    if not pod.is_master:
        wanted["brokerRole"] = "SLAVE"
    keys = [key for key in wanted if key not in LIVE_KEYS and broker.settings.get(key) != wanted[key]]
    return ", ".join(sorted(keys)) or "keys that leave the file"


def _disturbed(view: View, next_one: Pod) -> str | None:
    """Why no broker that serves may be stopped now."""
    for group in view.existing_groups:
        if group.state in (State.UNREGISTERING, State.REMOVING):
            return f"group {group.index} leaves"
        members = view.members(group.index)
        if len(members) != view.cluster.members_per_group:
            return f"group {group.index} has {len(members)} of {view.cluster.members_per_group} members"
        for pod in members:
            if not pod.serves:
                return f"{pod.name} does not serve" + (f" ({pod.trouble})" if pod.trouble else "")
            behind = view.behind(pod.name)
            if not pod.is_master and next_one.group == group.index and next_one.is_master:
                if behind is None and _begins_failover(view, group, next_one):
                    continue
                if behind is None:
                    return f"it is not known how far {pod.name} is behind its master"
                if behind > view.cluster.spec.update.max_lag_bytes:
                    return f"{pod.name} is {behind} bytes behind its master"
    return None


def _begins_failover(view: View, group: Group, master: Pod) -> bool:
    """Whether the master has a fixed role, and its slaves a lease already: they follow once it has one, too."""
    broker = view.observed.brokers.get(master.name)
    return broker is not None and _LEASE in view.settings(group) and not broker.settings.get(_LEASE)


def _restart(pod: Pod, reason: str) -> Delete:
    return Delete(f"restarting {pod.name}: {reason}", "Pod", pod.name, pod.uid, reason="Restarted")
