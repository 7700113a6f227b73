"""The table for people and the file for machines."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rocket_bench.case import Figures, SendCase
from rocket_bench.cold import Beside


class Row(msgspec.Struct, frozen=True):
    """One measurement of one server."""

    server: str
    case: SendCase
    figures: Figures


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """What so many topics cost: sends that go round all their queues, and what the broker holds afterwards."""

    figures: Figures
    anonymous_mebibytes: float
    descriptors: int
    maps: int


class Report(msgspec.Struct, kw_only=True):
    """All that one run found. Times in seconds, rates in messages a second."""

    machine: dict[str, str]
    begun: str
    sends: list[Row] = []
    pulls: dict[str, Figures] = {}
    start_seconds: dict[str, float] = {}
    memory_mebibytes: dict[str, dict[str, float]] = {}
    #: One after the other, on the disk that the stores are on.
    disk_syncs: float = 0.0
    sync_sends: dict[int, Figures] = {}
    #: Messages in the store → kind of start → seconds, and MiB of memory.
    restarts: dict[int, dict[str, tuple[float, float]]] = {}
    topics: dict[int, Topics] = {}
    #: Connections that send, one message in flight each → who reads meanwhile → what the sends met.
    beside_consumers: dict[int, dict[str, Beside]] = {}


def machine() -> dict[str, str]:
    """What the figures depend on."""
    models = {
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    }
    return {
        "cpus": str(os.cpu_count()),
        "model": ", ".join(models),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def begin() -> Report:
    return Report(machine=machine(), begun=time.strftime("%Y-%m-%dT%H:%M:%S%z"))


def save(report: Report, folder: Path) -> Path:
    """Writes the report as JSON, named for its time. Returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{report.begun[:19].replace(':', '')}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    return file


def show(report: Report, console: Console) -> None:
    console.print(", ".join(f"{name} {value}" for name, value in report.machine.items()), highlight=False)
    if report.sends:
        console.print(send_table(report.sends))
    rest = Table("server", "figure", "value", title="Other figures", title_justify="left")
    for server, figures in report.pulls.items():
        rest.add_row(server, "pulled messages a second", f"{figures.rate:,.0f}")
        rest.add_row(server, "CPU for each pulled message", f"{figures.cpu:.1f} us")
    for server, seconds in report.start_seconds.items():
        rest.add_row(server, "start to first acknowledged send", f"{seconds:.2f} s")
    for server, amounts in report.memory_mebibytes.items():
        for name, amount in amounts.items():
            rest.add_row(server, f"memory, {name}", f"{amount:,.0f} MiB")
    if report.disk_syncs:
        rest.add_row("disk", "records synced one by one a second", f"{report.disk_syncs:,.0f}")
    for senders, found in report.sync_sends.items():
        share = found.rate / report.disk_syncs if report.disk_syncs else 0.0
        text = f"{found.rate:,.0f}, {share:.1f} for each that the disk syncs"
        rest.add_row("ours", f"SYNC_FLUSH sends a second, {senders} senders", text)
    for count, starts in report.restarts.items():
        for kind, (seconds, mebibytes) in starts.items():
            rest.add_row("ours", f"{count:,} messages open {kind}", f"{seconds:.2f} s, {mebibytes:,.0f} MiB")
    for number, each in report.topics.items():
        text = (
            f"{each.figures.rate:,.0f} sends/s, p50 {each.figures.p50:.2f}, p99 {each.figures.p99:.2f} ms; "
            f"{each.anonymous_mebibytes:,.0f} MiB, {each.descriptors} files, {each.maps} maps"
        )
        rest.add_row("ours", f"{number:,} topics with 4 queues each", text)
    for connections, readers in report.beside_consumers.items():
        for reader, met in readers.items():
            text = f"p50 {met.p50:.2f}, p99 {met.p99:.2f} ms, {met.sends:,.0f} sends/s, {met.pulled:,.0f} pulled/s"
            rest.add_row("ours", f"{connections} x 1 sends beside {reader}", text)
    if rest.rows:
        console.print(rest)


def send_table(rows: Sequence[Row]) -> Table:
    table = Table(title="Sends", title_justify="left")
    table.add_column("server")
    table.add_column("header")
    for name in ("connections", "in flight", "body", "sends/s", "p50 ms", "p99 ms", "p99.9 ms", "CPU us", "failed"):
        table.add_column(name, justify="right")
    for row in sorted(rows, key=lambda row: (row.case.body_bytes, row.case.connections, row.case.in_flight)):
        case, figures = row.case, row.figures
        table.add_row(
            *(row.server, "binary" if case.binary else "JSON"),
            *(str(case.connections), str(case.in_flight), str(case.body_bytes)),
            *(f"{figures.rate:,.0f}", f"{figures.p50:.2f}", f"{figures.p99:.2f}", f"{figures.p999:.2f}"),
            *(f"{figures.cpu:.1f}", str(figures.failures)),
        )
    return table


def failures(report: Report) -> Mapping[str, str]:
    """The first refusal of each measurement that had any."""
    return {f"{row.server} {row.case}": row.figures.failure for row in report.sends if row.figures.failures}
