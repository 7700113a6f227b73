"""A RocketCluster, parsed and checked once: what comes out of `ClusterSpec.parse` is complete.

What is allowed is not said here: the CRD's schema says it (schema.py applies it). This module gives the checked mapping
its types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

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


@dataclass(frozen=True, slots=True)
class NameServerSpec:
    """The name servers; `port` is the first one's."""

    replicas: int
    port: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BrokerSpec:
    """The groups of brokers; `port` is the first master's."""

    groups: int
    slaves_per_group: int
    port: int
    replication: ReplicationMode
    flush: FlushMode
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """One RocketCluster. `name` is the resource's, `cluster_name` what the cluster is called on the wire."""

    name: str
    cluster_name: str
    name_server: NameServerSpec
    broker: BrokerSpec

    @classmethod
    def parse(cls, manifest: Mapping[str, Any], previous: Mapping[str, Any] | None = None) -> ClusterSpec:
        """The spec in a manifest that may hold anything. `previous` is the manifest that this one replaces, if any.

        Raises InvalidManifest with every problem there is.
        """
        checked = _check(manifest, previous)
        spec, name = checked["spec"], checked["metadata"]["name"]
        servers, brokers = spec["nameServer"], spec["broker"]
        return cls(
            name=name,
            cluster_name=spec.get("clusterName", name),
            name_server=NameServerSpec(servers["replicas"], servers["port"], servers["config"]),
            broker=BrokerSpec(
                groups=brokers["groups"],
                slaves_per_group=brokers["slavesPerGroup"],
                port=brokers["port"],
                replication=ReplicationMode(brokers["replication"]["mode"]),
                flush=FlushMode(brokers["flush"]),
                config=brokers["config"],
            ),
        )


def _check(manifest: Mapping[str, Any], previous: Mapping[str, Any] | None) -> dict[str, Any]:
    """The manifest with its defaults. Raises InvalidManifest."""
    if problems := list(_foreign(manifest)):
        raise InvalidManifest(problems)
    described = schema.rocketcluster()
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
