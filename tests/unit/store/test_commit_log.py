"""The log's segments by themselves."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.errors import StoreError
from rocket_broker.store.files import File


def filled(folder: Path, segments: float) -> CommitLog:
    log = CommitLog(folder, 1000, 4, logging.getLogger("store"))
    while log.end < segments * 1000:
        log.room(90)
        log.append(b"x" * 90)
    return log


def test_a_segment_is_made_ahead_and_used_when_its_turn_comes(tmp_path: Path) -> None:
    log = filled(tmp_path, 0.5)
    log.reserve_ahead()
    assert len(os.listdir(tmp_path)) == 1
    log = filled(tmp_path / "fuller", 0.8)
    log.reserve_ahead()
    log.reserve_ahead()
    assert sorted(os.listdir(tmp_path / "fuller")) == [f"{0:020d}", f"{1000:020d}"]
    assert os.path.getsize(tmp_path / "fuller" / f"{1000:020d}") == 1000
    assert log.room(500) == 1000


def test_a_segment_made_ahead_and_not_used_is_given_back(tmp_path: Path) -> None:
    log = filled(tmp_path, 0.8)
    log.reserve_ahead()
    log.close()
    assert os.listdir(tmp_path) == [f"{0:020d}"]


def test_a_cut_into_an_earlier_segment_leaves_no_hole_behind(tmp_path: Path) -> None:
    log = filled(tmp_path / "commitlog", 2.9)
    log.reserve_ahead()
    log.cut(450)
    assert os.listdir(tmp_path / "commitlog") == [f"{0:020d}"]
    assert sorted(os.listdir(tmp_path / "commitlog.cut")) == [f"{1000:020d}", f"{2000:020d}"]
    assert (tmp_path / "commitlog" / f"{0:020d}").read_bytes() == (b"x" * 450).ljust(1000, b"\0")
    assert (log.end, log.limit) == (450, 1000)
    while log.end < 2500:
        log.room(90)
        log.append(b"y" * 90)
    again = CommitLog(tmp_path / "commitlog", 1000, 4, logging.getLogger("store"))
    assert again.load() == [0, 1000, 2000]


def test_many_segments_need_few_open_files(tmp_path: Path) -> None:
    log = filled(tmp_path, 30)
    before = len(os.listdir("/proc/self/fd"))
    for position in range(0, 30_000, 1000):
        assert bytes(log.read(position, 90) or b"") == b"x" * 90
    assert len(os.listdir("/proc/self/fd")) <= before + 4


def test_a_read_ends_with_its_segment_and_with_the_log(tmp_path: Path) -> None:
    log = filled(tmp_path, 1.5)
    assert len(log.read(950, 500) or b"") == 50
    assert len(log.read(1000, 5000) or b"") == log.end - 1000
    for position in (-1, log.end, log.end + 1):
        with pytest.raises(StoreError, match="not in the log"):
            log.read(position, 1)


def test_the_rest_of_a_large_segment_is_not_read_to_be_cleared(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    file = File(path, os.O_RDWR | os.O_CREAT)
    file.reserve(64 << 20)
    file.write(0, b"x" * 10_000)
    read = []

    class Watched(File):
        def read(self, start: int, size: int, *, may_block: bool = True) -> bytearray | None:
            read.append(size)
            return super().read(start, size, may_block=may_block)

    Watched(path).clear(5_000)
    assert sum(read) <= 1 << 20
    assert bytes(file.read(0, 10_000) or b"") == b"x" * 5_000 + bytes(5_000)
    assert file.size() == 64 << 20
