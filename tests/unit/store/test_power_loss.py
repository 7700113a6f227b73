"""The machine loses power: of each file only what was synced is there afterwards, or any mixture with what was not."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store import checkpoint
from rocket_broker.store.commit_log import CommitLog
from rocket_broker.store.files import File


class Machine:
    """Remembers what each file held when it was last synced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.durable: dict[str, bytes] = {}
        sync = File.sync

        def remembering_sync(file: File) -> None:
            sync(file)
            self.durable[file.path] = Path(file.path).read_bytes()

        monkeypatch.setattr(File, "sync", remembering_sync)

    def lose_power(self, root: Path, copy: Path, chance: random.Random | None = None) -> Path:
        """A copy of `root` as the disk has it. With `chance`, some pages of 512 bytes were written out nevertheless."""
        shutil.copytree(root, copy)
        for path in copy.rglob("*"):
            original = root / path.relative_to(copy)
            if not path.is_file() or path.name in ("lock", "abort"):
                continue
            durable = self.durable.get(str(original))
            if durable is None and (chance is None or chance.random() < 0.5):
                path.unlink()
            else:
                path.write_bytes(self._mixed(durable or b"", path.read_bytes(), chance))
        return copy

    def _mixed(self, durable: bytes, current: bytes, chance: random.Random | None) -> bytes:
        durable = durable.ljust(len(current), b"\0")
        if chance is None:
            return durable
        pages = range(0, len(current), 512)
        return b"".join((current if chance.random() < 0.5 else durable)[at : at + 512] for at in pages)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.mark.parametrize("interval", [0, 1 << 40])
def test_what_was_synced_survives_and_nothing_is_invented(
    stores: Any, message: Any, machine: Machine, interval: int
) -> None:
    store = stores.open(checkpoint_interval=interval)
    for number in range(150):
        store.put(message(number, queue_id=number % 2))
        if number % 40 == 39:
            store.flush()
            synced = number + 1
    copy = machine.lose_power(stores.root, stores.root.with_name("after"))
    again = stores.open(copy)
    for queue in (0, 1):
        bodies = [stored.body for stored in stores.reader(again)("T", queue)]
        assert bodies == [b"body %d" % number for number in range(queue, synced, 2)]
    for number in range(synced):
        assert len(again.query("T", f"U{number}", 9, 0, 1 << 60)) == 1


@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 108))])
def test_pages_written_in_any_order_leave_at_least_what_was_synced(
    stores: Any, message: Any, machine: Machine, seed: int
) -> None:
    chance = random.Random(seed)
    store = stores.open(checkpoint_interval=chance.choice([0, 1 << 40]))
    synced = 0
    for number in range(120):
        store.put(message(number, body=b"%d" % number * chance.randint(1, 60)))
        if chance.random() < 0.05:
            store.flush()
            synced = number + 1
        elif chance.random() < 0.05:
            store.sync_log()
            synced = number + 1
    if chance.random() < 0.5:  # it was about to sync the index
        for file in store._index.files:
            file._pages.write(file.take_changed())
    again = stores.open(machine.lose_power(stores.root, stores.root.with_name("after"), chance))
    read = stores.reader(again)()
    assert len(read) >= synced
    assert [stored.queue_offset for stored in read] == list(range(len(read)))
    assert all(stored.body.startswith(b"%d" % number) for number, stored in enumerate(read))
    for number in range(len(read)):
        assert len(again.query("T", f"U{number}", 9, 0, 1 << 60)) == 1
    assert again.put(message(1000)).queue_offset == len(read)
    third = stores.open(stores.killed(again._settings.root))
    assert len(stores.reader(third)()) == len(read) + 1


def test_a_synced_message_is_durable_without_a_checkpoint(stores: Any, message: Any, machine: Machine) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(100):
        put = store.put(message(number))
        assert store.sync_log() == put.position + put.size == store.flushed_position
    again = stores.open(machine.lose_power(stores.root, stores.root.with_name("after")))
    assert len(stores.reader(again)()) == 100


def test_what_a_killed_process_left_unsynced_is_synced_by_the_next(stores: Any, message: Any, machine: Machine) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(200):
        store.put(message(number))
    copy = stores.killed()
    stores.open(copy)
    third = stores.open(machine.lose_power(copy, stores.root.with_name("after")))
    assert len(stores.reader(third)()) == 200


def test_a_checkpoint_does_not_speak_of_what_was_put_while_it_was_made(
    stores: Any, message: Any, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stores.open(checkpoint_interval=0)
    sync = CommitLog.sync

    def put_after_sync(log: CommitLog) -> int:
        flushed = sync(log)
        store.put(message(99))
        return flushed

    store.put(message(0))
    monkeypatch.setattr(CommitLog, "sync", put_after_sync)
    store.flush()
    monkeypatch.undo()
    state = checkpoint.load(stores.root / "checkpoint")
    assert state.position == store.flushed_position < store.max_position
