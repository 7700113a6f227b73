"""From Kubernetes' own objects to what the planner sees of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rocket_operator.objects.broker import VOLUME
from rocket_operator.objects.members import Member
from rocket_operator.objects.metadata import (
    CLIENTS_PORT,
    CLUSTER_LABEL,
    GROUP_LABEL,
    RELEASED_ANNOTATION,
    ROLE_LABEL,
    SETTINGS_ANNOTATION,
    VERSION_LABEL,
    Manifest,
)
from rocket_operator.rollout.view import Pod, Volume

#: A container that waits for one of these reasons does so until somebody changes something.
_TROUBLES = frozenset(
    {
        "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CrashLoopBackOff",
        "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
    }
)  # fmt: skip


def holders(leases: Iterable[Manifest]) -> dict[str, str]:
    """Who holds each group's Lease, by the group's name."""
    return {lease["metadata"]["name"]: (lease.get("spec") or {}).get("holderIdentity") or "" for lease in leases}


def pod(manifest: Manifest, masters: Mapping[str, str] | None = None) -> Pod | None:
    """A name server or broker; None for a pod that is none, though it may wear a broker's labels, as copies do.

    `masters` has each group's by the group's name; without it ordinal 0 is one.
    """
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    member = Member.parse(metadata["name"]) if GROUP_LABEL in labels else None
    if GROUP_LABEL in labels and not _is_broker(member, metadata["name"], labels):
        return None
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        group=None if member is None else member.group,
        ordinal=0 if member is None else member.ordinal,
        ip=status.get("podIP") or "",
        port=next((port["containerPort"] for port in _container(manifest).get("ports") or () if _is_clients(port)), 0),
        ready=any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ()),
        terminating="deletionTimestamp" in metadata,
        revision=labels.get("controller-revision-hash", ""),
        settings_hash=annotations.get(SETTINGS_ANNOTATION, ""),
        image=_container(manifest).get("image", ""),
        version=labels.get(VERSION_LABEL, ""),
        role=labels.get(ROLE_LABEL, ""),
        is_master=member is not None and _is_master(member, masters),
        trouble=next(_troubles(status), ""),
    )


def _is_master(member: Member, masters: Mapping[str, str] | None) -> bool:
    return member.ordinal == 0 if masters is None else masters.get(member.broker_name) == member.name


def _is_broker(member: Member | None, name: str, labels: Mapping[str, str]) -> bool:
    return (
        member is not None
        and member.group is not None
        and (member.cluster, member.name) == (labels.get(CLUSTER_LABEL), name)
    )


def _container(manifest: Manifest) -> Mapping[str, Any]:
    """The container of ours; side-cars come after it."""
    found: Mapping[str, Any] = manifest["spec"]["containers"][0]
    return found


def _is_clients(port: Mapping[str, Any]) -> bool:
    return port.get("name") == CLIENTS_PORT


def _troubles(status: Mapping[str, Any]) -> Iterator[str]:
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}".rstrip(": ")
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in _TROUBLES:
            yield f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")


def volume(manifest: Manifest) -> Volume | None:
    """A broker's volume; None for a claim that is none, though it may wear a volume's labels, as copies do."""
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    labels, name = metadata.get("labels") or {}, metadata["name"]
    member = Member.parse(name.removeprefix(f"{VOLUME}-"))
    if member is None or member.group is None or name != f"{VOLUME}-{member.name}":
        return None
    if (labels.get(CLUSTER_LABEL), labels.get(GROUP_LABEL)) != (member.cluster, str(member.group)):
        return None
    requested = str(spec["resources"]["requests"]["storage"])
    conditions = {each["type"]: each for each in status.get("conditions") or () if each["status"] == "True"}
    return Volume(
        name=name,
        uid=metadata["uid"],
        group=member.group,
        ordinal=member.ordinal,
        requested=requested,
        actual=str((status.get("capacity") or {}).get("storage", "")),
        storage_class=spec.get("storageClassName") or "",
        released=RELEASED_ANNOTATION in (metadata.get("annotations") or {}),
        owned=any(owner["kind"] == "StatefulSet" for owner in metadata.get("ownerReferences") or ()),
        phase=status.get("phase", ""),
        resizing=next((name for name in ("Resizing", "FileSystemResizePending") if name in conditions), ""),
    )
