"""The steps that the Kubernetes planner can name. Each is one call of one API, and says why in a sentence.

`reason` is the word under which the step becomes an Event; None: it is too small to tell a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rocket_operator.objects.metadata import Manifest
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.topics import TopicConfig


@dataclass(frozen=True)
class Step:
    """What is to be done next, and why."""

    why: str
    reason: str | None = field(default=None, kw_only=True)

    @property
    def target(self) -> str:
        """What it is done to, such as "StatefulSet orders-broker-0"."""
        return ""


@dataclass(frozen=True)
class Apply(Step):
    """Server-side apply: the object is made, or made what the manifest says.

    `is_new`: the cluster has no such object; one of this name that is somebody else's must not be taken over.
    """

    manifest: Manifest
    is_new: bool = False

    @property
    def target(self) -> str:
        return f"{self.manifest['kind']} {self.manifest['metadata']['name']}"


@dataclass(frozen=True)
class _ToObject(Step):
    kind: str
    name: str

    @property
    def target(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Delete(_ToObject):
    """Deletes the very object that was seen: another one of its name has another uid. `orphan`: what it owns stays."""

    uid: str
    orphan: bool = False


@dataclass(frozen=True)
class Patch(_ToObject):
    """A merge patch of an object that somebody else made: a pod's label, a volume's size."""

    changes: Mapping[str, Any]


@dataclass(frozen=True)
class _ToBroker(Step):
    """Told to the broker in a pod, by its protocol."""

    pod: str
    address: str

    @property
    def target(self) -> str:
        return f"Pod {self.pod}"


@dataclass(frozen=True)
class Configure(_ToBroker):
    """UPDATE_BROKER_CONFIG."""

    settings: Mapping[str, str]


@dataclass(frozen=True)
class CopyMetadata(_ToBroker):
    """Makes topics and consumer groups."""

    topics: tuple[TopicConfig, ...] = ()
    consumer_groups: tuple[SubscriptionGroupConfig, ...] = ()


@dataclass(frozen=True)
class DeleteMetadata(_ToBroker):
    """Deletes a topic or a consumer group, with all it holds."""

    topic: str | None = None
    consumer_group: str | None = None


@dataclass(frozen=True)
class HandOver(_ToBroker):
    """Has a master let another member of its group lead, once that one has every message."""

    to: str


@dataclass(frozen=True)
class Unregister(Step):
    """Has a name server forget all brokers of one name."""

    name_server: str
    broker_name: str

    @property
    def target(self) -> str:
        return f"broker {self.broker_name}"


@dataclass(frozen=True)
class Wait(Step):
    """Nothing can be done before something else happens; by `due` (seconds since 1970), if there is one, look again."""

    due: float | None = None
