"""A start that makes queues and index again, and dies or meets a full disk in the middle: the next is not deceived."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.errors import StoreError
from rocket_broker.store.recovery import Recovery
from rocket_testing.disk_calls import GROWS, DiskCalls


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> DiskCalls:
    return DiskCalls(monkeypatch, tmp_path)


def bodies(stores: Any, store: Any, queue_id: int = 0) -> list[bytes]:
    return [message.body for message in stores.reader(store)("T", queue_id)]


def in_two_queues(store: Any, message: Any) -> None:
    for number in range(60):
        store.put(message(number, queue_id=number % 2))


def are_whole(stores: Any, store: Any) -> bool:
    return all(
        bodies(stores, store, queue) == [b"body %d" % number for number in range(queue, 60, 2)] for queue in (0, 1)
    )


def killed_after(records: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery writes queues out and ends after so many records."""
    dispatch, left = Recovery._dispatch, iter(range(records))

    def counted(recovery: Recovery, *arguments: Any) -> None:
        if next(left, None) is None:
            recovery.dispatcher.queues.write_tails()
            raise Killed
        dispatch(recovery, *arguments)

    monkeypatch.setattr(Recovery, "_dispatch", counted)


def lose_a_queue(root: Path) -> None:
    shutil.rmtree(root / "consumequeue" / "T" / "1")


def lose_all_queues(root: Path) -> None:
    shutil.rmtree(root / "consumequeue")


def lose_the_index(root: Path) -> None:
    shutil.rmtree(root / "index")


def lose_a_file_of_a_queue(root: Path) -> None:
    os.unlink(root / "consumequeue" / "T" / "0" / f"{200:020d}")


@pytest.mark.parametrize("records", [0, 1, 25, 59])
@pytest.mark.parametrize(
    ("lose", "has_index"),
    [
        (lose_all_queues, True),
        (lose_all_queues, False),
        (lose_the_index, True),
        (lose_a_file_of_a_queue, True),
        (lose_a_file_of_a_queue, False),
    ],
)
def test_a_kill_while_queues_are_made_again_leaves_no_half_made_ones(
    stores: Any, message: Any, monkeypatch: pytest.MonkeyPatch, lose: Any, records: int, has_index: bool
) -> None:
    store = stores.open(index_enable=has_index)
    in_two_queues(store, message)
    store.flush()
    copy = stores.killed()
    lose(copy)
    with monkeypatch.context() as patch:
        killed_after(records, patch)
        with pytest.raises(Killed):
            stores.open(copy, index_enable=has_index)
    again = stores.open(copy, index_enable=has_index)
    assert are_whole(stores, again)
    assert all(len(again.query("T", f"U{number}", 9, 0, 1 << 60)) == has_index for number in range(60))
    assert again.put(message(60)).queue_offset == 30


def test_queues_made_again_on_a_full_disk_are_made_once_more(stores: Any, message: Any, disk: DiskCalls) -> None:
    store = stores.open()
    in_two_queues(store, message)
    store.close()
    lose_a_queue(stores.root)
    disk.fail(errno.ENOSPC, names=GROWS)
    assert are_whole(stores, stores.open())
    disk.heal()
    assert are_whole(stores, stores.open(stores.killed()))


@pytest.fixture
def lost_tail(stores: Any, message: Any) -> Path:
    """A killed store that has lost the last ten of thirty messages, of which the checkpoint knows."""
    store = stores.open()
    puts = [store.put(message(number)) for number in range(30)]
    store.flush()
    copy = stores.killed()
    os.truncate(copy / "commitlog" / f"{0:020d}", puts[20].position)
    return copy


@pytest.mark.parametrize("size", [1, 40, 100])
def test_a_log_cut_below_its_checkpoint_on_a_full_disk_keeps_what_comes_then(
    stores: Any, message: Any, disk: DiskCalls, lost_tail: Path, size: int
) -> None:
    disk.fail(errno.ENOSPC, names=GROWS, part="checkpoint", keeps=0)
    again = stores.open(lost_tail)
    assert len(bodies(stores, again)) == 20
    for number in range(20, 45):  # until the log is longer than it was
        again.put(message(number, body=b"x" * size))
    third = stores.open(stores.killed(lost_tail))
    assert len(bodies(stores, third)) == 45
    assert third.put(message(45)).queue_offset == 45


def test_a_log_cut_below_its_checkpoint_goes_on_there(stores: Any, message: Any, lost_tail: Path) -> None:
    again = stores.open(lost_tail)
    for number in range(20, 45):
        again.put(message(number))
    assert len(bodies(stores, stores.open(stores.killed(lost_tail)))) == 45


def test_damage_before_a_lost_tail_costs_one_record(stores: Any, message: Any) -> None:
    store = stores.open()
    puts = [store.put(message(number)) for number in range(30)]
    store.close()
    log = stores.root / "commitlog" / f"{0:020d}"
    with open(log, "r+b") as file:
        file.seek(puts[5].position + 90)
        file.write(b"!")
    os.truncate(log, puts[20].position)
    assert bodies(stores, stores.open()) == [b"body %d" % number for number in range(20) if number != 5]


def test_a_log_that_is_gone_is_not_begun_again_over_what_others_remember(stores: Any, message: Any) -> None:
    store = stores.open()
    store.put(message())
    store.close()
    aside = stores.root / "aside"
    (stores.root / "commitlog").rename(aside)
    with pytest.raises(StoreError, match=r"commitlog holds no segment, but the log had reached 1.*checkpoint to start"):
        stores.open()
    aside.rename(stores.root / "commitlog")
    assert bodies(stores, stores.open()) == [b"body 0"]


def test_a_slave_whose_log_has_no_segment_yet_starts_again(stores: Any) -> None:
    store = stores.open()
    store.reset_to(3 * 8192)
    store.flush()
    assert stores.open(stores.killed()).max_position == 0
