"""docs/failures.md promises only what a test shows."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_test_that_the_page_names_exists() -> None:
    page = (TESTS.parent / "docs" / "failures.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 30
    existing = {name for file in TESTS.rglob("*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert named <= existing, f"these do not exist: {sorted(named - existing)}"
