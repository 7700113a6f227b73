"""What every broker leaves behind, however it ended: a store in which verify finds nothing lost."""

from __future__ import annotations

from pathlib import Path

from rocket_broker.store.tools.findings import Verdict
from rocket_broker.store.tools.verify import Report, verify


def assert_store_verifies(root: Path, commit_log: Path | None = None) -> Report:
    """The store may be unfinished, as a killed broker leaves it, but nothing in it is damaged or missing."""
    report = verify(root, commit_log).report
    assert report.verdict is not Verdict.DAMAGED, f"{root}: {report.findings}"
    return report


def stores_below(folder: Path) -> list[Path]:
    """Every store directory in a test's folder."""
    return sorted(path.parent for path in folder.rglob("commitlog") if path.is_dir())
