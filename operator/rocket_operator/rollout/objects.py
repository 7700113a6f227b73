"""Decisions about objects: what is missing or different is applied, what is not wanted goes, volumes grow.

A StatefulSet's volume template cannot change. To grow volumes, each claim is grown by itself, then the StatefulSet is
deleted without its pods and made anew: its pods never notice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from rocket_operator import quantity
from rocket_operator.objects import KINDS, broker
from rocket_operator.objects.groups import State
from rocket_operator.objects.members import Member
from rocket_operator.objects.metadata import ADOPT_ANNOTATION, GROUP_LABEL, RELEASED_ANNOTATION, ROLE_LABEL, Manifest
from rocket_operator.rollout.declared import record_key
from rocket_operator.rollout.differences import difference, stamped
from rocket_operator.rollout.steps import Apply, Delete, HandOver, Patch, Step, Wait
from rocket_operator.rollout.view import Pod, View, Volume
from rocket_operator.spec import KIND, Keep

#: As a person writes it: no number of thousands of digits.
_GROUP_NUMBER: Final = re.compile(r"\s*[0-9]{1,9}\s*")


def apply(view: View) -> Iterator[Step]:
    """Whatever is not there, or is not as it shall be."""
    doubtful = []
    for manifest in view.desired:
        live = view.live(manifest["kind"], manifest["metadata"]["name"])
        wanted = stamped(manifest)
        if live is not None and manifest["kind"] == "StatefulSet":
            yield from grow(view, manifest, live)
            wanted = _with_live_volumes(wanted, live)
            slaves, master = _doubtful_slaves(view, manifest, live), _master_that_goes(view, manifest)
            doubtful += slaves
            if slaves or master:
                wanted = {**wanted, "spec": {**wanted["spec"], "replicas": live["spec"]["replicas"]}}
            if master:
                yield _hand_over(view, master)
        if step := apply_step(wanted, live):
            yield step
    if doubtful:
        yield Wait(
            f"{', '.join(doubtful)}: kept, since it does not follow its master and may hold what that one lacks, and "
            "storage.whenScaled is Delete: its volume would go with it"
        )


def _group(manifest: Manifest) -> int:
    """The number of a StatefulSet's group."""
    return int(manifest["metadata"]["labels"][GROUP_LABEL])


def _doubtful_slaves(view: View, manifest: Manifest, live: Manifest) -> list[str]:
    """Slaves that this StatefulSet shall have no more, whose volumes may be the only ones with some messages."""
    wanted = manifest["spec"]["replicas"]
    if view.cluster.spec.broker.storage.when_scaled is Keep.RETAIN or wanted != view.cluster.members_per_group:
        return []  # the volumes stay, or every member stops: the group was drained, or the cluster hibernates
    index = _group(manifest)
    names = [
        Member(view.cluster.name, index, ordinal).name for ordinal in range(wanted, live["spec"].get("replicas", 1))
    ]
    return [name for name in names if view.behind(name) is None]


def _master_that_goes(view: View, manifest: Manifest) -> Pod | None:
    """The master, where this StatefulSet shall not have it any more, but others."""
    wanted = manifest["spec"]["replicas"]
    if wanted != view.cluster.members_per_group:
        return None
    members = view.members(_group(manifest))
    return next((pod for pod in members if pod.is_master and pod.ordinal >= wanted), None)


def _hand_over(view: View, master: Pod) -> Step:
    """Before a master is scaled away another member leads: one that stays."""
    stay = [pod for pod in view.members(master.group or 0) if pod.ordinal < view.cluster.members_per_group]
    heir = next((pod for pod in stay if pod.serves), None)
    if heir is None:
        return Wait(f"{master.name} leads and is not wanted any more: waiting until a member that stays serves")
    why = f"{master.name} leads and is not wanted any more: {heir.name} is to lead"
    return HandOver(why, master.name, view.address(master), heir.name, reason="HandedOver")


def apply_step(wanted: Manifest, live: Manifest | None) -> Apply | None:
    """The step that makes an object what a stamped manifest says; None where it is."""
    name = f"{wanted['kind']} {wanted['metadata']['name']}"
    if live is None:
        return Apply(f"making {name}", wanted, True, reason="Created")
    if live["metadata"].get("deletionTimestamp"):
        return None  # it goes, and is made anew when it is gone
    changed = difference(wanted, live)
    return Apply(f"changing {name}: {changed} is not as the spec says", wanted, reason="Changed") if changed else None


def grow(view: View, manifest: Manifest, live: Manifest) -> Iterator[Step]:
    """The steps to larger volumes of one group."""
    index = _group(manifest)
    size = wanted_size(view, index)
    claims = view.volumes(index)
    if not is_larger(size, _template_size(live)):
        return
    if any(cannot_grow(view, claim) for claim in claims):
        return  # status says so; everything else goes on
    for claim in claims:
        if is_larger(size, claim.requested):
            changes = {"spec": {"resources": {"requests": {"storage": size}}}}
            why = f"growing volume {claim.name} from {claim.requested} to {size}"
            yield Patch(why, "PersistentVolumeClaim", claim.name, changes, reason="VolumeGrowing")
    if not live["metadata"].get("deletionTimestamp"):
        why = f"making StatefulSet {live['metadata']['name']} anew around its pods: its volumes are {size} now"
        yield Delete(
            why, "StatefulSet", live["metadata"]["name"], live["metadata"]["uid"], True, reason="VolumeGrowing"
        )


