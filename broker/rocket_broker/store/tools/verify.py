"""Verifies a store: every record of the log, every entry of its queues and its index, every table.

One pass over the log with all the rest beside it, so that memory does not grow with the store.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from rocket_broker.store.tools.findings import Finding, Findings, Part, Severity, Verdict
from rocket_broker.store.tools.folder import State, StoreFolder
from rocket_broker.store.tools.queues import QueueFolder
from rocket_broker.store.tools.tables import Table, tables
from rocket_broker.store.tools.verify_index import IndexCheck
from rocket_broker.store.tools.verify_log import LogCheck, Range
from rocket_broker.store.tools.verify_queues import QueueCheck

Progress = Callable[[int, int], None]
"""Bytes of the log that are read, and how many there are."""


class Report(msgspec.Struct, kw_only=True, rename="camel"):
    """What `verify` found. Positions in bytes; `deletedRecords` are of topics that are deleted: no queue has them."""

    directory: str
    state: State
    verdict: Verdict
    first: int
    end: int
    records: int
    deleted_records: int
    queues: int
    queue_entries: int
    index_files: int
    index_entries: int
    tables: int
    findings: list[Finding]


class Verified(msgspec.Struct, frozen=True):
    """The report, and what a repair would have to work on."""

    report: Report
    damaged_log: list[Range]
    tail: Range | None
    damaged_queues: list[QueueFolder]
    is_index_damaged: bool
    damaged_tables: list[Table]

    @property
    def is_rebuilt(self) -> bool:
        """Whether a start should make queues and index again from the log."""
        parts = {finding.part for finding in self.report.findings if finding.severity is Severity.DAMAGE}
        return bool(parts - {Part.TABLES})


def verify(
    root: Path, commit_log: Path | None = None, progress: Progress | None = None, *, is_ours: bool = False
) -> Verified:
    """Reads the whole store. `is_ours`: whoever asks holds its lock, and no broker does.

    Raises NotAStore, StoreError and OSError where it cannot be read.
    """
    store = StoreFolder(root, commit_log, is_ours=is_ours)
    findings = Findings()
    log = LogCheck(store, findings)
    queues, index = QueueCheck(store, log, findings), IndexCheck(store, log, findings)
    records = 0
    told = first = log.first
    whole = sum(each.end - each.first for each in log.logs)
    for message in log:
        records += 1
        queues.see(message)
        index.see(message)
        if progress is not None and message.position - told >= 1 << 20:
            told = message.position
            progress(told - first, whole)
    if progress is not None:
        progress(whole, whole)
    queues.finish()
    index.finish()
    damaged_tables = _check_tables(found := tables(root), findings)
    if store.checkpoint.is_remaking:
        findings.add(Part.QUEUES, Severity.UNFINISHED, "queues and index are made again by a start")
    return Verified(
        Report(
            directory=str(root), state=store.state, verdict=findings.verdict, first=log.first, end=log.end,
            records=records, deleted_records=queues.deleted, queues=queues.queues, queue_entries=queues.entries,
            index_files=len(index.files), index_entries=index.entries, tables=len(found), findings=findings.all(),
        ),
        log.damaged, log.tail, queues.damaged, index.is_damaged, damaged_tables,
    )  # fmt: skip


def _check_tables(found: list[Table], findings: Findings) -> list[Table]:
    damaged = [table for table in found if table.problem]
    for table in damaged:
        rest = "its backup is whole" if table.has_backup else "and so is its backup"
        findings.add(
            Part.TABLES, Severity.DAMAGE, "tables cannot be read", f"{table.path.name} {table.problem}; {rest}"
        )
    return damaged
