"""`rocketctl store`: a broker's store directory, read from outside by the broker's own code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from rocket_broker.store.errors import StoreError
from rocket_broker.store.tools.findings import Finding, Verdict
from rocket_broker.store.tools.folder import State
from rocket_broker.store.tools.summary import Summary, summarise
from rocket_broker.store.tools.verify import Report
from rocket_broker.store.tools.verify import verify as verify_store
from rocket_cli.console import err, out, table

app = typer.Typer(help="Look at a broker's store directory, verify it.", no_args_is_help=True)

Directory = Annotated[Path, typer.Argument(help="storePathRootDir of a broker.", show_default=False)]
CommitLog = Annotated[
    Path | None, typer.Option("--commitlog", help="storePathCommitLog, where it is not DIR/commitlog.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]

_CANNOT_READ: Final = 2
_VERDICTS: Final = {
    Verdict.WHOLE: "whole: nothing is missing and nothing is wrong",
    Verdict.UNFINISHED: "not finished, but nothing is lost: a start of the broker mends it",
    Verdict.DAMAGED: "DAMAGED",
}
_STATES: Final = {
    State.CLEAN: "no broker runs, the last one stopped in order",
    State.NOT_CLEAN: "no broker runs, the last one was killed",
    State.RUNNING: "a broker runs",
}


@app.command()
def inspect(directory: Directory, commitlog: CommitLog = None, as_json: AsJson = False) -> None:
    """Show what is in a store: log, queues, index, checkpoint, tables, who uses it."""
    with _reading(directory):
        summary = summarise(directory, commitlog)
    if as_json:
        _print_json(summary)
        return
    _show(summary)


@app.command()
def verify(directory: Directory, commitlog: CommitLog = None, as_json: AsJson = False) -> None:
    """Check every record, queue entry, index entry and table. Exit status 0: nothing is lost, 1: damaged, 2: unread."""
    with _reading(directory), _bar() as progress:
        report = verify_store(directory, commitlog, progress).report
    if as_json:
        _print_json(report)
    else:
        _tell(report)
    raise typer.Exit(1 if report.verdict is Verdict.DAMAGED else 0)


@contextmanager
def _reading(directory: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        err.print(f"rocketctl: {error.filename or directory}: permission denied", markup=False, soft_wrap=True)
        raise typer.Exit(_CANNOT_READ) from error
    except (StoreError, OSError) as error:
        err.print(f"rocketctl: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(_CANNOT_READ) from error


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar for people; nothing where nobody looks."""
    columns = (TextColumn("reading the log"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("log")
        yield lambda done, whole: progress.update(task, completed=done, total=whole)


def _print_json(value: object) -> None:
    print(msgspec.json.encode(value).decode())


def _show(summary: Summary) -> None:
    log = summary.log
    _line("store", f"{summary.directory}, {_size(summary.size)} on the disk")
    _line("state", _STATES[summary.state] + (f": {summary.holder}" if summary.holder else ""))
    segments = f"{log.segments} segments of {_size(log.segment_size)}" if log.segments else "no segment"
    _line("log", f"positions {log.first} to {log.end}, {segments}")
    for position in log.missing:
        _line("", f"segments are missing from position {position} on")
    _line("stored", f"{_time(log.first_stored)} to {_time(log.last_stored)}")
    known = "not ours" if summary.checkpoint.position is None else f"position {summary.checkpoint.position}"
    _line("checkpoint", f"{known}, {_time(summary.checkpoint.physic_timestamp)}")
    queues = table("topic", "queue", "first offset", "next offset", "files")
    for queue in summary.queues:
        queues.add_row(queue.topic, str(queue.queue), str(queue.first), str(queue.next), str(queue.files))
    out.print(queues)
    files = table("index file", "entries", "stored from", "to")
    for index in summary.index:
        files.add_row(index.file, str(index.entries), _time(index.first_stored), _time(index.last_stored))
    out.print(files)
    tables = table("table", "entries", "")
    for each in summary.tables:
        tables.add_row(each.file, "" if each.entries is None else str(each.entries), each.problem)
    out.print(tables)


def _tell(report: Report) -> None:
    _line("state", _STATES[report.state])
    deleted = f", {report.deleted_records} of topics that are deleted" if report.deleted_records else ""
    _line("log", f"{report.records} records, positions {report.first} to {report.end}{deleted}")
    _line("queues", f"{report.queue_entries} entries in {report.queues} queues")
    _line("index", f"{report.index_entries} entries in {report.index_files} files")
    _line("tables", f"{report.tables} files")
    for finding in report.findings:
        _tell_finding(finding)
    _line("verdict", _VERDICTS[report.verdict])


def _tell_finding(finding: Finding) -> None:
    _line(finding.severity.value, f"{finding.part.value}: {finding.what} ({finding.count})")
    for example in finding.examples:
        _line("", f"  {example}")


def _line(name: str, text: str) -> None:
    out.print(f"{name:<12}{text}", markup=False, soft_wrap=True)


def _time(timestamp: int | None) -> str:
    if not timestamp:
        return "never"
    return f"{datetime.fromtimestamp(timestamp / 1000, UTC).astimezone():%Y-%m-%dT%H:%M:%S}"


def _size(count: int) -> str:
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"
