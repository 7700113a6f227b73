"""After a repair a broker opens the store, reads all that was left of it, writes on, and leaves it whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.errors import StoreLocked
from rocket_broker.store.tools.findings import Part, Severity, Verdict
from rocket_broker.store.tools.repair import Repair
from rocket_broker.store.tools.verify import verify

SEGMENT = 8192
NOW = 1_700_000_000_000
#: Messages of queues T/0, T/1 and Other/0.
ALL = [60, 60, 120]


def repaired(root: Path) -> tuple[list[str], Path]:
    """What was done, and where the rest is."""
    work = Repair(root, NOW)
    try:
        work.run()
    finally:
        work.close()
    return [step.text for step in work.steps], work.aside


def change(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def queue(root: Path, place: str = "T/1") -> Path:
    return root / "consumequeue" / place


def counts(read: Callable[..., Any]) -> list[int]:
    return [len(read(topic, queue_id)) for topic, queue_id in (("T", 0), ("T", 1), ("Other", 0))]


@pytest.mark.parametrize("spoil", [
    lambda root: shutil.rmtree(queue(root)),
    lambda root: (queue(root) / f"{200:020d}").unlink(),
    lambda root: os.truncate(queue(root) / f"{400:020d}", 33),
    lambda root: change(queue(root) / f"{200:020d}", 40, bytes(20)),
    lambda root: change(queue(root) / f"{200:020d}", 47, b"\x55"),
    lambda root: change(queue(root) / f"{400:020d}", 4, b"\x55\x55"),
    lambda root: sorted((root / "index").iterdir())[2].unlink(),
    lambda root: sorted((root / "index").iterdir())[-1].write_bytes(b"rubbish"),
    lambda root: change(sorted((root / "index").iterdir())[1], 40 + 256 + 100, b"rubbish"),
    lambda root: (root / "config" / "topics.json").write_text("{"),
    lambda root: (root / "config" / "topics.json").unlink(),
])  # fmt: skip
def test_what_the_log_or_a_backup_has_is_all_there_again(
    filled: Path, stores: Any, message: Any, spoil: Callable[[Path], Any]
) -> None:
    spoil(filled)
    assert verify(filled).report.verdict is Verdict.DAMAGED
    steps, _ = repaired(filled)
    assert steps
    assert verify(filled).report.verdict is not Verdict.DAMAGED
    store = stores.open()
    assert counts(stores.reader(store)) == ALL
    assert len(store.query("T", "a77", 9, 0, 1 << 60)) == 1
    assert store.put(message(1, queue_id=1)).queue_offset == 60
    store.close()
    report = verify(filled).report
    assert (report.verdict, report.findings) == (Verdict.WHOLE, [])


@pytest.mark.parametrize("spoil", [
    lambda root: change(root / "commitlog" / f"{SEGMENT:020d}", 0, bytes(1000)),
    lambda root: change(root / "commitlog" / f"{SEGMENT:020d}", SEGMENT - 1200, b"rubbish" * 100),
    lambda root: (root / "commitlog" / f"{SEGMENT:020d}").unlink(),
    lambda root: os.truncate(root / "commitlog" / f"{SEGMENT:020d}", 3000),
])  # fmt: skip
@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_what_lies_behind_damage_of_the_log_is_not_lost_with_it(
    filled: Path, stores: Any, message: Any, spoil: Callable[[Path], Any], has_checkpoint: bool
) -> None:
    spoil(filled)
    if not has_checkpoint:
        (filled / "checkpoint").unlink()
    left = verify(filled).report.records
    assert 180 <= left < 240
    repaired(filled)
    store = stores.open()
    read = stores.reader(store)
    assert sum(counts(read)) == left
    assert [found.body for found in read("Other", 0)][-1] == bytes(100)
    store.put(message())
    store.close()
    report = verify(filled).report
    assert report.records == left + 1
    damaged = {finding.part for finding in report.findings if finding.severity is Severity.DAMAGE}
    assert Part.INDEX not in damaged


def test_an_unfinished_record_is_cut_off_and_kept(stores: Any, message: Any) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    store.put(message(1))
    last = store.put(message(2))
    root = stores.killed()
    segment = root / "commitlog" / f"{0:020d}"
    change(segment, last.position + 88, bytes(SEGMENT - last.position - 88))
    before = segment.read_bytes()
    steps, aside = repaired(root)
    assert steps == [f"cut the log's unfinished end off, from position {last.position} on"]
    assert verify(root).report.records == 1
    assert not any(segment.read_bytes()[last.position :])
    (kept,) = (aside / "commitlog").iterdir()
    assert kept.read_bytes() == before[last.position :]


def test_what_is_taken_away_is_kept(filled: Path) -> None:
    path = queue(filled) / f"{200:020d}"
    change(path, 40, b"x" * 20)
    before = path.read_bytes()
    _, aside = repaired(filled)
    assert (aside / "consumequeue" / "T" / "1" / path.name).read_bytes() == before
    assert not (aside / "consumequeue" / "Other").exists()
    assert (aside / "checkpoint").exists()


def test_a_whole_store_is_left_alone(filled: Path) -> None:
    work = Repair(filled, NOW)
    work.close()
    assert (work.steps, work.left) == ([], [])


def test_a_plan_that_is_not_carried_out_changes_nothing(filled: Path) -> None:
    shutil.rmtree(queue(filled))
    before = {path: path.read_bytes() for path in filled.rglob("*") if path.is_file()}
    work = Repair(filled, NOW)
    work.close()
    assert work.steps
    assert {path: path.read_bytes() for path in filled.rglob("*") if path.is_file()} == before


def test_a_store_in_use_is_never_repaired(filled: Path, stores: Any) -> None:
    stores.open()
    shutil.rmtree(queue(filled))
    with pytest.raises(StoreLocked, match=f"in use by process {os.getpid()}"):
        Repair(filled, NOW)


def test_nobody_opens_a_store_while_it_is_repaired(filled: Path, stores: Any) -> None:
    work = Repair(filled, NOW)
    with pytest.raises(StoreLocked):
        stores.open()
    work.close()
    stores.open()


def test_tables_that_are_lost_are_named(filled: Path) -> None:
    for name in ("topics.json", "topics.json.bak"):
        (filled / "config" / name).write_text("{")
    work = Repair(filled, NOW)
    work.close()
    assert work.left == ["topics.json and its backup cannot be read: bring one back from elsewhere, or delete both"]