def wanted_size(view: View, index: int) -> str:
    return broker.volume_size(view.cluster, index)


def cannot_grow(view: View, claim: Volume) -> bool:
    return claim.storage_class in view.observed.fixed_size_classes


def is_larger(one: str, other: str) -> bool:
    return quantity.parse(one) > quantity.parse(other)


def label_roles(view: View) -> Iterator[Step]:
    """Each broker pod says what it is, for people, for Services, and for autoscalers, which count masters."""
    for pod in view.observed.pods:
        role = "master" if pod.is_master else "slave"
        if pod.group is not None and pod.role != role and not pod.terminating:
            changes = {"metadata": {"labels": {ROLE_LABEL: role}}}
            yield Patch(f"labelling pod {pod.name}: it is a {role}", "Pod", pod.name, changes)


def clean(view: View) -> Iterator[Step]:
    """What nobody wants: objects of groups that leave, and optional ones that are switched off."""
    wanted = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in view.desired} | {
        record_key(view.cluster)
    }
    unwanted = [key for key in view.observed.objects if key not in wanted]
    for kind, name in sorted(unwanted, key=lambda key: (-KINDS.index(key[0]), key[1])):
        live = view.observed.objects[kind, name]
        if live["metadata"].get("deletionTimestamp"):
            continue
        if kind == "StatefulSet" and any(claim.owned for claim in _retained(view, live)):
            yield Wait(f"waiting for the volumes of {name} to be let go before its StatefulSet is deleted")
        else:
            yield Delete(f"deleting {kind} {name}: it is not wanted", kind, name, live["metadata"]["uid"])


def release_volumes(view: View) -> Iterator[Step]:
    """Volumes of members that are gone: marked, or deleted where the resource says so."""
    removing = {group.index for group in view.existing_groups if group.state is State.REMOVING}
    keep = view.cluster.spec.broker.storage.when_scaled is Keep.RETAIN
    known = {group.index for group in view.existing_groups}
    pods = {(pod.group, pod.ordinal) for pod in view.observed.pods}
    early = []
    for claim in view.observed.volumes:
        is_over = claim.ordinal >= view.cluster.members_per_group and claim.group in known
        if (claim.group not in removing and not is_over) or (claim.group, claim.ordinal) in pods:
            continue
        if not keep and claim.group not in removing and view.master(claim.group) is None:
            early.append(claim.name)
        elif not keep:
            why = f"deleting volume {claim.name}: its broker was scaled away, and storage.whenScaled is Delete"
            yield Delete(why, "PersistentVolumeClaim", claim.name, claim.uid, reason="VolumeDeleted")
        elif not claim.released and claim.group in removing:
            changes = {"metadata": {"annotations": {RELEASED_ANNOTATION: f"{view.now:.0f}"}}}
            why = f"marking volume {claim.name}: its group was scaled away, and storage.whenScaled is Retain"
            yield Patch(why, "PersistentVolumeClaim", claim.name, changes, reason="VolumeRetained")
    if early:
        yield Wait(f"volumes stay while the master of their group does not serve: {', '.join(early)}")


def forget_groups(view: View) -> Iterator[Step]:
    """A group of which nothing is left loses its ConfigMap, and with it its state."""
    for group in view.existing_groups:
        name = view.cluster.group(group.index)
        own = ("ConfigMap", name)
        left = [key for key in view.observed.objects if key[1] == name and key != own]
        if group.state is State.REMOVING and not left and not view.members(group.index):
            uid = view.observed.objects[own]["metadata"]["uid"]
            yield Delete(f"group {group.index} is removed", *own, uid, reason="GroupRemoved")


def adopt_volumes(view: View) -> Iterator[Step]:
    """Volumes of a group that was scaled away come back when a person says so, by an annotation of the resource."""
    for number in view.cluster.annotations.get(ADOPT_ANNOTATION, "").split(","):
        for claim in view.old_volumes(int(number)) if _GROUP_NUMBER.fullmatch(number) else ():
            changes = {"metadata": {"annotations": {RELEASED_ANNOTATION: None}}}
            why = f"volume {claim.name} may come back: {ADOPT_ANNOTATION} says so"
            yield Patch(why, "PersistentVolumeClaim", claim.name, changes, reason="VolumeAdopted")
    if ADOPT_ANNOTATION in view.cluster.annotations:
        changes = {"metadata": {"annotations": {ADOPT_ANNOTATION: None}}}
        yield Patch(f"{ADOPT_ANNOTATION} is done", KIND, view.cluster.name, changes)


def _retained(view: View, stateful_set: Manifest) -> list[Volume]:
    if view.cluster.spec.broker.storage.when_scaled is Keep.DELETE:
        return []
    index = view.cluster.group_index(stateful_set["metadata"]["name"])
    return [] if index is None else view.volumes(index)


def _template_size(stateful_set: Manifest) -> str:
    claim = stateful_set["spec"]["volumeClaimTemplates"][0]
    return str(claim["spec"]["resources"]["requests"]["storage"])


def _with_live_volumes(manifest: Manifest, live: Manifest) -> Manifest:
    templates = [
        {key: value for key, value in claim.items() if key != "status"}
        for claim in live["spec"].get("volumeClaimTemplates", [])
    ]
    return {**manifest, "spec": {**manifest["spec"], "volumeClaimTemplates": templates}}
