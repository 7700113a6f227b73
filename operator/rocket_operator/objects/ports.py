"""Which ports each member of a cluster has on one machine. They follow from its place alone, so scaling moves nobody.

    name server i          port + i  for clients      port + 10 + i  HTTP
    broker, group g,       p = port + 100 g + 10 o
      ordinal o            p  for clients     p - 2  VIP listener     p + 1  replication     p + 2  HTTP

A client derives the VIP port from the port it knows, so it is always two below (protocol section 3.8). Nine name
servers, ten members of a group and ten ports of a member fill the steps; the schema keeps the counts below.
"""

from __future__ import annotations

from collections.abc import Mapping

from rocket_operator.objects.members import Member
from rocket_operator.problems import Problem
from rocket_operator.spec import ClusterSpec

CLIENTS, VIP, REPLICATION, HTTP = "clients", "VIP", "replication", "HTTP"

_GROUP_STEP, _MEMBER_STEP, _SERVER_HTTP_STEP = 100, 10, 10


def ports(spec: ClusterSpec, member: Member) -> Mapping[str, int]:
    """What for → port number."""
    if member.group is None:
        first = spec.name_server.port + member.ordinal
        return {CLIENTS: first, HTTP: first + _SERVER_HTTP_STEP}
    first = spec.broker.port + _GROUP_STEP * member.group + _MEMBER_STEP * member.ordinal
    return {CLIENTS: first, VIP: first - 2, REPLICATION: first + 1, HTTP: first + 2}


def port_problems(spec: ClusterSpec, members: list[Member]) -> list[Problem]:
    """Ports that two members would share, or that do not exist: the two `port` fields are too close or too high."""
    holders: dict[int, str] = {}
    problems = []
    for member in members:
        for purpose, port in ports(spec, member).items():
            claim = f"{member.name} ({purpose})"
            path = "spec.nameServer.port" if member.group is None else "spec.broker.port"
            if port > 65535:
                problems.append(Problem(path, f"{claim} would have port {port}, the highest is 65535"))
            elif port in holders:
                problems.append(Problem(path, f"{claim} would have port {port}, which {holders[port]} has"))
            holders.setdefault(port, claim)
    return problems
