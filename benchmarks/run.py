"""What `make bench` runs: our broker under load, beside the ceiling of the load generator itself.

    python benchmarks/run.py                    everything, about eight minutes
    python benchmarks/run.py --quick            a few cases, about a minute
    python benchmarks/run.py --only sends       one part: sends, pulls, memory, start, restarts, sync, topics or cold

Figures depend on the machine and on what else runs on it: compare only within one run (see compare_apache.py).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rocket_bench import cold, disk, measurement, processes, report, restart, servers
from rocket_bench.case import PullCase, SendCase
from rocket_bench.report import Report, Row
from rocket_bench.send import topic_name
from rocket_bench.servers import BUILD, ServerFailed, Target

from rocket_client import ServerAdmin, TopicConfig


class Part(StrEnum):
    SENDS = "sends"
    PULLS = "pulls"
    MEMORY = "memory"
    START = "start"
    RESTARTS = "restarts"
    SYNC = "sync"
    TOPICS = "topics"
    COLD = "cold"


def main(
    quick: Annotated[bool, typer.Option(help="few cases, short")] = False,
    only: Annotated[list[Part] | None, typer.Option(help="only this part; may be repeated")] = None,
    messages: Annotated[int, typer.Option(help="stored before memory is read, and in the largest restart")] = 1_000_000,
) -> None:
    """Measures, prints a table, writes JSON. Exit status 1 when a send failed."""
    console = Console(width=max(Console().width, 110))  # a table that is cut to 80 columns tells nothing
    found = report.begin()
    try:
        for part in only or Part:
            MEASURES[part](found, messages, quick)
    except ServerFailed as failed:
        console.print(f"[red]stopped[/red] {failed}", highlight=False)
        raise typer.Exit(1) from None
    report.show(found, console)
    console.print(f"written to {report.save(found, BUILD).relative_to(BUILD.parents[1])}")
    for case, failure in report.failures(found).items():
        console.print(f"[red]refused[/red] {case}: {failure}", highlight=False)
    raise typer.Exit(1 if report.failures(found) else 0)


def ours(**settings: str) -> AbstractContextManager[Target]:
    return servers.cluster(servers.our_programs(), **settings)


def send_cases(target: Target, *, quick: bool) -> Iterator[SendCase]:
    """Every case of the table, or the four that say most."""
    bodies, shapes = ([128], [(1, 1), (8, 32)]) if quick else ([128, 1024], itertools.product([1, 8, 64], [1, 32]))
    for body, (connections, in_flight), binary in itertools.product(bodies, shapes, [False, True]):
        yield SendCase(
            port=target.port,
            pid=target.pid,
            connections=connections,
            in_flight=in_flight,
            body_bytes=body,
            binary=binary,
            seconds=1.0 if quick else 3.0,
        )


def measure_sends(found: Report, messages: int, quick: bool) -> None:
    for server in (servers.echo(), ours()):
        with server as target:
            for case in send_cases(target, quick=quick):
                found.sends.append(Row(target.name, case, measurement.run(case)))


def measure_pulls(found: Report, messages: int, quick: bool) -> None:
    with ours() as target:
        measurement.fill(target, 50_000 if quick else 500_000)
        found.pulls[target.name] = measurement.run(PullCase(port=target.port, pid=target.pid))


def measure_memory(found: Report, messages: int, quick: bool) -> None:
    messages = min(messages, 50_000) if quick else messages
    with ours() as target:
        at_start = processes.memory(target.pid)
        measurement.fill(target, messages)
        after = processes.memory(target.pid)
        found.memory_mebibytes[target.name] = {
            "anonymous at start": at_start.anonymous,
            f"anonymous after {messages:,} messages": after.anonymous,
            f"proportional after {messages:,} messages": after.proportional,
            f"resident after {messages:,} messages": after.resident,
        }


def measure_start(found: Report, messages: int, quick: bool) -> None:
    seconds = []
    for _ in range(1 if quick else 5):
        with ours() as target:
            seconds.append(target.start_seconds)
    found.start_seconds["ours"] = sorted(seconds)[len(seconds) // 2]


def measure_restarts(found: Report, messages: int, quick: bool) -> None:
    with servers.store_folder("restart") as folder:
        for count in [50_000] if quick else [messages // 10, messages]:
            found.restarts[count] = restart.measure(folder, count)


def measure_sync(found: Report, messages: int, quick: bool) -> None:
    seconds = 1.0 if quick else 3.0
    with servers.store_folder("disk") as folder:
        found.disk_syncs = disk.syncs_a_second(folder, seconds)
    with ours(flushDiskType="SYNC_FLUSH") as target:
        for senders in [1, 8, 64]:
            case = SendCase(port=target.port, pid=target.pid, connections=senders, seconds=seconds)
            found.sync_sends[senders] = measurement.run(case)


def measure_topics(found: Report, messages: int, quick: bool) -> None:
    """Each number of topics on a broker of its own; every queue is sent to before the measurement begins."""
    for number in [1, 100] if quick else [1, 100, 10_000]:
        with ours() as target:
            case = SendCase(
                port=target.port, pid=target.pid, topic="Topic", topics=number, queues=4, connections=8, in_flight=32,
                seconds=1.0 if quick else 3.0,
            )  # fmt: skip
            asyncio.run(make_topics(target, [topic_name(case, each) for each in range(number)]))
            measurement.run(msgspec.structs.replace(case, messages=max(256, number * case.queues)))
            figures = measurement.run(case)
            found.topics[number] = report.Topics(
                figures=figures,
                anonymous_mebibytes=processes.memory(target.pid).anonymous,
                descriptors=processes.descriptors(target.pid),
                maps=processes.maps(target.pid),
            )


def measure_cold(found: Report, messages: int, quick: bool) -> None:
    for connections in [8] if quick else [1, 8]:
        with ours() as target:
            stored, rounds, seconds = (800_000, 1, 1.0) if quick else (2 * messages, 3, 3.0)
            found.beside_consumers[connections] = cold.measure(target, stored, connections, rounds, seconds)


async def make_topics(target: Target, names: list[str]) -> None:
    async with ServerAdmin(60.0) as servers:
        for some in (names[at : at + 1000] for at in range(0, len(names), 1000)):
            await servers.update_topics(f"127.0.0.1:{target.port}", [TopicConfig(name, 4, 4) for name in some])


MEASURES: Mapping[Part, Callable[[Report, int, bool], None]] = {
    Part.SENDS: measure_sends,
    Part.PULLS: measure_pulls,
    Part.MEMORY: measure_memory,
    Part.START: measure_start,
    Part.RESTARTS: measure_restarts,
    Part.SYNC: measure_sync,
    Part.TOPICS: measure_topics,
    Part.COLD: measure_cold,
}


if __name__ == "__main__":
    typer.run(main)
