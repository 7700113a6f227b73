"""The process ends before a system call, or the machine loses power there: at each call of a store's life in turn.

With power lost, what was not synced is there in part: names, sectors and removed files, in any mixture. Only what was
acknowledged behind a sync counts then.
"""

from __future__ import annotations

import itertools
import logging
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocket_testing.disk_calls import ALL, DiskCalls
from rocket_testing.power import Machine
from rocket_testing.store_scenario import Died, Scenario

#: Before the others a process leaves what it left before the next one of these.
CHANGES = [name for name in ALL if name not in ("preadv", "listdir", "scandir")]


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    logging.getLogger("scenario").disabled = True
    yield
    logging.getLogger("scenario").disabled = False


def dying_in_turn(disk: DiskCalls, root: Path, step: int, *, is_sync: bool = False) -> Iterator[Scenario]:
    """The scenario before it is played, with its first, its second, ... its last call the last one of a process."""
    for number in itertools.count(step - 1, step):
        scenario = Scenario(root / str(number) / "store", is_sync)
        scenario.root.parent.mkdir()
        disk.failed.clear()
        disk.die_at(number, Died, names=CHANGES)
        yield scenario
        disk.heal()
        shutil.rmtree(root / str(number))
        if not disk.failed:
            assert number > step, "nothing was counted"
            return


def plays_and_holds(disk: DiskCalls, scenario: Scenario) -> None:
    try:
        scenario.play()
        disk.heal()
        assert not scenario.refusals
        scenario.check()
    except Exception as failure:
        failure.add_note(f"died before {disk.failed}; {scenario.refusals}")
        raise
    finally:
        scenario.die()


def kills(disk: DiskCalls, root: Path, step: int) -> None:
    for scenario in dying_in_turn(disk, root, step):
        plays_and_holds(disk, scenario)


def test_a_process_that_ends_before_any_call_loses_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kills(DiskCalls(monkeypatch, tmp_path), tmp_path, step=13)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_process_that_ends_before_each_call_loses_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kills(DiskCalls(monkeypatch, tmp_path), tmp_path, step=1)


def losses_of_power(monkeypatch: pytest.MonkeyPatch, root: Path, step: int, seeds: list[int | None]) -> None:
    """Seed None: nothing is there that was not synced."""
    machine = Machine(monkeypatch, root)
    disk = DiskCalls(monkeypatch, root)
    for seed in seeds:
        for scenario in dying_in_turn(disk, root, step, is_sync=True):
            chance = None if seed is None else random.Random(seed + int(scenario.root.parent.name))
            scenario.after_death = lambda: lose_power(machine, scenario, chance)  # noqa: B023  the loop waits for it
            plays_and_holds(disk, scenario)
            machine.close()
    machine.close()


def lose_power(machine: Machine, scenario: Scenario, chance: random.Random | None) -> None:
    after = scenario.root.with_name("after")
    machine.lose_power(scenario.root, after, chance)
    machine.sync_everything()
    scenario.root = after


def test_power_lost_before_any_call_loses_nothing_that_was_synced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    losses_of_power(monkeypatch, tmp_path, step=83, seeds=[None, 1])


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_power_lost_before_each_call_loses_nothing_that_was_synced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    losses_of_power(monkeypatch, tmp_path, step=1, seeds=[None, 2, 3])
