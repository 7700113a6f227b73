"""A RocketCluster, parsed and checked once: what comes out of `ClusterSpec.parse` is complete.

What is allowed is not said here: the CRD's schema says it (schema.py applies it). This module gives the checked mapping
its types; the fields are described there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from rocket_operator import schema
from rocket_operator.problems import InvalidManifest, Problem

API_VERSION = "rocketcluster.dev/v1alpha1"
KIND = "RocketCluster"


class ReplicationMode(StrEnum):
    """When a send is acknowledged: when the master has the message, or when a slave has it too."""

    ASYNC = "Async"
    SYNC = "Sync"


class FlushMode(StrEnum):
    """When a send is acknowledged: with the message in the kernel, or on the disk."""

    ASYNC = "Async"
    SYNC = "Sync"


class Wish(StrEnum):
    """How much a rule of placement counts."""

    NONE = "None"
    PREFERRED = "Preferred"
    REQUIRED = "Required"


class Keep(StrEnum):
    """What becomes of data whose owner goes."""

    RETAIN = "Retain"
    DELETE = "Delete"


class Mode(StrEnum):
    RUNNING = "Running"
    HIBERNATED = "Hibernated"


class DrainPolicy(StrEnum):
    DRAIN = "Drain"
    BLOCK = "Block"
    FORCE = "Force"


class UpdateStrategy(StrEnum):
    SLAVES_FIRST = "SlavesFirst"
    ON_DELETE = "OnDelete"
    PAUSED = "Paused"


class _Part(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A block of the resource. A field's name is the resource's in snake_case."""


class Resources(_Part, frozen=True):
    requests: Mapping[str, str | int] = {}
    limits: Mapping[str, str | int] = {}


class ImageSpec(_Part, frozen=True):
    broker: str = ""
    name_server: str = ""
    pull_policy: str = "IfNotPresent"
    pull_secrets: Sequence[Mapping[str, str]] = ()


class ServiceSpec(_Part, frozen=True):
    type: str = "ClusterIP"
    annotations: Mapping[str, str] = {}


class Scheduling(_Part, frozen=True):
    """Where pods run. `node_spread` is a name server's, the other two are brokers'."""

    node_spread: Wish = Wish.PREFERRED
    group_anti_affinity: Wish = Wish.PREFERRED
    zone_spread: Wish = Wish.PREFERRED
    node_selector: Mapping[str, str] = {}
    tolerations: Sequence[Mapping[str, Any]] = ()
    priority_class_name: str = ""


class NameServerSpec(_Part, frozen=True):
    """The name servers; `port` is the first one's on one machine, and each one's on Kubernetes."""

    replicas: int
    port: int
    config: Mapping[str, str] = {}
    resources: Resources = Resources()
    service: ServiceSpec = ServiceSpec()
    scheduling: Scheduling = Scheduling()
    pod_template: Mapping[str, Any] = {}


class Replication(_Part, frozen=True):
    mode: ReplicationMode = ReplicationMode.ASYNC
    min_in_sync_replicas: int = 1


class Storage(_Part, frozen=True):
    size: str = "10Gi"
    storage_class_name: str = ""
    when_scaled: Keep = Keep.RETAIN


class Probe(_Part, frozen=True):
    period_seconds: int
    failure_threshold: int


class Probes(_Part, frozen=True):
    startup: Probe = Probe(period_seconds=2, failure_threshold=300)
    liveness: Probe = Probe(period_seconds=10, failure_threshold=6)
    readiness: Probe = Probe(period_seconds=5, failure_threshold=2)


class Termination(_Part, frozen=True):
    grace_period_seconds: int = 60


class GroupOverride(_Part, frozen=True):
    group: int
    storage_size: str | None = None
    resources: Resources | None = None
    config: Mapping[str, str] = {}


class BrokerSpec(_Part, frozen=True):
    """The groups of brokers; `port` is the first master's on one machine, and each broker's on Kubernetes."""

    groups: int
    slaves_per_group: int
    port: int
    replication: Replication = Replication()
    flush: FlushMode = FlushMode.ASYNC
    config: Mapping[str, str] = {}
    resources: Resources = Resources()
    storage: Storage = Storage()
    probes: Probes = Probes()
    termination: Termination = Termination()
    scheduling: Scheduling = Scheduling()
    pod_template: Mapping[str, Any] = {}
    group_overrides: Sequence[GroupOverride] = ()

    def override(self, group: int) -> GroupOverride:
        """What a group has otherwise than the rest."""
        return next((each for each in self.group_overrides if each.group == group), GroupOverride(group=group))


