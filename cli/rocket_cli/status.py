"""`rocketctl status`: a cluster's name servers, its brokers as they know them, and how each does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from rocket_cli.console import NAMESRV, Namesrv, out, refusing, table
from rocket_cli.topics import users_topics
from rocket_client import Admin, RocketError


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """One broker. `figures` is its runtime information; None when it does not answer, and `problem` says why."""

    cluster: str
    broker_name: str
    broker_id: int
    address: str
    figures: Mapping[str, str] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NameServerStatus:
    """One name server: how much it knows, or why it does not say."""

    address: str
    brokers: int = 0
    topics: int = 0
    problem: str = ""


def status(namesrv: Namesrv = NAMESRV) -> None:
    """Show the name servers, and every registered broker with what it says of itself."""
    with refusing():
        found = asyncio.run(_status(namesrv))
        servers = asyncio.run(_name_servers(namesrv))
    out.print(name_server_table(servers))
    if found:
        out.print(status_table(found))
    else:
        out.print("No broker is registered.")


async def _status(namesrv: str) -> list[BrokerStatus]:
    async with Admin(namesrv) as admin:
        cluster = await admin.cluster()
        known = [
            (broker.cluster, broker.broker_name, number, address)
            for _, broker in sorted(cluster.broker_addr_table.items())
            for number, address in sorted(broker.broker_addrs.items())
        ]
        return list(await asyncio.gather(*(_ask(admin, *one) for one in known)))


async def _name_servers(namesrv: str) -> list[NameServerStatus]:
    addresses = [address.strip() for address in namesrv.split(";") if address.strip()]
    return list(await asyncio.gather(*(_ask_name_server(address) for address in addresses)))


async def _ask_name_server(address: str) -> NameServerStatus:
    try:
        async with Admin(address) as admin:
            known = (await admin.cluster()).broker_addr_table.values()
            topics = await users_topics(admin)
    except RocketError as error:
        return NameServerStatus(address, problem=str(error))
    return NameServerStatus(address, sum(len(broker.broker_addrs) for broker in known), len(topics))


async def _ask(admin: Admin, cluster: str, broker_name: str, broker_id: int, address: str) -> BrokerStatus:
    try:
        return BrokerStatus(cluster, broker_name, broker_id, address, await admin.broker_runtime(address))
    except RocketError as error:
        return BrokerStatus(cluster, broker_name, broker_id, address, None, str(error))


def name_server_table(servers: Sequence[NameServerStatus]) -> Table:
    result = table("name server", "brokers", "topics")
    for server in servers:
        if server.problem:
            result.add_row(server.address, Text(server.problem, "red"))
        else:
            result.add_row(server.address, str(server.brokers), str(server.topics))
    return result


def status_table(brokers: Sequence[BrokerStatus]) -> Table:
    result = table("cluster", "broker", "role", "address", "version", "in/s", "out/s", "messages today")
    for broker in brokers:
        role = "master" if broker.broker_id == 0 else f"slave {broker.broker_id}"
        result.add_row(broker.cluster, broker.broker_name, role, broker.address, *_figures(broker))
    return result


def _figures(broker: BrokerStatus) -> tuple[str | Text, ...]:
    if broker.figures is None:
        return (Text(broker.problem, "red"),)
    figures = broker.figures
    today = _number(figures, "msgPutTotalTodayNow") - _number(figures, "msgPutTotalTodayMorning")
    return (
        figures.get("brokerVersionDesc", "?"),
        _rate(figures, "putTps"),
        _rate(figures, "getTransferredTps"),
        str(today),
    )


def _rate(figures: Mapping[str, str], key: str) -> str:
    """The first of the rates over 10, 60 and 600 seconds."""
    try:
        return f"{float(figures[key].split()[0]):.1f}"
    except (KeyError, IndexError, ValueError):
        return "?"


def _number(figures: Mapping[str, str], key: str) -> int:
    text = figures.get(key, "0")
    return int(text) if text.isdigit() else 0
