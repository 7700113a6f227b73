"""One system call fails, each of a store's life in turn: at most an answer with code 1 or a restart, and no loss."""

from __future__ import annotations

import errno
import itertools
import logging
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from rocket_testing.disk_calls import ALL, READS, SYNCS, WRITES, DiskCalls
from rocket_testing.store_scenario import Scenario

SHORT = 23  # of so many calls one is tried in the short run


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    logging.getLogger("scenario").disabled = True
    yield
    logging.getLogger("scenario").disabled = False


def failing_in_turn(
    disk: DiskCalls, root: Path, error: int, names: Collection[str], step: int = 1, keeps: int | None = None
) -> Iterator[Scenario]:
    """The scenario played with its first, its second, ... its last call failing; who iterates looks at the outcome."""
    for number in itertools.count(step - 1, step):
        scenario = Scenario(root / str(number))
        disk.failed.clear()
        disk.fail_call(number, error, names=names, keeps=keeps)
        try:
            scenario.play()
        except Exception as failure:
            failure.add_note(f"call {number} failed: {disk.failed}")
            raise
        disk.heal()
        if not disk.failed:
            scenario.stop()
            assert number > step, "nothing was counted"
            return
        yield scenario
        scenario.stop()
        shutil.rmtree(scenario.root)


def nothing_is_lost(disk: DiskCalls, root: Path, error: int, names: Collection[str], **more: int) -> None:
    for scenario in failing_in_turn(disk, root, error, names, **more):
        told = f"{disk.failed}, {scenario.refusals}, {scenario.deaths}"
        assert len(scenario.refusals) + len(scenario.deaths) <= 2, told
        try:
            scenario.check()
        except AssertionError as failure:
            failure.add_note(told)
            raise


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DiskCalls:
    return DiskCalls(monkeypatch, tmp_path)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_call_that_fails_once_costs_at_most_an_answer(disk: DiskCalls, tmp_path: Path, error: int) -> None:
    nothing_is_lost(disk, tmp_path, error, ALL, step=SHORT)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("error", "names"),
    [(errno.EIO, ALL), (errno.ENOSPC, ALL), (errno.EROFS, ALL), (errno.EDQUOT, WRITES), (errno.EIO, READS)],
)
def test_every_call_that_fails_once_costs_at_most_an_answer(
    disk: DiskCalls, tmp_path: Path, error: int, names: Collection[str]
) -> None:
    nothing_is_lost(disk, tmp_path, error, names)


@pytest.mark.parametrize("keeps", [0, 1, 19, 100])
def test_a_write_that_fails_having_written_a_part_leaves_no_trace(disk: DiskCalls, tmp_path: Path, keeps: int) -> None:
    nothing_is_lost(disk, tmp_path, errno.EIO, WRITES, step=9, keeps=keeps)


def test_a_sync_of_the_log_that_fails_ends_the_process_with_nothing_acknowledged_since(
    disk: DiskCalls, tmp_path: Path
) -> None:
    nothing_is_lost(disk, tmp_path, errno.EIO, SYNCS, step=3)
