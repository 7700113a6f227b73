"""From a spec to the processes that make it on one machine: pure, ordered, complete.

Each process is what a pod is on Kubernetes: a program, its settings, its ports. Whoever runs it gives it a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from rocket_operator.objects.members import Member
from rocket_operator.objects.ports import CLIENTS, HTTP, REPLICATION, port_problems, ports
from rocket_operator.objects.settings import broker_settings, name_server_settings
from rocket_operator.problems import InvalidManifest
from rocket_operator.spec import ClusterSpec

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Process:
    """One process to run: `program -c file_name`, in the member's own folder. `ports` are what for → number."""

    member: Member
    program: str
    file_name: str
    settings: Mapping[str, str]
    ports: Mapping[str, int]

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def role(self) -> str:
        """What it is, for people; with a lease any member of a group may be the master."""
        return "member" if "leaseStore" in self.settings else str(self.member.role)


@dataclass(frozen=True, slots=True)
class Desired:
    """What shall run of one cluster, in the order it starts. Without processes: nothing shall."""

    cluster: str
    processes: tuple[Process, ...]

    def stopped(self) -> Desired:
        return Desired(self.cluster, ())


def members(spec: ClusterSpec) -> list[Member]:
    """Everybody in the cluster, in the order they start."""
    servers = [Member(spec.name, None, number) for number in range(spec.name_server.replicas)]
    brokers = [
        Member(spec.name, group, ordinal)
        for group in range(spec.broker.groups)
        for ordinal in range(1 + spec.broker.slaves_per_group)
    ]
    return sorted(servers + brokers, key=lambda member: member.start_rank)


def desired(spec: ClusterSpec, root: PurePath) -> Desired:
    """The processes of a cluster, each with its folder below `root`. Raises InvalidManifest when ports collide."""
    everybody = members(spec)
    if problems := port_problems(spec, everybody):
        raise InvalidManifest(problems)
    return Desired(spec.name, tuple(process(spec, member, root) for member in everybody))


def process(spec: ClusterSpec, member: Member, root: PurePath) -> Process:
    return (name_server_process if member.group is None else broker_process)(spec, member, root)


def name_server_process(spec: ClusterSpec, member: Member, root: PurePath) -> Process:
    own = ports(spec, member)
    folder = root / member.name
    settings = {
        "listenPort": str(own[CLIENTS]),
        "bindAddress": LOOPBACK,
        "kvConfigPath": str(folder / "kvConfig.json"),
        "metricsPromExporterPort": str(own[HTTP]),
        "metricsPromExporterHost": LOOPBACK,
    }
    return Process(member, "mqnamesrv", "namesrv.conf", settings | name_server_settings(spec), own)


def broker_process(spec: ClusterSpec, member: Member, root: PurePath) -> Process:
    own = ports(spec, member)
    settings = broker_settings(spec, member) | {
        "namesrvAddr": name_server_addresses(spec),
        "bindAddress": LOOPBACK,
        "brokerIP1": LOOPBACK,
        "brokerIP2": LOOPBACK,
        "listenPort": str(own[CLIENTS]),
        "haListenPort": str(own[REPLICATION]),
        "storePathRootDir": str(root / member.name / "store"),
        "metricsPromExporterPort": str(own[HTTP]),
        "metricsPromExporterHost": LOOPBACK,
    }
    if spec.failover.is_automatic:  # beside the members' folders: the group's
        settings["leaseStore"] = f"file:{root / f'{member.broker_name}.lease'}"
    return Process(member, "mqbroker", "broker.properties", settings, own)


def name_server_addresses(spec: ClusterSpec, host: str = LOOPBACK) -> str:
    """All name servers as clients and brokers are told them, such as "127.0.0.1:9876;127.0.0.1:9877"."""
    first = spec.name_server.port
    return ";".join(f"{host}:{first + number}" for number in range(spec.name_server.replicas))
