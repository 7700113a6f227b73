"""A cluster on Kubernetes as the planner sees it, at rest, and small changes to what is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rocket_operator import manifest
from rocket_operator.objects import broker as broker_objects
from rocket_operator.objects import desired
from rocket_operator.objects.groups import Group, State
from rocket_operator.objects.metadata import Cluster, Images, Manifest
from rocket_operator.rollout.differences import stamped
from rocket_operator.rollout.steps import Apply, Step
from rocket_operator.rollout.view import Broker, Observed, Pod, View, Volume
from rocket_operator.spec import ClusterSpec

IMAGES = Images("broker:1.0", "namesrv:1.0", "1.0")
NOW = 1_000_000.0
TWO = "{broker: {groups: 2}}"
GROUP_1 = "orders-broker-1"
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
STALE = "an earlier revision"
ACTIVE, DRAINING, UNREGISTERING, REMOVING = State.ACTIVE, State.DRAINING, State.UNREGISTERING, State.REMOVING


def at_rest(spec: str = "{}", *states: State) -> View:
    """A cluster with groups in these states, of which everything is as the spec says."""
    text = f"apiVersion: rocketcluster.dev/v1alpha1\nkind: RocketCluster\nmetadata: {{name: orders}}\nspec: {spec}\n"
    cluster = Cluster(ClusterSpec.parse(manifest.read(text)), "messaging", "u-1")
    groups = [Group(index, state, started=NOW - 10) for index, state in enumerate(states or (ACTIVE,))]
    made = {(each["kind"], each["metadata"]["name"]): live(each) for each in desired(cluster, groups, IMAGES)}
    running = [group for group in groups if broker_objects.replicas(cluster, group)]
    pods = [pod(group, ordinal) for group in running for ordinal in range(cluster.members_per_group)]
    volumes = [volume(cluster, group.index, ordinal) for group in groups for ordinal in range(2)]
    brokers = {each.name: broker(cluster, groups[each.group or 0], each) for each in pods}
    return View(cluster, IMAGES, Observed(made, tuple(pods), tuple(volumes[: len(groups) * 2]), brokers), NOW)


def live(wanted: Manifest) -> Manifest:
    return applied(stamped(wanted))


def applied(found: Manifest) -> Manifest:
    extra = {"uid": f"u-{found['kind']}", "generation": 1}
    status = {"observedGeneration": 1, "updateRevision": "revision"}
    return {**found, "metadata": {**found["metadata"], **extra}, "status": status}


def pod(group: Group, ordinal: int) -> Pod:
    name = f"orders-broker-{group.index}-{ordinal}"
    role = "slave" if ordinal else "master"
    address = f"10.0.{group.index}.{ordinal}"
    return Pod(
        name, f"u-{name}", group.index, ordinal, address, 10911, True, False, "revision", "", "broker:1.0", "1.0", role,
        is_master=not ordinal,
    )  # fmt: skip


def broker(cluster: Cluster, group: Group, at: Pod) -> Broker:
    settings = broker_objects.group_settings(cluster, group)
    if not at.is_master:
        return Broker(settings, behind=0)
    return Broker(settings, topics={}, consumer_groups={}, backlog=())


def volume(cluster: Cluster, group: int, ordinal: int) -> Volume:
    name, size = f"store-orders-broker-{group}-{ordinal}", broker_objects.volume_size(cluster, group)
    return Volume(name, f"u-{name}", group, ordinal, size, size, "standard", released=False, owned=False)


def seen(view: View, **changes: Any) -> View:
    return replace(view, observed=replace(view.observed, **changes))


def with_pod(view: View, name: str, **changes: Any) -> View:
    return seen(
        view, pods=tuple(replace(each, **changes) if each.name == name else each for each in view.observed.pods)
    )


def with_broker(view: View, name: str, **changes: Any) -> View:
    return seen(view, brokers={**view.observed.brokers, name: replace(view.observed.brokers[name], **changes)})


def without(view: View, name: str) -> View:
    """The pod of this name is not there."""
    return seen(view, pods=tuple(each for each in view.observed.pods if each.name != name))


def with_live(view: View, kind: str, name: str, metadata: dict[str, Any]) -> View:
    found = view.observed.objects[kind, name]
    return seen(
        view,
        objects={**view.observed.objects, (kind, name): {**found, "metadata": {**found["metadata"], **metadata}}},
    )


def with_volumes(view: View, **changes: Any) -> View:
    return seen(view, volumes=tuple(replace(each, **changes) for each in view.observed.volumes))


def moved_to(step: Step | None) -> str | None:
    """The state that a step brings a group to."""
    is_move = isinstance(step, Apply) and step.manifest["kind"] == "ConfigMap"
    return step.manifest["metadata"]["annotations"].get("rocketcluster.dev/state") if is_move else None


def marked(view: View) -> View:
    """The volumes of groups that are removed are marked as such."""
    return seen(view, volumes=tuple(replace(each, released=each.group == 1) for each in view.observed.volumes))
