"""Deleting what has expired on a disk that refuses, or in a process that dies: no hole, and nothing needed goes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store import checkpoint
from rocket_broker.store.settings import Retention
from rocket_testing.disk_calls import GROWS, DiskCalls

ALWAYS = tuple(range(24))
SEGMENT = 8192
YEAR = 365 * 24 * 3_600_000


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DiskCalls]:
    disk = DiskCalls(monkeypatch, tmp_path)
    yield disk
    disk.heal()


def filled(stores: Any, message: Any, **changes: Any) -> Any:
    store = stores.open(delete_when=ALWAYS, **changes)
    for number in range(400):
        store.put(message(number))
    return store


def is_dense_to_the_end(stores: Any, store: Any) -> bool:
    read = stores.reader(store)()
    assert read[-1].body == b"body 399"
    return [message.queue_offset for message in read] == list(range(read[0].queue_offset, 400))


@pytest.mark.parametrize("refused", [0, 2 * SEGMENT])
def test_an_expired_segment_that_cannot_be_deleted_stays_and_is_the_first_to_go(
    stores: Any, message: Any, disk: DiskCalls, caplog: pytest.LogCaptureFixture, clock: Any, refused: int
) -> None:
    store = filled(stores, message)
    store.flush()
    clock.now += YEAR
    disk.fail(errno.EROFS, names=["unlink"], part=f"commitlog/{refused:020d}")
    for _ in range(3):
        store.delete_expired(clock.now)
    assert store.min_position == refused
    assert sorted(os.listdir(stores.root / "commitlog"))[0] == f"{refused:020d}"
    told = [line.message for line in caplog.records if "expired messages cannot be deleted" in line.message]
    assert len(told) == 1
    assert told[0].endswith("; trying on")
    assert is_dense_to_the_end(stores, stores.open(stores.killed()))
    disk.heal()
    assert store.delete_expired(clock.now) > 0
    assert store.min_position > refused
    assert is_dense_to_the_end(stores, store)


@pytest.mark.parametrize("part", ["consumequeue", "index"])
def test_files_of_queues_and_index_that_cannot_be_deleted_go_with_the_next_ones(
    stores: Any, message: Any, disk: DiskCalls, clock: Any, part: str
) -> None:
    store = filled(stores, message)
    store.flush()
    before = len(os.listdir(stores.root / "index"))
    clock.now += YEAR
    disk.fail(errno.EROFS, names=["unlink"], part=f"/{part}/")
    assert store.delete_expired(clock.now) > 0
    assert is_dense_to_the_end(stores, store)
    copy = stores.killed()
    assert is_dense_to_the_end(stores, stores.open(copy))
    disk.heal()
    again = stores.open(stores.killed(copy), delete_when=ALWAYS)
    assert is_dense_to_the_end(stores, again)
    assert min(map(int, os.listdir(again._settings.root / "consumequeue" / "T" / "0"))) > 0
    for number in range(400):
        again.put(message(number))
    again.flush()
    assert again.delete_expired(clock.now + YEAR) > 0
    assert len(os.listdir(again._settings.root / "index")) < before


def test_nothing_goes_that_the_next_start_would_have_to_read(stores: Any, message: Any, clock: Any) -> None:
    store = filled(stores, message, checkpoint_interval=1 << 40)
    clock.now += YEAR
    assert store.delete_expired(clock.now) > 0
    state = checkpoint.load(stores.root / "checkpoint")
    assert state.position is not None
    assert state.position >= store.min_position
    again = stores.open(stores.killed())
    assert (again.min_position, again.min_offset("T", 0)) == (store.min_position, store.min_offset("T", 0))
    assert is_dense_to_the_end(stores, again)


def test_nothing_goes_while_the_checkpoint_cannot_move(stores: Any, message: Any, clock: Any, disk: DiskCalls) -> None:
    store = filled(stores, message, checkpoint_interval=1 << 40)
    clock.now += YEAR
    disk.fail(errno.ENOSPC, names=GROWS, part="consumequeue")
    assert store.delete_expired(clock.now) == 0
    disk.heal()
    assert store.delete_expired(clock.now) > 0


def test_a_disk_that_does_not_say_how_full_it_is_is_asked_again(
    stores: Any, message: Any, clock: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = filled(stores, message)
    store.cleaner.keep = Retention(reserved_hours=1, delete_when=(), max_used_ratio=0.0)
    with monkeypatch.context() as patch:

        def ill(folder: Path) -> None:
            raise OSError(errno.EIO, "Input/output error")

        patch.setattr("shutil.disk_usage", ill)
        assert store.delete_expired(clock.now + YEAR) == 0
        assert "expired messages cannot be deleted" in caplog.text
    assert store.delete_expired(clock.now + YEAR) > 0
