"""What every Kubernetes object of a cluster has: names, labels, owner.

    orders-namesrv             Deployment, ConfigMap, budget, and the Service for clients (pods that are ready)
    orders-namesrv-headless    Service for brokers, who register with every name server, ready or not
    orders-broker-1            group 1: StatefulSet, ConfigMap, headless Service, budget, Lease
    orders-broker              the brokers' ServiceAccount, Role and RoleBinding

A selector never holds a version, and always tells one group from the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rocket_operator.objects.members import Member
from rocket_operator.spec import API_VERSION, KIND, ClusterSpec

Manifest = dict[str, Any]

FIELD_MANAGER = "rocket-operator"
GROUP = "rocketcluster.dev"
CLUSTER_LABEL = f"{GROUP}/cluster"
GROUP_LABEL = f"{GROUP}/group"
ROLE_LABEL = f"{GROUP}/role"
STATE_ANNOTATION = f"{GROUP}/state"
STARTED_ANNOTATION = f"{GROUP}/drain-started"
QUIET_ANNOTATION = f"{GROUP}/quiet-since"
RELEASED_ANNOTATION = f"{GROUP}/released"
#: On the RocketCluster: numbers of groups whose old volumes may come back, such as "2" or "2,3".
ADOPT_ANNOTATION = f"{GROUP}/adopt-volumes"
SETTINGS_ANNOTATION = f"{GROUP}/settings-hash"
MANAGED_LABEL = "app.kubernetes.io/managed-by"
VERSION_LABEL = "app.kubernetes.io/version"

HTTP_PORT = 5557
#: The name of the port that clients use, of name servers and of brokers.
CLIENTS_PORT = "clients"


class Component(StrEnum):
    NAME_SERVER = "namesrv"
    BROKER = "broker"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A RocketCluster as it stands in Kubernetes: whose children all objects are."""

    spec: ClusterSpec
    namespace: str
    uid: str
    generation: int = 1
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def name_servers(self) -> str:
        """The name of the name servers' Deployment, and of the Service for clients."""
        return f"{self.name}-{Component.NAME_SERVER}"

    @property
    def headless(self) -> str:
        return f"{self.name_servers}-headless"

    @property
    def brokers(self) -> str:
        """The name of what all brokers share."""
        return f"{self.name}-{Component.BROKER}"

    @property
    def endpoint(self) -> str:
        """Where clients find the name servers."""
        return f"{self.name_servers}.{self.namespace}.svc:{self.spec.name_server.port}"

    def group(self, index: int) -> str:
        """A group's brokerName, and its objects' name."""
        return Member(self.name, index, 0).broker_name

    def group_index(self, name: str) -> int | None:
        """Which group an object of this name belongs to, whatever its labels say; None for none."""
        member = Member.parse(f"{name}-0")
        is_its_name = member is not None and member.group is not None and self.group(member.group) == name
        return member.group if member is not None and is_its_name else None

    @property
    def members_per_group(self) -> int:
        return 1 + self.spec.broker.slaves_per_group


@dataclass(frozen=True, slots=True)
class Images:
    """The images to run, and the version that they are."""

    broker: str
    name_server: str
    version: str

    @classmethod
    def choose(cls, spec: ClusterSpec, defaults: Images) -> Images:
        """The spec's images, or the operator's with the spec's version in place of {version}."""
        version = spec.version or defaults.version
        return cls(
            (spec.image.broker or defaults.broker).replace("{version}", version),
            (spec.image.name_server or defaults.name_server).replace("{version}", version),
            version,
        )


def is_owned(manifest: Manifest, cluster: Cluster) -> bool:
    """Whether an object is this very cluster's, not an earlier one's of its name, nor a stranger's."""
    return any(owner["uid"] == cluster.uid for owner in manifest["metadata"].get("ownerReferences") or ())


def selector(cluster: Cluster, component: Component, group: int | None = None) -> dict[str, str]:
    """The labels by which a workload knows its pods."""
    labels = {CLUSTER_LABEL: cluster.name, "app.kubernetes.io/component": component.value}
    return labels if group is None else labels | {GROUP_LABEL: str(group)}


def labels(cluster: Cluster, component: Component, group: int | None = None) -> dict[str, str]:
    return selector(cluster, component, group) | {
        "app.kubernetes.io/name": "rocketcluster",
        "app.kubernetes.io/instance": cluster.name,
        "app.kubernetes.io/part-of": "rocketcluster",
        MANAGED_LABEL: FIELD_MANAGER,
    }


def child(cluster: Cluster, api_version: str, kind: str, name: str, labels: Mapping[str, str]) -> Manifest:
    """An object that goes when the cluster goes."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": cluster.namespace,
            "labels": dict(labels),
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": KIND,
                    "name": cluster.name,
                    "uid": cluster.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
    }
