"""`rocketctl switchover`: another member of a group becomes its master, and nobody loses a message."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from rocket_cli.console import NAMESRV, Namesrv, out, refusing
from rocket_client import Admin, RocketError, ServerAdmin

_MASTER = 0
_SECONDS = 10.0


def switchover(
    group: Annotated[str, typer.Argument(help="The group's brokerName, as `rocketctl status` shows it.")],
    namesrv: Namesrv = NAMESRV,
    to: Annotated[str, typer.Option(metavar="MEMBER", help="Who is to lead, such as orders-broker-0-1.")] = "",
) -> None:
    """Let another member of a group with failover lead; it takes over once it has every message."""
    with refusing():
        asyncio.run(_switchover(namesrv, group, to))
    out.print(f"{group} is given up by its master: {to or 'another member'} takes over", markup=False, highlight=False)


async def _switchover(namesrv: str, group: str, to: str) -> None:
    async with Admin(namesrv) as admin:
        known = (await admin.cluster()).broker_addr_table
    broker = known.get(group)
    if broker is None or _MASTER not in broker.broker_addrs:
        listed = ", ".join(sorted(known)) or "none"
        raise RocketError(f"group {group} has no master that a name server knows; groups: {listed}")
    async with ServerAdmin(_SECONDS) as servers:
        await servers.hand_over(broker.broker_addrs[_MASTER], to)
