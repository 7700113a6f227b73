"""`rocketctl group`: what consumer groups there are, how far each is, and how to send one elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from rocket_cli.console import NAMESRV, Namesrv, err, out, refusing, table
from rocket_client import Admin, GroupProgress, MessageQueue

app = typer.Typer(help="List consumer groups, see how far they are, send them elsewhere.", no_args_is_help=True)

Group = Annotated[str, typer.Argument(show_default=False)]

_INTERNAL = (
    "CID_ONSAPI_", "CID_ONS-", "TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "__MONITOR_CONSUMER", "SELF_TEST_C_GROUP",
    "CID_RMQ_SYS_", "CID_SYS_RMQ_", "CLIENT_INNER",
)  # fmt: skip


@app.command("list")
def list_groups(
    namesrv: Namesrv = NAMESRV,
    everything: Annotated[bool, typer.Option("--all", help="The system's own groups too.")] = False,
) -> None:
    """Print the names of all consumer groups."""
    with refusing():
        names = asyncio.run(_list(namesrv))
    for name in sorted(names):
        if everything or not name.startswith(_INTERNAL):
            out.print(name, markup=False, soft_wrap=True)


async def _list(namesrv: str) -> list[str]:
    async with Admin(namesrv) as admin:
        return list(await admin.groups())


@app.command()
def lag(
    group: Group,
    namesrv: Namesrv = NAMESRV,
    topic: Annotated[str | None, typer.Option(help="Of this topic only.")] = None,
) -> None:
    """Show what GROUP has not consumed yet, queue by queue."""
    with refusing():
        out.print(lag_table(asyncio.run(_progress(namesrv, group, topic))))


async def _progress(namesrv: str, group: str, topic: str | None) -> GroupProgress:
    async with Admin(namesrv) as admin:
        return await admin.consumer_progress(group, topic)


def lag_table(progress: GroupProgress) -> Table:
    result = table("topic", "broker", "queue", "consumed up to", "next offset", "to consume")
    result.show_footer = True
    for queue, offset in sorted(progress.queues.items()):
        left = offset.broker_offset - offset.consumer_offset
        result.add_row(
            queue.topic, queue.broker_name, str(queue.queue_id), str(offset.consumer_offset), str(offset.broker_offset),
            str(left),
        )  # fmt: skip
    result.columns[5].footer = str(progress.lag)
    return result


@app.command()
def reset(
    group: Group,
    topic: Annotated[str, typer.Argument(show_default=False)],
    to: Annotated[str, typer.Option(help='"end" skips all there is, "begin" repeats it; or a time: 2026-01-31T12:00.')],
    namesrv: Namesrv = NAMESRV,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Have GROUP go on elsewhere in TOPIC: consumers that run are told at once."""
    timestamp = _timestamp(to)
    if not yes:
        typer.confirm(f"Have {group} go on at {to} of {topic}?", abort=True)
    with refusing():
        offsets = asyncio.run(_reset(namesrv, group, topic, timestamp))
    if not offsets:
        err.print(f"no queue of {topic} was reset", markup=False)
        raise typer.Exit(1)
    out.print(offsets_table(offsets))


def _timestamp(text: str) -> int:
    """Milliseconds for a broker: -1 is the end."""
    if text in ("begin", "end"):
        return 0 if text == "begin" else -1
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except ValueError:
        now = time.strftime("%Y-%m-%dT%H:%M")
        raise typer.BadParameter(f"{text!r} is neither begin nor end nor a time such as {now}") from None


async def _reset(namesrv: str, group: str, topic: str, timestamp: int) -> Mapping[MessageQueue, int]:
    async with Admin(namesrv) as admin:
        return await admin.reset_offsets(group, topic, timestamp)


def offsets_table(offsets: Mapping[MessageQueue, int]) -> Table:
    result = table("broker", "queue", "goes on at")
    for queue, offset in sorted(offsets.items()):
        result.add_row(queue.broker_name, str(queue.queue_id), str(offset))
    return result
