"""Queues of batches, verified, repaired, listed and searched for offsets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.store import Outgoing
from rocket_broker.store.tools.dump import Wish, messages
from rocket_broker.store.tools.findings import Verdict
from rocket_broker.store.tools.repair import Repair
from rocket_broker.store.tools.summary import summarise
from rocket_broker.store.tools.verify import verify
from rocket_testing.batch_store import COUNT, SIZES, Batches, check_all, files


@pytest.fixture
def batches(message: Callable[..., Outgoing], stores: Any) -> Batches:
    """In a store that was stopped."""
    stores.batch_topics.add("T")
    batches = Batches(message)
    store = stores.open()
    batches.put_all(store)
    store.put(message(topic="Other"))
    store.close()
    return batches


def test_a_whole_store_has_as_many_entries_as_records(stores: Any, batches: Batches) -> None:
    report = verify(stores.root).report
    assert report.verdict is Verdict.WHOLE
    assert (report.records, report.queues, report.queue_entries) == (len(SIZES) + 1, 2, len(SIZES) + 1)


def test_a_summary_tells_offsets_of_messages(stores: Any, batches: Batches) -> None:
    queues = {queue.topic: (queue.first, queue.next, queue.files) for queue in summarise(stores.root).queues}
    assert queues == {"T": (0, COUNT, 3), "Other": (0, 1, 1)}


def test_records_are_found_by_the_offset_of_their_first_message(stores: Any, batches: Batches) -> None:
    found = messages(stores.root, Wish(topic="T", queue=0, first_offset=30))
    assert [message.queue_offset for message in found] == [31, 32, 34, 36, 43, 44, 45]


@pytest.mark.parametrize(
    ("at", "content", "what"),
    [
        (0, bytes(46), "offsets are missing in the middle of a queue"),
        (46 + 8, b"\0\0\0\x09", "records have no entry in their queue"),
        (46 + 20, b"\1", "records have no entry in their queue"),
        (46 + 28 + 7, b"\x09", "offsets are missing in the middle of a queue"),
        (46 + 36, b"\0\2", "offsets are missing in the middle of a queue"),
    ],
    ids=["no entry", "size", "store time", "first offset", "messages"],
)
def test_an_entry_that_is_not_its_records_is_damage_and_is_repaired(
    stores: Any, batches: Batches, at: int, content: bytes, what: str
) -> None:
    path: Path = files(stores.root)[1]
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + content + whole[at + len(content) :])
    report = verify(stores.root).report
    assert report.verdict is Verdict.DAMAGED
    assert what in [finding.what for finding in report.findings] or at == 0
    repair = Repair(stores.root, now_ms=stores.clock.now)
    assert any("queue T/0" in step.text for step in repair.steps)
    repair.run()
    repair.close()
    check_all(stores.open(), batches.bodies)
