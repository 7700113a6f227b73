"""A topic is deleted while the disk refuses, or just before a kill: it is gone whole, or it is still there whole."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.errors import StoreError
from rocket_broker.store.tools.findings import Verdict
from rocket_broker.store.tools.verify import verify
from rocket_testing.disk_calls import WRITES, DiskCalls


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DiskCalls]:
    disk = DiskCalls(monkeypatch, tmp_path)
    yield disk
    disk.heal()


def fill(store: Any, message: Any, count: int = 55) -> None:
    for number in range(count):
        store.put(message(number))
        store.put(message(number, topic="Other"))


def bodies(stores: Any, store: Any, topic: str = "T") -> list[bytes]:
    return [message.body for message in stores.reader(store)(topic)]


@pytest.mark.parametrize("part", ["/0/00000000000000000000", "/0/00000000000000000200", "/0/"])
def test_a_topic_whose_files_cannot_be_unlinked_is_gone_and_can_be_made_again(
    stores: Any, message: Any, disk: DiskCalls, part: str
) -> None:
    store = stores.open()
    fill(store, message)
    store.flush()
    disk.fail(errno.EIO, names=["unlink"], part=part)
    store.delete_topic("T")
    assert store.queues() == [("Other", 0)]
    for number in range(3):
        assert store.put(message(number, body=b"new %d" % number)).queue_offset == number
    store.flush()
    again = stores.open(stores.killed())
    assert bodies(stores, again) == [b"new 0", b"new 1", b"new 2"]
    assert len(bodies(stores, again, "Other")) == 55
    disk.heal()
    third = stores.killed()
    stores.open(third)
    assert not [name for name in os.listdir(third) if "deleted" in name and name != "deletedTopics"]


def test_a_topic_whose_folder_cannot_be_moved_stays_whole(stores: Any, message: Any, disk: DiskCalls) -> None:
    store = stores.open()
    fill(store, message)
    store.flush()
    disk.fail(errno.EROFS, names=["rename"])
    with pytest.raises(StoreError, match="cannot delete the queues of topic T: Read-only"):
        store.delete_topic("T")
    disk.heal()
    assert len(bodies(stores, store)) == 55
    assert len(bodies(stores, stores.open(stores.killed()))) == 55


def test_a_topic_deleted_just_before_a_kill_does_not_come_back(
    stores: Any, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    fill(store, message)
    store.delete_topic("T")
    store.flush()
    again = stores.open(stores.killed())
    assert again.queues() == [("Other", 0)]
    assert "whole log" not in caplog.text


def without_queues(root: Path) -> Path:
    """As somebody leaves it who wants queues and index made again."""
    shutil.rmtree(root / "consumequeue")
    return root


def test_a_deleted_topic_does_not_come_back_when_the_whole_log_is_read_again(stores: Any, message: Any) -> None:
    store = stores.open()
    fill(store, message)
    store.delete_topic("T")
    store.put(message(0, topic="Other"))
    store.flush()
    again = stores.open(without_queues(stores.killed()))
    assert again.queues() == [("Other", 0)]
    assert len(bodies(stores, again, "Other")) == 56
    assert len(again.query("Other", "U7", 10, 0, 1 << 62)) == 1
    again.close()
    (again._settings.root / "config").mkdir()
    (again._settings.root / "config" / "topics.json").write_text('{"topicConfigTable":{"Other":{"topicName":"Other"}}}')
    report = verify(again._settings.root).report
    assert (report.verdict, report.deleted_records) == (Verdict.WHOLE, 55), report.findings


def test_a_topic_that_was_made_again_has_only_what_came_since(stores: Any, message: Any) -> None:
    store = stores.open()
    fill(store, message)
    store.delete_topic("T")
    for number in range(3):
        store.put(message(number, body=b"new %d" % number))
    store.flush()
    again = stores.open(without_queues(stores.killed()))
    assert bodies(stores, again) == [b"new 0", b"new 1", b"new 2"]
    assert again.put(message(3)).queue_offset == 3


def test_of_a_copied_log_alone_every_topic_comes_back(stores: Any, message: Any, tmp_path: Path) -> None:
    store = stores.open()
    fill(store, message)
    store.delete_topic("T")
    shutil.copytree(stores.killed() / "commitlog", tmp_path / "copy" / "commitlog")
    assert len(bodies(stores, stores.open(tmp_path / "copy"))) == 55


def test_a_note_of_deletions_that_is_damaged_loses_no_message(
    stores: Any, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores.open()
    fill(store, message)
    store.delete_topic("T")
    store.flush()
    root = without_queues(stores.killed())
    content = (root / "deletedTopics").read_bytes()
    for end in range(len(content)):
        (root / "deletedTopics").write_bytes(content[:end])
        again = stores.open(without_queues(root) if end else root)
        assert len(bodies(stores, again, "Other")) == len(bodies(stores, again)) == 55
        again.close()
    assert "deletedTopics is ignored" in caplog.text


def test_a_topic_can_be_deleted_where_there_is_no_room_to_note_it(
    stores: Any, message: Any, disk: DiskCalls, caplog: pytest.LogCaptureFixture
) -> None:
    store = stores.open()
    fill(store, message)
    disk.fail(errno.ENOSPC, names=WRITES, part="deletedTopics")
    store.delete_topic("T")
    disk.heal()
    assert store.queues() == [("Other", 0)]
    assert "no room to note that topic T is deleted" in caplog.text


def test_a_log_that_begins_anew_loses_nothing_to_a_note_of_the_one_before(stores: Any, message: Any) -> None:
    """Somebody took the messages away and left the rest of the folder."""
    store = stores.open()
    fill(store, message)
    store.delete_topic("T")
    store.close()
    for name in ("commitlog", "consumequeue", "index"):
        shutil.rmtree(stores.root / name)
    (stores.root / "checkpoint").unlink()
    again = stores.open()
    fill(again, message, 20)
    again.flush()
    third = stores.open(without_queues(stores.killed()))
    assert len(bodies(stores, third)) == len(bodies(stores, third, "Other")) == 20


@pytest.mark.parametrize("no_room", [False, True])
def test_a_log_that_lost_its_end_loses_nothing_of_what_comes_after_to_a_note(
    stores: Any, message: Any, disk: DiskCalls, no_room: bool
) -> None:
    """The machine lost power after the deletion was noted, and before the messages before it were synced."""
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(20):
        put = store.put(message(number))
    fill(store, message, 10)
    store.delete_topic("T")
    root = stores.killed()
    log = root / "commitlog" / f"{0:020d}"
    log.write_bytes(log.read_bytes()[: put.end].ljust(8192, b"\0"))
    if no_room:
        disk.fail(errno.ENOSPC, names=WRITES, part="deletedTopics")
    again = stores.open(root)
    disk.heal()
    for number in range(7):
        again.put(message(number, body=b"since %d" % number))
    again.flush()
    third = stores.open(without_queues(stores.killed(root)))
    assert bodies(stores, third)[-7:] == [b"since %d" % number for number in range(7)]


def test_a_note_goes_when_the_log_has_nothing_from_before(stores: Any, message: Any) -> None:
    store = stores.open(reserved_hours=1)
    fill(store, message, 5)
    store.delete_topic("T")
    fill(store, message)
    stores.clock.now += 2 * 3_600_000
    assert store.delete_expired(stores.clock.now, at_any_hour=True) > 0
    store.delete_topic("Other")
    assert list(json.loads((stores.root / "deletedTopics").read_bytes())) == ["Other"]
