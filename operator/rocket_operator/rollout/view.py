"""What the Kubernetes planner sees: the cluster's children, its pods and volumes, and what its brokers say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from rocket_operator.objects import broker as broker_objects
from rocket_operator.objects import desired
from rocket_operator.objects.groups import Group, State
from rocket_operator.objects.metadata import Cluster, Images, Manifest
from rocket_operator.rollout.resources import DeclaredGroup, DeclaredTopic
from rocket_operator.spec import Mode
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.topics import TopicConfig


@dataclass(frozen=True)
class Pod:
    """A broker's or a name server's pod. A name server's has no group."""

    name: str
    uid: str
    group: int | None
    ordinal: int
    ip: str
    port: int
    """Where it listens for clients: the spec may say another one by now."""
    ready: bool
    terminating: bool
    revision: str
    settings_hash: str
    image: str
    version: str
    role: str
    """The label that says so; empty while there is none."""
    is_master: bool = False
    """Whether it is its group's: by its ordinal, or by the group's Lease."""
    trouble: str = ""
    """Why a container of it cannot start, such as "ImagePullBackOff: ..."."""

    @property
    def serves(self) -> bool:
        return self.ready and not self.terminating


@dataclass(frozen=True)
class Volume:
    """A broker's PersistentVolumeClaim; sizes as Kubernetes writes them."""

    name: str
    uid: str
    group: int
    ordinal: int
    requested: str
    actual: str
    storage_class: str
    released: bool
    owned: bool
    """Whether it goes when its StatefulSet goes."""
    phase: str = "Bound"
    resizing: str = ""
    """The condition that says what a change of its size waits for."""


@dataclass(frozen=True)
class Blocker:
    """Messages of a topic that a consumer group has not consumed; nobody ever read the topic where `group` is empty."""

    topic: str
    group: str
    remaining: int


@dataclass(frozen=True)
class Broker:
    """What the broker in a pod says of itself. What was not asked is None."""

    settings: Mapping[str, str]
    behind: int | None = None
    """Bytes that a slave lacks of what its master has; None: not known, or a master."""
    topics: Mapping[str, TopicConfig] | None = None
    consumer_groups: Mapping[str, SubscriptionGroupConfig] | None = None
    backlog: tuple[Blocker, ...] | None = None

    def with_lag(self, behind: int) -> Broker:
        return replace(self, behind=behind)


@dataclass(frozen=True)
class Observed:
    """Everything at one moment. `objects` by kind and name; `brokers` by pod, those that answer; `routes` the names of
    the brokers that each name server knows, by its pod's name, of those that answer."""

    objects: Mapping[tuple[str, str], Manifest] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    volumes: tuple[Volume, ...] = ()
    brokers: Mapping[str, Broker] = field(default_factory=dict)
    routes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    optional_kinds: frozenset[str] = frozenset()
    fixed_size_classes: frozenset[str] = frozenset()
    """Storage classes whose volumes cannot grow."""
    missing_classes: frozenset[str] = frozenset()
    """Storage classes that volumes ask for and that do not exist."""
    topics: tuple[DeclaredTopic, ...] = ()
    consumer_groups: tuple[DeclaredGroup, ...] = ()

    def with_object(self, manifest: Manifest) -> Observed:
        """The same after an object was made or changed."""
        key = (manifest["kind"], manifest["metadata"]["name"])
        return replace(self, objects={**self.objects, key: manifest})


@dataclass(frozen=True)
class View:
    """One cluster's wishes and what is seen of it; `now` is seconds since 1970."""

    cluster: Cluster
    images: Images
    observed: Observed
    now: float

    @cached_property
    def existing_groups(self) -> tuple[Group, ...]:
        """The groups that have a ConfigMap, which says where they stand, or brokers; lowest first.

        Brokers whose ConfigMap somebody deleted may hold messages: such a group is as good as one that serves.
        """
        found: dict[int, Group] = {}
        for (kind, name), manifest in self.observed.objects.items():
            index = self.cluster.group_index(name)
            if kind == "ConfigMap" and index is not None:
                found[index] = Group.read(index, manifest)
            elif kind == "StatefulSet" and index is not None:
                found.setdefault(index, Group(index, State.ACTIVE))
        return tuple(found[index] for index in sorted(found))

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Those and the ones that are to be made. The first has nobody to learn from: it is open at once."""
        known = {group.index: group for group in self.existing_groups}
        for index in range(self.cluster.spec.broker.groups):
            if index not in known and not self.old_volumes(index):
                known[index] = Group(index, State.CREATING if known else State.ACTIVE)
        return tuple(known[index] for index in sorted(known))

    @cached_property
    def desired(self) -> list[Manifest]:
        return desired(self.cluster, self.groups, self.images, self.observed.optional_kinds)

    @property
    def is_running(self) -> bool:
        return self.cluster.spec.mode is Mode.RUNNING

    def live(self, kind: str, name: str) -> Manifest | None:
        return self.observed.objects.get((kind, name))

    def wanted(self, group: Group) -> bool:
        return group.index < self.cluster.spec.broker.groups

    def active_groups(self) -> Iterator[Group]:
        return (group for group in self.existing_groups if group.state is State.ACTIVE)

    def volumes(self, index: int) -> list[Volume]:
        return [volume for volume in self.observed.volumes if volume.group == index]

    def old_volumes(self, index: int) -> list[Volume]:
        """Volumes of a group that was scaled away: it must not come back with an old log under its name unasked."""
        return [volume for volume in self.volumes(index) if volume.released]

    def members(self, index: int) -> list[Pod]:
        return sorted((pod for pod in self.observed.pods if pod.group == index), key=lambda pod: pod.ordinal)

    def master(self, index: int) -> Pod | None:
        """The pod of a group's master, if it serves and its broker answers."""
        for pod in self.members(index):
            if pod.is_master and not pod.terminating and pod.name in self.observed.brokers:
                return pod
        return None

    def behind(self, broker: str) -> int | None:
        """Bytes that the slave in a pod lacks of what its master has; None where that is not known."""
        found = self.observed.brokers.get(broker)
        return found.behind if found is not None else None

    def address(self, pod: Pod) -> str:
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        return f"{host}:{pod.port}"

    def settings(self, group: Group) -> dict[str, str]:
        return broker_objects.group_settings(self.cluster, group)

    def is_complete(self, index: int) -> bool:
        """Whether every member of a group serves and its broker answers."""
        serving = [pod for pod in self.members(index) if pod.serves and pod.name in self.observed.brokers]
        return len(serving) == self.cluster.members_per_group == len(self.members(index))

    def revision(self, index: int) -> str | None:
        """The revision that a group's pods shall have; None while Kubernetes has yet to tell."""
        found = self.live("StatefulSet", self.cluster.group(index))
        status: Mapping[str, Any] = (found or {}).get("status") or {}
        if found is None or status.get("observedGeneration", 0) < found["metadata"].get("generation", 0):
            return None
        return status.get("updateRevision") or None
