"""What a look at a store found, in sentences: how much of each kind, and the first few of each."""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

_EXAMPLES: Final = 10


class Part(Enum):
    """What of the store is concerned."""

    LOG = "commit log"
    QUEUES = "consume queues"
    INDEX = "index"
    TABLES = "tables"


class Severity(Enum):
    """How bad it is. What is unfinished, the next start mends, and nothing is lost by that."""

    DAMAGE = "damage"
    UNFINISHED = "unfinished"
    NOTE = "note"


class Verdict(Enum):
    """All in all."""

    WHOLE = "whole"
    UNFINISHED = "unfinished"
    DAMAGED = "damaged"


class Finding(msgspec.Struct):
    """`count` things of one kind. `examples` are sentences about the first of them."""

    part: Part
    severity: Severity
    what: str
    count: int = 0
    examples: list[str] = []


class Findings:
    """Collects them; what they take of memory has a bound."""

    def __init__(self) -> None:
        self._found: dict[tuple[Part, Severity, str], Finding] = {}

    def add(self, part: Part, severity: Severity, what: str, example: str = "", count: int = 1) -> None:
        """`count` more of a kind, of which `example` is one."""
        finding = self._found.setdefault((part, severity, what), Finding(part, severity, what))
        finding.count += count
        if example and len(finding.examples) < _EXAMPLES:
            finding.examples.append(example)

    def all(self) -> list[Finding]:
        """The worst first."""
        return sorted(self._found.values(), key=lambda finding: list(Severity).index(finding.severity))

    @property
    def verdict(self) -> Verdict:
        severities = {finding.severity for finding in self._found.values()}
        if Severity.DAMAGE in severities:
            return Verdict.DAMAGED
        return Verdict.UNFINISHED if Severity.UNFINISHED in severities else Verdict.WHOLE
