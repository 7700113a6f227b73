"""The machine loses power, and with it every file and folder whose name was not synced: SYNC_FLUSH loses nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rocket_testing.power import Machine

LATER = 1 << 40  # no checkpoint but the one at the start


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(monkeypatch, tmp_path)
    yield machine
    machine.close()


def bodies(stores: Any, store: Any, topic: str = "T", queue_id: int = 0) -> list[bytes]:
    return [message.body for message in stores.reader(store)(topic, queue_id)]


@pytest.mark.parametrize("interval", [0, LATER])
def test_the_first_messages_of_a_new_store_survive(
    stores: Any, message: Any, machine: Machine, interval: int, tmp_path: Path
) -> None:
    root = tmp_path / "new"
    store = stores.open(root, checkpoint_interval=interval)
    for number in range(3):
        store.put(message(number))
        store.sync_log()
        if number == 1:
            store.flush()
    again = stores.open(machine.lose_power(root, tmp_path / "after"))
    assert bodies(stores, again) == [b"body 0", b"body 1", b"body 2"]


def test_a_store_in_folders_that_are_new_themselves_survives(
    stores: Any, message: Any, machine: Machine, tmp_path: Path
) -> None:
    log = tmp_path / "logs" / "of" / "broker" / "commitlog"
    store = stores.open(tmp_path / "stores" / "of" / "broker", commitlog_path=log)
    store.put(message(0))
    store.sync_log()
    after = machine.lose_power(tmp_path / "stores", tmp_path / "after")
    logs = machine.lose_power(tmp_path / "logs", tmp_path / "logs-after")
    again = stores.open(after / "of" / "broker", commitlog_path=logs / "of" / "broker" / "commitlog")
    assert bodies(stores, again) == [b"body 0"]


@pytest.mark.parametrize("has_index", [True, False])
def test_what_the_checkpoint_knows_is_there_in_queues_and_index(
    stores: Any, message: Any, machine: Machine, has_index: bool
) -> None:
    store = stores.open(checkpoint_interval=0, index_enable=has_index)
    for number in range(120):
        store.put(message(number, topic=f"T{number % 5}", queue_id=number % 2))
        if number % 7 == 0:
            store.flush()
    store.flush()
    again = stores.open(
        machine.lose_power(stores.root, stores.root.with_name("after")), checkpoint_interval=0, index_enable=has_index
    )
    found = [body for topic in range(5) for queue in range(2) for body in bodies(stores, again, f"T{topic}", queue)]
    assert sorted(found) == sorted(b"body %d" % number for number in range(120))
    assert all(len(again.query(f"T{n % 5}", f"U{n}", 9, 0, 1 << 60)) == has_index for n in range(120))


def test_files_that_a_killed_process_made_are_synced_by_the_next(stores: Any, message: Any, machine: Machine) -> None:
    store = stores.open(checkpoint_interval=LATER)
    for number in range(40):
        store.put(message(number))
    store.flush()  # writes the queue's files, and no checkpoint that would sync them
    again = stores.open(stores.killed(), checkpoint_interval=0)
    after = machine.lose_power(again._settings.root, stores.root.with_name("after"))
    assert len(bodies(stores, stores.open(after))) == 40


def test_a_deleted_topic_does_not_come_back(stores: Any, message: Any, machine: Machine) -> None:
    store = stores.open()
    for number in range(63):
        store.put(message(number))
        store.put(message(number, topic="Other"))
    store.flush()
    store.delete_topic("T")
    store.put(message(63, topic="Other"))
    store.flush()
    again = stores.open(machine.lose_power(stores.root, stores.root.with_name("after")))
    assert again.queues() == [("Other", 0)]
    assert len(bodies(stores, again, "Other")) == 64


@pytest.mark.parametrize("seed", range(6))
def test_expired_segments_that_come_back_leave_no_hole(
    stores: Any, message: Any, machine: Machine, clock: Any, seed: int
) -> None:
    store = stores.open(delete_when=tuple(range(24)))
    for number in range(700):
        store.put(message(number))
    store.flush()
    clock.now += 100 * 3_600_000
    store.put(message(700))
    store.flush()
    assert store.delete_expired(clock.now) > 4
    after = machine.lose_power(stores.root, stores.root.with_name("after"), random.Random(seed))
    again = stores.open(after)
    read = stores.reader(again)()
    assert read[-1].body == b"body 700"
    assert [message.queue_offset for message in read] == list(range(read[0].queue_offset, 701))
