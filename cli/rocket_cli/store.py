"""`rocketctl store`: a broker's store directory, read from outside by the broker's own code."""

from __future__ import annotations

import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from rocket_broker.store.errors import StoreError
from rocket_broker.store.tools.dump import Wish, messages
from rocket_broker.store.tools.findings import Finding, Verdict
from rocket_broker.store.tools.folder import State
from rocket_broker.store.tools.repair import Repair
from rocket_broker.store.tools.summary import Summary, summarise
from rocket_broker.store.tools.verify import Report
from rocket_broker.store.tools.verify import verify as verify_store
from rocket_cli.console import err, out, table
from rocket_wire import properties, record
from rocket_wire.compression import decompress
from rocket_wire.errors import ProtocolError
from rocket_wire.message_id import offset_message_id

app = typer.Typer(help="Look at a broker's store directory, verify and repair it.", no_args_is_help=True)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="storePathRootDir of a broker.", show_default=False)]
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


@app.command()
def dump(
    directory: Directory,
    commitlog: CommitLog = None,
    topic: Annotated[str | None, typer.Option(help="Of this topic only.")] = None,
    queue: Annotated[int | None, typer.Option(min=0, help="Of this queue only.")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="From this time on, 2026-01-31T12:00; or offset, with one queue.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Up to this time or offset.")] = None,
    key: Annotated[str | None, typer.Option(help="With this key or id only.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="So many at the most; 0 is all.")] = 0,
    base64: Annotated[bool, typer.Option("--base64", help="Every body in base64, texts too.")] = False,
) -> None:
    """Print messages as JSON lines, as the log has them. A body that is no text comes in base64, as bodyBase64."""
    is_one_queue = topic is not None and queue is not None
    first, last = _bound(begin, "--from", is_one_queue), _bound(end, "--to", is_one_queue)
    bounds = {name: value for name, value in (("first", first), ("last", last)) if value is not None}
    wish = Wish(
        topic=topic, queue=queue, key=key, **{f"{name}_{kind}": number for name, (kind, number) in bounds.items()}
    )
    damaged: list[int] = []

    def passed_over(begin: int, end: int) -> None:
        damaged.append(begin)
        err.print(f"rocketctl: positions {begin} to {end} are damaged", markup=False, soft_wrap=True)

    with _reading(directory):
        for message in islice(messages(directory, wish, commitlog, passed_over), limit or None):
            print(msgspec.json.encode(_line_of(message, base64)).decode())
    raise typer.Exit(1 if damaged else 0)


def _bound(text: str | None, option: str, is_one_queue: bool) -> tuple[str, int] | None:
    """What an end of a range means: a time (ms), or an offset."""
    if text is None:
        return None
    if text.isdigit() and is_one_queue:
        return "offset", int(text)
    try:
        return "time", int(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except ValueError:
        raise typer.BadParameter(
            f"{option} {text!r} is no time such as 2026-01-31T12:00; an offset needs --topic and --queue"
        ) from None


def _line_of(message: record.Message, base64: bool) -> dict[str, object]:
    fields: dict[str, object] = {
        "topic": message.topic,
        "queue": message.queue_id,
        "offset": message.queue_offset,
        "position": message.position,
        "messageId": offset_message_id(message.store_host, message.position),
        "stored": message.store_timestamp,
        "born": message.born_timestamp,
        "sysFlag": message.sys_flag,
        "flag": message.flag,
        "reconsumeTimes": message.reconsume_times,
        "properties": properties.decode(message.properties),
    }
    try:
        body = decompress(message.body, message.sys_flag)
    except ProtocolError:
        body = message.body  # as it is stored
    try:
        return fields | ({"bodyBase64": b64encode(body).decode()} if base64 else {"body": body.decode()})
    except UnicodeDecodeError:
        return fields | {"bodyBase64": b64encode(body).decode()}


@app.command()
def repair(
    directory: Directory,
    commitlog: CommitLog = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Say what can be repaired, ask, and do it. Never on the store of a running broker; nothing is deleted."""
    with _reading(directory):
        with _bar() as progress:
            work = Repair(directory, time.time_ns() // 1_000_000, commitlog, progress)
        try:
            _repair(work, yes)
        finally:
            work.close()


def _repair(work: Repair, yes: bool) -> None:
    for text in work.left:
        _line("lost", text)
    for step in work.steps:
        _line("to do", step.text)
    if not work.steps:
        _line("", "There is nothing to repair" + (" that can be." if work.left else "."))
        raise typer.Exit(1 if work.left else 0)
    if not yes:
        typer.confirm(f"Do this? What is taken away is kept in {work.aside}", abort=True)
    work.run()
    _line("done", f"what was taken away is in {work.aside}; start the broker, and verify again once it has stopped")


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
