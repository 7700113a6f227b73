"""A topic is deleted while the disk refuses, or just before a kill: it is gone whole, or it is still there whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.errors import StoreError
from rocket_testing.disk_calls import DiskCalls


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
    assert not [name for name in os.listdir(third) if "deleted" in name]


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
