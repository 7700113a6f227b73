"""What came of each client and scenario: the table, the last line, and the JSON file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Outcome(Enum):
    PASSED = "passed"
    FAILED = "FAILED"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Result:
    client: str
    scenario: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def cell(self) -> str:
        colour = {Outcome.PASSED: "green", Outcome.FAILED: "bold red", Outcome.LEFT_OUT: "yellow"}[self.outcome]
        reason = f": {escape(self.reason)}" if self.reason else ""
        return f"[{colour}]{self.outcome.value}[/]{reason}"


def show(results: Sequence[Result], console: Console) -> None:
    """The table, and a last line that a machine may read."""
    table = Table()
    table.add_column("client")
    table.add_column("scenario")
    table.add_column("result", overflow="fold")
    table.add_column("seconds", justify="right")
    for result in results:
        took = f"{result.seconds:.1f}" if result.seconds else ""
        table.add_row(result.client, result.scenario, result.cell(), took)
    console.print(table)
    counts = Counter(result.outcome for result in results)
    console.print(
        f"interop: {counts[Outcome.PASSED]} passed, {counts[Outcome.FAILED]} failed,"
        f" {counts[Outcome.LEFT_OUT]} left out",
        highlight=False,
    )


def save(results: Sequence[Result], path: Path) -> None:
    """All results with everything that the programs said, for reading after a failure."""
    rows = [
        {
            "client": result.client,
            "scenario": result.scenario,
            "result": result.outcome.value,
            "reason": result.reason,
            "seconds": round(result.seconds, 3),
            "events": result.events,
        }
        for result in results
    ]
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
