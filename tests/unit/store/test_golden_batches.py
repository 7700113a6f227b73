"""A store that Apache's own broker wrote, with a queue of batches (tests/golden/apache/store-batches)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.store import MessageStore, Outgoing
from rocket_broker.store.tools.findings import Verdict
from rocket_broker.store.tools.summary import summarise
from rocket_broker.store.tools.verify import verify
from rocket_testing import golden_store
from rocket_wire import properties, record
from rocket_wire.inner_batch import BITS, unwrapped
from rocket_wire.record import BatchItem, join_batch

TOPIC = "BatchCqTopic"
SIZES: dict[str, Any] = {
    "segment_size": 65536,
    "queue_file_size": 400,
    "batch_queue_file_size": 460,
    "max_hash_slots": 100,
    "max_index_entries": 400,
}
LISTING = golden_store.listing("store-batches")
ENTRIES = [tuple(entry) for entry in LISTING["batchConsumeQueues"][TOPIC]["0"]]
END = ENTRIES[-1][4] + ENTRIES[-1][5]


@pytest.fixture(params=["whole", "log alone"])
def store(request: Any, stores: Any, tmp_path: Path) -> MessageStore:
    """Ours, opened on Apache's directory, or on its log and what the topics say."""
    kept = ("",) if request.param == "whole" else ("commitlog/", "config/")
    root = golden_store.unpack("store-batches", tmp_path / "golden", lambda member: member.startswith(kept))
    stores.batch_topics.add(TOPIC)
    opened: MessageStore = stores.open(root, **SIZES)
    return opened


def test_its_queue_has_the_offsets_that_apaches_has(store: MessageStore) -> None:
    assert (store.min_offset(TOPIC, 0), store.max_offset(TOPIC, 0)) == (0, END)
    assert store.queue_entries(TOPIC, 0, 0, 1) == [ENTRIES[0][:3]]
    offset, found = 0, []
    while offset < END:
        got = store.get(TOPIC, 0, offset, max_messages=8, max_bytes=1 << 20, tags=None, may_block=True)
        assert got is not None
        found += record.decode_all(got.body)
        offset = got.next_offset
    assert [(each.position, each.size, each.store_timestamp, each.queue_offset) for each in found] == [
        (entry[0], entry[1], entry[3], entry[4]) for entry in ENTRIES
    ]


def test_every_message_is_at_its_offset(store: MessageStore) -> None:
    for number, entry in enumerate(ENTRIES):
        for part in range(entry[5]):
            got = store.get(TOPIC, 0, entry[4] + part, max_messages=1, max_bytes=1, tags=None, may_block=True)
            assert got is not None
            message = unwrapped(record.decode(got.body))[part]
            assert (message.queue_offset, message.body) == (entry[4] + part, b"message %d of %d" % (part, number))
            assert properties.decode(message.properties)["KEYS"] == f"k-{number}-{part}"


def test_the_queue_goes_on_and_nothing_is_damaged(
    store: MessageStore, stores: Any, message: Callable[..., Outgoing], tmp_path: Path
) -> None:
    body = join_batch([BatchItem(b"next", b""), BatchItem(b"and next", b"")])
    assert store.put_batch(message(topic=TOPIC, body=body), 2).queue_offset == END
    store.close()
    report = verify(tmp_path / "golden").report
    assert (report.verdict, report.queue_entries) == (Verdict.WHOLE, len(ENTRIES) + 1)
    [queue] = summarise(tmp_path / "golden").queues
    assert (queue.topic, queue.first, queue.next) == (TOPIC, 0, END + 2)
    assert stores.open(tmp_path / "golden", **SIZES).max_offset(TOPIC, 0) == END + 2


def test_a_queue_made_from_apaches_log_is_byte_for_byte_apaches(stores: Any, tmp_path: Path) -> None:
    stores.batch_topics.add(TOPIC)
    theirs = golden_store.unpack("store-batches", tmp_path / "theirs")
    ours = golden_store.unpack("store-batches", tmp_path / "ours", lambda member: member.startswith("commitlog/"))
    stores.open(ours, **SIZES).close()
    assert files(ours / "batchconsumequeue") == files(theirs / "batchconsumequeue")
    assert len(files(ours / "batchconsumequeue")) == 3


def test_our_record_of_a_batch_says_what_apaches_says(store: MessageStore, message: Callable[..., Outgoing]) -> None:
    (theirs,) = [each for each in LISTING["records"] if each["queueOffset"] == ENTRIES[3][4]]
    assert (theirs["sysFlag"], theirs["properties"]["INNER_NUM"]) == (BITS, str(ENTRIES[3][5]))
    given = {name: value for name, value in theirs["properties"].items() if not name.startswith("INNER_")}
    body = record.decode(store.look_up(theirs["commitLogOffset"]) or b"").body
    put = store.put_batch(message(topic=TOPIC, body=body, properties=properties.encode(given)), ENTRIES[3][5])
    ours = record.decode(store.look_up(put.position) or b"")
    assert (ours.sys_flag, ours.body) == (theirs["sysFlag"], body)
    assert properties.decode(ours.properties) == theirs["properties"] | {"INNER_BASE": str(END)}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
