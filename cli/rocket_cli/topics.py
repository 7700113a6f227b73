"""`rocketctl topic`: list, create and delete topics, and see what is in them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from rocket_cli.console import NAMESRV, Namesrv, err, out, refusing, table
from rocket_client import Admin, MessageQueue
from rocket_wire.bodies.stats import TopicOffset
from rocket_wire.topic_names import AUTO_CREATE_TOPIC

app = typer.Typer(help="List, create and delete topics, and see what is in them.", no_args_is_help=True)

Topic = Annotated[str, typer.Argument(show_default=False)]


@app.command("list")
def list_topics(
    namesrv: Namesrv = NAMESRV,
    everything: Annotated[bool, typer.Option("--all", help="Retry, dead letter and system topics too.")] = False,
) -> None:
    """Print the names of all topics."""
    with refusing():
        for name in asyncio.run(_list(namesrv, everything)):
            out.print(name, markup=False, soft_wrap=True)


async def _list(namesrv: str, everything: bool) -> list[str]:
    async with Admin(namesrv) as admin:
        return await (admin.topics() if everything else users_topics(admin))


async def users_topics(admin: Admin) -> list[str]:
    """The topics that people made, in the order of the name server's list. Raises RocketError."""
    names, cluster = await asyncio.gather(admin.topics(), admin.cluster())
    # A broker makes topics called like itself and like its cluster (protocol section 6.1).
    made_by_brokers = cluster.broker_addr_table.keys() | cluster.cluster_addr_table.keys()
    return [name for name in names if not (is_internal(name) or name in made_by_brokers)]


def is_internal(topic: str) -> bool:
    """Whether a topic is the system's own (protocol section 6.1)."""
    prefixes = (
        "%",
        "RMQ_SYS_",
        "rmq_sys_",
        "SCHEDULE_TOPIC_",
        "OFFSET_MOVED_EVENT",
        "BenchmarkTest",
        "SELF_TEST_TOPIC",
    )
    return topic == AUTO_CREATE_TOPIC or topic.startswith(prefixes) or topic.endswith("_REPLY_TOPIC")


@app.command()
def create(
    topic: Topic,
    namesrv: Namesrv = NAMESRV,
    queues: Annotated[int, typer.Option(min=1, max=10_000, help="How many queues on each master.")] = 8,
    force: Annotated[bool, typer.Option("--force", help="Take queues away, and what they hold out of reach.")] = False,
) -> None:
    """Make TOPIC on every master, or give it more queues."""
    with refusing():
        before = asyncio.run(_create(namesrv, topic, queues, force))
    if before > queues and not force:
        err.print(
            f"{topic} has {before} queues; with {queues} the messages in the others could not be consumed. "
            f"Nothing is changed; --force does it all the same",
            markup=False,
            soft_wrap=True,
        )
        raise typer.Exit(1)
    was = f", before {before}" if before not in (0, queues) else ""
    out.print(f"{topic} has {queues} queues on each master{was}", markup=False)


async def _create(namesrv: str, topic: str, queues: int, force: bool) -> int:
    """How many queues a broker had for the topic before, 0 for a new one. It loses none unless by `force`."""
    async with Admin(namesrv) as admin:
        before = 0
        if await admin.has_topic(topic):
            before = max((queue.queue_id + 1 for queue in await admin.topic_stats(topic)), default=0)
        if before <= queues or force:
            await admin.create_topic(topic, queues=queues)
        return before


@app.command()
def delete(
    topic: Topic,
    namesrv: Namesrv = NAMESRV,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete TOPIC everywhere. Its messages are gone."""
    if not yes:
        typer.confirm(f"Delete {topic} and all its messages?", abort=True)
    with refusing():
        known = asyncio.run(_delete(namesrv, topic))
    if not known:
        err.print(f"there is no topic {topic}", markup=False)
        raise typer.Exit(1)
    out.print(f"{topic} is deleted", markup=False)


async def _delete(namesrv: str, topic: str) -> bool:
    """False where there was no such topic."""
    async with Admin(namesrv) as admin:
        known = await admin.has_topic(topic)
        await admin.delete_topic(topic)
        return known


@app.command()
def stats(topic: Topic, namesrv: Namesrv = NAMESRV) -> None:
    """Show how many messages each queue of TOPIC holds."""
    with refusing():
        out.print(stats_table(asyncio.run(_stats(namesrv, topic))))


async def _stats(namesrv: str, topic: str) -> dict[MessageQueue, TopicOffset]:
    async with Admin(namesrv) as admin:
        return await admin.topic_stats(topic)


def stats_table(queues: Mapping[MessageQueue, TopicOffset]) -> Table:
    result = table("broker", "queue", "first offset", "next offset", "messages", "last stored")
    result.show_footer = True
    for queue, offset in sorted(queues.items()):
        stored = datetime.fromtimestamp(offset.last_update_timestamp / 1000, UTC).astimezone()
        when = f"{stored:%Y-%m-%d %H:%M:%S}" if offset.last_update_timestamp else "never"
        count = offset.max_offset - offset.min_offset
        result.add_row(
            queue.broker_name, str(queue.queue_id), str(offset.min_offset), str(offset.max_offset), str(count), when
        )
    result.columns[4].footer = str(sum(offset.max_offset - offset.min_offset for offset in queues.values()))
    return result
