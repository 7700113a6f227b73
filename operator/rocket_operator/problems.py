"""What is wrong with a manifest: all of it at once, each with the field's path.

A person corrects a file once, not once per mistake; so nothing here stops at the first problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is (a field's path, or a line) and what is allowed there."""

    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence}" if self.path else self.sentence


class InvalidManifest(Exception):
    """A manifest that cannot be used. `problems` has at least one entry; the text has one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class CannotStart(Exception):
    """Something on this machine is in the way. The text says what, in sentences for a person."""
