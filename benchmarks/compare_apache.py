"""What `make bench-compare` runs: Apache's own broker and ours, in turn, under the same load on the same machine.

    python benchmarks/compare_apache.py                 three rounds, about twenty minutes
    python benchmarks/compare_apache.py --rounds 1

Each round starts Apache's servers, measures, stops them, and does the same with ours. Every figure of a round gives a
ratio; the table has their median and, in brackets, the smallest and the largest. A ratio above 1 means that ours is
larger: good for rates, bad for times, CPU and memory. The generator is ours (`rocket_bench/send.py`) for the rows
named JSON and binary, and Apache's benchmark Producer for the rows named Producer.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rocket_bench import apache, measurement, processes, report, servers
from rocket_bench.case import Figures, PullCase, SendCase
from rocket_bench.servers import BUILD, Programs, Target

_WARM_UP_MESSAGES = 200_000
_PULLED_MESSAGES = 500_000

#: One round's figures of one server, by name.
Found = dict[str, float]


class Comparison(msgspec.Struct, kw_only=True):
    """All rounds: for each server a list of its figures, one for each round."""

    machine: dict[str, str]
    begun: str
    java_flags: Sequence[str]
    rounds: dict[str, list[Found]]


def main(
    rounds: Annotated[int, typer.Option(help="times that both are measured")] = 3,
    messages: Annotated[int, typer.Option(help="stored before memory is read")] = 1_000_000,
) -> None:
    """Measures both, prints ratios, writes JSON."""
    console = Console(width=max(Console().width, 110))  # a table that is cut to 80 columns tells nothing
    try:
        apache.fetch()
    except apache.ToolMissing as missing:
        console.print(f"left out: {missing}")
        raise typer.Exit(1) from None
    found: dict[str, list[Found]] = {}
    for _ in range(rounds):
        for programs in (apache.programs(), servers.our_programs()):
            figures = dict(measure(programs, messages))
            console.print(f"{programs.name}: {figures}", highlight=False)
            found.setdefault(programs.name, []).append(figures)
    facts = report.machine() | {"apache": apache.VERSION, "java": apache.version_of_java()}
    comparison = Comparison(
        machine=facts, begun=time.strftime("%Y-%m-%dT%H%M%S"), java_flags=apache.BROKER_FLAGS, rounds=found
    )
    file = BUILD / f"compare-{comparison.begun}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(comparison)))
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), highlight=False)
    console.print("Apache's broker: java", *apache.BROKER_FLAGS, highlight=False)
    console.print(ratios(found["Apache"], found["ours"]))


def measure(programs: Programs, messages: int) -> Iterator[tuple[str, float]]:
    """Every figure of one server, started for this and stopped after."""
    with servers.cluster(programs) as target:
        yield "start to first send, s", target.start_seconds
        measurement.fill(target, _WARM_UP_MESSAGES)  # Java compiles what runs often; both are given the time
        for name, case in send_cases(target):
            yield from named(name, measurement.run(case))
        for threads, body in ((64, 128), (1, 128), (64, 1024)):
            yield from produced(target, f"Producer -w {threads} -s {body}", threads, body)
    with servers.cluster(programs, flushDiskType="SYNC_FLUSH") as target:
        for connections in (1, 64):
            case = SendCase(port=target.port, pid=target.pid, connections=connections)
            yield from named(f"SYNC_FLUSH, JSON {connections} x 1", measurement.run(case))
        yield from produced(target, "SYNC_FLUSH, Producer -w 64", 64)
    with servers.cluster(programs) as target:
        measurement.fill(target, messages)
        memory = processes.memory(target.pid)
        yield "anonymous memory, MiB", memory.anonymous
        yield "proportional memory, MiB", memory.proportional
        pulled = measurement.run(PullCase(port=target.port, pid=target.pid))
        yield from (("pulled messages/s", pulled.rate), ("pull CPU us", pulled.cpu))


def send_cases(target: Target) -> Iterator[tuple[str, SendCase]]:
    for connections, in_flight in ((1, 1), (64, 1), (1, 32), (8, 32), (64, 32)):
        for binary in (False, True):
            yield (
                f"{'binary' if binary else 'JSON'} {connections} x {in_flight}",
                SendCase(port=target.port, pid=target.pid, connections=connections, in_flight=in_flight, binary=binary),
            )


def produced(target: Target, name: str, threads: int, body_bytes: int = 128) -> Iterator[tuple[str, float]]:
    """What Apache's benchmark Producer says."""
    figures = apache.produce(target, threads, body_bytes)
    yield f"{name}, sends/s", figures.rate
    yield f"{name}, CPU us", figures.cpu


def named(name: str, figures: Figures) -> Iterator[tuple[str, float]]:
    yield f"{name}, sends/s", figures.rate
    yield f"{name}, refused", figures.failures
    yield f"{name}, p99 ms", figures.p99
    yield f"{name}, CPU us", figures.cpu


def ratios(theirs: Sequence[Mapping[str, float]], ours: Sequence[Mapping[str, float]]) -> Table:
    """Medians of both, and of the rounds' ratios with their spread."""
    table = Table("figure", title="Ours against Apache's", title_justify="left")
    for name in ("Apache", "ours", "ratio"):
        table.add_column(name, justify="right")
    for name in theirs[0]:
        pairs = [(their[name], our[name]) for their, our in zip(theirs, ours, strict=True)]
        if not any(itertools.chain(*pairs)):
            continue  # nothing was refused
        each = sorted(our / their for their, our in pairs if their)
        middle = statistics.median(each) if each else float("nan")
        table.add_row(
            name,
            f"{statistics.median(their for their, _ in pairs):,.2f}",
            f"{statistics.median(our for _, our in pairs):,.2f}",
            f"{middle:.2f} ({each[0]:.2f} to {each[-1]:.2f})" if each else "",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
