"""Small tables in files: whole at every moment, read from the backup where the file is damaged, saved one at a time."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rocket_broker import saved
from rocket_broker.saved import DamagedFile, Saver

DEADLINE = 5.0

#: What `write` does to the file system, in this order at most; each may be the last thing that a process does.
STEPS = ("open", "fsync", "link", "replace", "unlink")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "topics.json"


def backup(path: Path) -> Path:
    return path.with_name(path.name + ".bak")


def load(path: Path) -> Any:
    return saved.load(path, json.loads)


def test_what_was_written_is_loaded_and_what_was_there_before_is_the_backup(path: Path) -> None:
    assert load(path) is None
    saved.write(path, b"[1]")
    assert load(path) == [1]
    saved.write(path, b"[2]")
    assert (path.read_bytes(), backup(path).read_bytes()) == (b"[2]", b"[1]")
    saved.write(path, b"[3]")
    assert (path.read_bytes(), backup(path).read_bytes()) == (b"[3]", b"[2]")


def test_nothing_else_is_left_in_the_folder(path: Path) -> None:
    for number in range(3):
        saved.write(path, b"[%d]" % number)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["topics.json", "topics.json.bak"]


@pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 10, b'{"a":1', b"\xff\xfe"])
def test_a_damaged_file_is_read_from_its_backup_with_a_line_in_the_log(
    path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    saved.write(path, b"[1]")
    saved.write(path, b"[2]")
    path.write_bytes(damage)
    with caplog.at_level(logging.ERROR):
        assert load(path) == [1]
    [record] = caplog.records
    assert f"{path} is damaged" in record.message


def test_a_table_cut_at_any_byte_is_read_from_its_backup(path: Path) -> None:
    before, after = b'{"T":{"queues":4}}', b'{"T":{"queues":8},"U":{"queues":4}}'
    for left in range(len(after)):
        saved.write(path, before)
        saved.write(path, after)
        path.write_bytes(after[:left])
        assert load(path) == json.loads(before), left


def test_a_missing_file_is_read_from_its_backup(path: Path) -> None:
    saved.write(path, b"[1]")
    saved.write(path, b"[2]")
    path.unlink()
    assert load(path) == [1]


def test_two_damaged_files_are_no_empty_table(path: Path) -> None:
    saved.write(path, b"[1]")
    saved.write(path, b"[2]")
    path.write_bytes(b"")
    backup(path).write_bytes(b"?")
    with pytest.raises(DamagedFile) as caught:
        load(path)
    for named in (str(path), str(backup(path)), "delete both to start empty"):
        assert named in str(caught.value)


def test_a_damaged_file_without_a_backup_is_no_empty_table(path: Path) -> None:
    saved.write(path, b"[1]")
    path.write_bytes(b"")
    with pytest.raises(DamagedFile):
        load(path)


# -- a process that ends in the middle -------------------------------------------------------------------------------


class Killed(BaseException):
    """The process ended here."""


class Scissors:
    """Ends the process before its n-th change of the file system."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 10**6
        self.steps = 0
        self._monkeypatch = monkeypatch
        for name in STEPS:
            monkeypatch.setattr(os, name, self._cut(getattr(os, name)))

    def _cut(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            if self.left == 0:
                raise Killed
            self.left -= 1
            self.steps += 1
            return call(*arguments, **named)

        return step


def outcomes(path: Path, scissors: Scissors, content: bytes) -> Iterator[int]:
    """Writes `content`, ended at each of its steps in turn; who iterates looks at what is there, and repairs it."""
    for left in range(100):
        scissors.left = left
        try:
            saved.write(path, content)
        except Killed:
            scissors.left = 10**6
            yield left
        else:
            return
    pytest.fail("a write of a hundred steps?")


@pytest.fixture
def scissors(monkeypatch: pytest.MonkeyPatch) -> Scissors:
    return Scissors(monkeypatch)


def test_a_process_killed_at_any_step_leaves_the_old_table_or_the_new_one(path: Path, scissors: Scissors) -> None:
    saved.write(path, b"[1]")
    saved.write(path, b"[2]")
    seen = []
    for _ in outcomes(path, scissors, b"[3]"):
        seen.append(load(path))
        saved.write(path, b"[1]")
        saved.write(path, b"[2]")
    assert [2] in seen
    assert all(table in ([2], [3]) for table in seen)


def test_a_process_killed_at_any_step_never_leaves_two_damaged_files(path: Path, scissors: Scissors) -> None:
    """Not even when it began with a damaged file: its backup is all there is."""

    def damage() -> None:
        saved.write(path, b"[1]")
        saved.write(path, b"[2]")
        path.write_bytes(b"damaged")

    damage()
    assert load(path) == [1]
    cuts = 0
    for _ in outcomes(path, scissors, b"[3]"):
        cuts += 1
        assert load(path) in ([1], [3])
        damage()
        assert load(path) == [1]
    assert cuts > 3


# -- a disk that does not take it ------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_file_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved.write(path, b"[1]")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        saved.write(path, b"[2]")
    monkeypatch.undo()
    assert load(path) == [1]
    saved.write(path, b"[3]")
    assert load(path) == [3]


# -- saving beside the event loop ------------------------------------------------------------------------------------


class Table:
    """A table, and how often it was encoded."""

    def __init__(self) -> None:
        self.value = 0
        self.encoded: list[int] = []

    def encode(self) -> bytes:
        self.encoded.append(self.value)
        return b"[%d]" % self.value


async def test_a_save_is_done_when_the_table_is_on_disk(path: Path) -> None:
    table = Table()
    saver = Saver(path, table.encode)
    table.value = 7
    await asyncio.wait_for(saver.save(), DEADLINE)
    assert load(path) == [7]


async def test_saves_asked_for_while_one_is_under_way_become_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    write = saved.write

    def slow(target: Path, content: bytes) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert go.wait(DEADLINE)
        write(target, content)

    monkeypatch.setattr(saved, "write", slow)
    table = Table()
    saver = Saver(path, table.encode)
    table.value = 1
    first = saver.save()
    await asyncio.wait_for(begun.wait(), DEADLINE)
    later = []
    for table.value in range(2, 50):
        later.append(saver.save())
    go.set()
    await asyncio.wait_for(asyncio.gather(first, *later), DEADLINE)
    assert table.encoded == [1, 49]
    assert load(path) == [49]


async def test_a_save_that_fails_says_so_to_who_waits_and_to_the_log_and_the_next_one_may_pass(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = Table()
    saver = Saver(path, table.encode)
    obstacle = path.with_name(path.name + ".tmp")
    obstacle.mkdir(parents=True)
    with caplog.at_level(logging.ERROR), pytest.raises(OSError, match=r"topics\.json"):
        await asyncio.wait_for(saver.save(), DEADLINE)
    assert [f"{path} could not be saved" in record.message for record in caplog.records] == [True]
    obstacle.rmdir()
    await asyncio.wait_for(saver.save(), DEADLINE)
    assert load(path) == [0]


async def test_one_who_gives_up_waiting_takes_nobody_along(path: Path) -> None:
    table = Table()
    saver = Saver(path, table.encode)
    impatient, patient = saver.save(), saver.save()
    impatient.cancel()
    await asyncio.wait_for(patient, DEADLINE)
    table.value = 2
    await asyncio.wait_for(saver.save(), DEADLINE)
    assert load(path) == [2]
