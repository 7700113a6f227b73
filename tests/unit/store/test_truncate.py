"""A slave drops what its new master never had: log, queues and index are as if it had never come."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.consume_queue import ConsumeQueue


@pytest.fixture(params=[0, 1 << 40], ids=["checkpoints", "no checkpoint"])
def store(request: pytest.FixtureRequest, stores: Any, message: Any) -> Any:
    """Sixty messages in two queues, more than a segment, a queue file and an index file each."""
    store = stores.open(checkpoint_interval=request.param)
    put(store, message, range(60))
    store.flush()
    return store


def put(store: Any, message: Any, numbers: Any) -> list[Any]:
    return [store.put(message(number, queue_id=number % 2)) for number in numbers]


def positions(store: Any) -> list[int]:
    return sorted(store.queue_entries("T", queue, offset, 1)[0][0] for queue in (0, 1) for offset in range(30))


@pytest.mark.parametrize("kept", [0, 1, 2, 29, 30, 58, 59, 60])
def test_what_is_kept_is_read_and_what_is_cut_is_gone(stores: Any, store: Any, kept: int) -> None:
    store.truncate([*positions(store), store.max_position][kept])
    read = stores.reader(store)
    assert sorted(found.body for queue in (0, 1) for found in read("T", queue)) == sorted(
        b"body %d" % number for number in range(kept)
    )
    for number in range(60):
        assert len(store.query("T", f"U{number}", 9, 0, 1 << 60)) == (number < kept)


@pytest.mark.parametrize("kept", [0, 1, 30, 59])
def test_other_messages_take_their_place(stores: Any, store: Any, message: Any, kept: int) -> None:
    store.truncate(positions(store)[kept])
    puts = put(store, message, range(100, 140))
    assert puts[0].queue_offset == (kept + 1) // 2
    for number in [*range(kept), *range(100, 140)]:
        assert len(store.query("T", f"U{number}", 9, 0, 1 << 60)) == 1, number
    copy = stores.killed()
    again = stores.open(copy)
    assert stores.reader(again)("T", 0) == stores.reader(store)("T", 0)
    assert again.max_position == store.max_position


@pytest.mark.parametrize("kept", [0, 1, 30, 59])
def test_a_process_killed_just_after_starts_with_what_was_kept(stores: Any, store: Any, kept: int) -> None:
    end = positions(store)[kept]
    store.truncate(end)
    again = stores.open(stores.killed())
    assert again.max_position == end
    assert stores.reader(again)("T", 0) == stores.reader(store)("T", 0)
    assert stores.reader(again)("T", 1) == stores.reader(store)("T", 1)


def test_a_sync_that_began_before_says_nothing_of_what_comes_after(stores: Any, store: Any, message: Any) -> None:
    log = store._log
    cut = positions(store)[30]
    put(store, message, range(60, 62))
    began = log.file(log.base_of(log.end)).sync

    class Cutting:
        """A file whose sync takes so long that the log is cut meanwhile."""

        def sync(self) -> None:
            began()
            store.truncate(cut)
            put(store, message, range(100, 150))

    whole = log.file
    log.file = lambda base: Cutting()
    try:
        log.sync()
    finally:
        log.file = whole
    assert store.flushed_position <= cut


def test_a_killed_slave_can_be_truncated_in_the_middle_of_anything(
    stores: Any, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies of the folder between any two steps start, with a log that is whole or cut."""
    end, cut = store.max_position, positions(store)[20]
    copies: list[Path] = []

    def after(function: Any) -> Any:
        def call(*arguments: Any) -> Any:
            result = function(*arguments)
            copies.append(tmp_path / f"copy-{len(copies)}")
            shutil.copytree(stores.root, copies[-1])
            return result

        return call

    store._index.cut = after(store._index.cut)
    monkeypatch.setattr(ConsumeQueue, "truncate", after(ConsumeQueue.truncate))
    store._deletions.end_at = after(store._deletions.end_at)
    store.truncate(cut)
    assert len(copies) == 4
    for copy in copies:
        again = stores.open(copy)
        assert again.max_position == end
        assert len(stores.reader(again)("T", 0)) == len(stores.reader(again)("T", 1)) == 30