class FailoverMode(StrEnum):
    """Who is a group's master: the member with ordinal 0, or whoever holds the group's lease."""

    DISABLED = "Disabled"
    AUTOMATIC = "Automatic"


class Failover(_Part, frozen=True):
    mode: FailoverMode = FailoverMode.DISABLED
    lease_duration_seconds: int = 15
    renew_deadline_seconds: int = 10
    retry_period_seconds: int = 2

    @property
    def is_automatic(self) -> bool:
        return self.mode is FailoverMode.AUTOMATIC


class ScaleDown(_Part, frozen=True):
    policy: DrainPolicy = DrainPolicy.DRAIN
    drain_timeout_seconds: int = 86400
    on_timeout: DrainPolicy = DrainPolicy.BLOCK
    unconsumed: str = "Block"
    stable_seconds: int = 30


class Scaling(_Part, frozen=True):
    down: ScaleDown = ScaleDown()


class Update(_Part, frozen=True):
    strategy: UpdateStrategy = UpdateStrategy.SLAVES_FIRST
    max_lag_bytes: int = 0


class Monitoring(_Part, frozen=True):
    pod_monitor: str = "Enabled"
    rules: str = "Enabled"
    interval_seconds: int = 30
    labels: Mapping[str, str] = {}
    consumer_lag_messages: int = 100_000
    disk_used_percent: int = 80


class Logging(_Part, frozen=True):
    format: str = "json"
    level: str = "info"


class Security(_Part, frozen=True):
    run_as_user: int = 65532
    fs_group: int = 65532


class ClusterSpec(_Part, frozen=True):
    """One RocketCluster. `name` is the resource's, `cluster_name` what the cluster is called on the wire."""

    name: str
    cluster_name: str
    name_server: NameServerSpec
    broker: BrokerSpec
    version: str = ""
    image: ImageSpec = ImageSpec()
    mode: Mode = Mode.RUNNING
    management_policy: str = "Managed"
    deletion_policy: Keep = Keep.RETAIN
    scaling: Scaling = Scaling()
    failover: Failover = Failover()
    update: Update = Update()
    monitoring: Monitoring = Monitoring()
    logging: Logging = Logging()
    security: Security = Security()

    @classmethod
    def parse(cls, manifest: Mapping[str, Any], previous: Mapping[str, Any] | None = None) -> ClusterSpec:
        """The spec in a manifest that may hold anything. `previous` is the manifest that this one replaces, if any.

        Raises InvalidManifest with every problem there is.
        """
        checked = _check(manifest, previous)
        name = checked["metadata"]["name"]
        return msgspec.convert({"clusterName": name, **checked["spec"], "name": name}, cls)


def _check(manifest: Mapping[str, Any], previous: Mapping[str, Any] | None) -> dict[str, Any]:
    """The manifest with its defaults. Raises InvalidManifest."""
    if problems := list(_foreign(manifest)):
        raise InvalidManifest(problems)
    described = schema.of("rocketclusters")
    complete: dict[str, Any] = schema.with_defaults(described, dict(manifest))
    problems = [*schema.unknown_fields(described, manifest), *_nameless(complete)]
    problems += schema.type_and_limit_problems(described, complete)
    if not problems:  # rules may rely on right types
        before = schema.with_defaults(described, dict(previous)) if previous is not None else None
        problems = [*schema.rule_problems(described, complete, before), *_renamed(complete, before)]
    if problems:
        raise InvalidManifest(problems)
    return complete


def _foreign(manifest: Mapping[str, Any]) -> list[Problem]:
    """Says that this is another kind of object; there is no use in holding one against our schema."""
    problems = []
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if key not in manifest:
            problems.append(Problem(key, f"is missing; it must be {wanted}"))
        elif manifest[key] != wanted:
            problems.append(Problem(key, f"{manifest[key]} is not {wanted}"))
    return problems


def _nameless(manifest: Mapping[str, Any]) -> list[Problem]:
    metadata = manifest.get("metadata", {})
    if isinstance(metadata, dict) and metadata.get("name") is None:
        return [Problem("metadata.name", "is missing; every member's name begins with it")]
    return []


def _renamed(manifest: Mapping[str, Any], previous: Mapping[str, Any] | None) -> list[Problem]:
    """Another name is another cluster. On Kubernetes the API server sees to it."""
    name = manifest["metadata"]["name"]
    if previous is None or previous["metadata"]["name"] == name:
        return []
    return [Problem("metadata.name", f"{name} is not {previous['metadata']['name']}, and a cluster keeps its name")]
