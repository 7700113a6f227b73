"""Reads a log from its first record to its last, as a start would, and says where there is none.

A start ends the log at the first place that holds no record, unless a checkpoint says that it was whole once. So what
is no record there is the unfinished tail of a broker that runs or was killed if nothing whole lies behind it, and
damage otherwise: a start would lose what lies behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from rocket_broker.store.log_scan import LogScan
from rocket_broker.store.tools.findings import Findings, Part, Severity
from rocket_broker.store.tools.folder import ReadLog, State, StoreFolder
from rocket_wire import record
from rocket_wire.errors import ProtocolError

DAMAGED: Final = "places in the log hold no record"


class Range(NamedTuple):
    """Positions `begin` up to, not including, `end`."""

    begin: int
    end: int


class LogCheck:
    """Iterates over every whole record. Afterwards `end` is where they end, `damaged` what had to be passed over.

    `tail` is what lies behind the end and is not only zeros. Raises StoreError and OSError where the disk fails.
    """

    def __init__(self, store: StoreFolder, findings: Findings) -> None:
        self.end = 0
        self.first = 0
        self.damaged: list[Range] = []
        self.tail: Range | None = None
        self._store = store
        self._findings = findings
        self.logs = store.logs()
        if self.logs:
            self.first = self.end = self.logs[0].first

    def __iter__(self) -> Iterator[record.Message]:
        for number, log in enumerate(self.logs):
            if log.first > self.end and number:
                self._damage(self.end, log.first, "segments are missing")
            yield from self._run(log, is_last=number == len(self.logs) - 1)
        if self.end < self._store.trusted:
            self._damage(self.end, self._store.trusted, "the log had reached further, the checkpoint says")

    def _run(self, log: ReadLog, *, is_last: bool) -> Iterator[record.Message]:
        position = log.first
        while True:
            scan = LogScan(log, position, min(self._store.trusted, log.end), self._passed_over)
            for message in scan:
                self.end = message.position + message.size
                yield message
            self.end = scan.position
            behind = _next_whole(log, scan.position) if scan.position < log.end else None
            if behind is None:
                break
            if log.record_at(scan.position) is not None and self._store.state is State.RUNNING:
                break  # the broker has written on since
            self._passed_over(scan.position, behind)
            position = behind
        if not is_last:
            if self.end < log.limit:
                self._damage(self.end, log.limit, "the segment's rest is lost")
        elif self.end < log.end:
            self._find_tail(log)

    def _find_tail(self, log: ReadLog) -> None:
        for start in range(self.end, log.end, 1 << 20):
            if any(log.read(start, 1 << 20) or b""):
                self.tail = Range(self.end, log.end)
                self._findings.add(
                    Part.LOG, Severity.UNFINISHED, "the log ends with the beginning of a record",
                    f"the records end at position {self.end}; a start cuts off what is behind",
                )  # fmt: skip
                return

    def _passed_over(self, begin: int, end: int) -> None:
        self._damage(begin, end, self._why(begin))

    def _damage(self, begin: int, end: int, why: str) -> None:
        self.damaged.append(Range(begin, end))
        self._findings.add(
            Part.LOG, Severity.DAMAGE, DAMAGED, f"positions {begin} to {end}: {why}, what was stored there is lost"
        )

    def _why(self, position: int) -> str:
        for log in self.logs:
            if log.first <= position < log.end:
                head = bytes(log.read(position, record.BLANK_BYTES) or b"")
                size = int.from_bytes(head[:4], "big")
                content = bytes(log.read(position, min(max(size, 0), log.segment_size)) or b"")
                try:
                    message = record.decode(content)
                except ProtocolError as error:
                    return str(error).replace("record at 0", "a record", 1)
                return f"a record that says it belongs to position {message.position}"
        return "no record"

    def is_damaged(self, position: int) -> bool:
        """Whether a position lies in what had to be passed over."""
        return any(damaged.begin <= position < damaged.end for damaged in self.damaged)


def _next_whole(log: ReadLog, position: int) -> int | None:
    """Where the next whole record begins behind `position`."""
    found = next(iter(LogScan(log, position + 1, log.end)), None)
    return None if found is None else found.position
