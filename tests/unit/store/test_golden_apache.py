"""Store directories that Apache's own broker wrote (tests/golden/apache) open here, and everything in them is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.store import MessageStore
from rocket_testing import golden_store
from rocket_wire import compression, message_id, properties, record

# fmt: off
SIZES: dict[str, Any] = {
    "segment_size": 65536,
    "queue_file_size": 400,
    "max_hash_slots": 100,
    "max_index_entries": 400,
    "delay_levels": (
        1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000, 480_000, 540_000,
        600_000, 1_200_000, 1_800_000, 3_600_000, 7_200_000,
    ),
}
# fmt: on


@pytest.fixture(params=["store-clean", "store-killed", "log-alone"])
def golden(request: Any, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A directory and its listing."""
    is_alone = request.param == "log-alone"
    name = "store-killed" if is_alone else request.param
    root = golden_store.unpack(
        name, tmp_path / "apache", lambda member: not is_alone or member.startswith("commitlog/")
    )
    return root, golden_store.listing(name)


def queue(store: MessageStore, topic: str, queue_id: int) -> list[record.Message]:
    messages: list[record.Message] = []
    while len(messages) < store.max_offset(topic, queue_id):
        got = store.get(topic, queue_id, len(messages), max_messages=32, max_bytes=1 << 20, tags=None, may_block=True)
        assert got is not None
        assert got.count
        messages += record.decode_all(got.body)
    return messages


def test_every_record_is_read_as_apache_reads_it(golden: tuple[Path, dict[str, Any]], stores: Any) -> None:
    root, listing = golden
    store = stores.open(root, **SIZES)
    for wanted in listing["records"]:
        content = store.look_up(wanted["commitLogOffset"])
        message = record.decode(content)
        assert content[4:8].hex() == wanted["magic"]
        assert properties.decode(message.properties) == wanted["properties"]
        assert message_id.offset_message_id(message.store_host, message.position) == wanted["msgId"]
        body = compression.decompress(message.body, message.sys_flag)
        assert (len(message.body), len(body)) == (wanted["storedBodyLength"], wanted["bodyLength"])
        assert body.decode().startswith(wanted["bodyStart"])
        address, port = record.decode_host(message.store_host)
        assert f"{address}:{port}" == wanted["storeHost"]
        assert record.decode_host(message.born_host)[0] == wanted["bornHost"]
        assert (message.size, message.crc, message.topic, message.queue_id, message.queue_offset) == (
            wanted["size"], wanted["bodyCrc"], wanted["topic"], wanted["queueId"], wanted["queueOffset"],
        )  # fmt: skip
        assert (message.sys_flag, message.flag, message.born_timestamp, message.store_timestamp) == (
            wanted["sysFlag"], wanted["flag"], wanted["bornTimestamp"], wanted["storeTimestamp"],
        )  # fmt: skip
        assert (message.reconsume_times, message.prepared_transaction_offset) == (
            wanted["reconsumeTimes"], wanted["preparedTransactionOffset"],
        )  # fmt: skip


def test_records_are_encoded_as_apache_encodes_them(golden: tuple[Path, dict[str, Any]], stores: Any) -> None:
    root, listing = golden
    store = stores.open(root, **SIZES)
    for wanted in listing["records"]:
        content = store.look_up(wanted["commitLogOffset"])
        assert record.encode(record.decode(content)) == content


def test_every_queue_has_its_entries(golden: tuple[Path, dict[str, Any]], stores: Any) -> None:
    root, listing = golden
    store = stores.open(root, **SIZES)
    wanted = {
        (topic, int(queue_id)): [tuple(entry) for entry in entries]
        for topic, queues in listing["consumeQueues"].items()
        for queue_id, entries in queues.items()
    }
    assert set(store.queues()) == set(wanted)
    for (topic, queue_id), entries in wanted.items():
        found: list[tuple[int, int, int]] = []
        while len(found) < store.max_offset(topic, queue_id):
            found += store.queue_entries(topic, queue_id, len(found), 100)
        assert found == entries
        assert [message.position for message in queue(store, topic, queue_id)] == [entry[0] for entry in entries]


def test_every_message_is_found_by_its_keys(golden: tuple[Path, dict[str, Any]], stores: Any) -> None:
    root, listing = golden
    store = stores.open(root, **SIZES)
    for wanted in listing["records"]:
        names = wanted["properties"]
        for key in [names["UNIQ_KEY"], *names.get("KEYS", "").split()]:
            found = store.query(wanted["topic"], key, 500, 0, 1 << 60)
            assert wanted["commitLogOffset"] in [record.decode(content).position for content in found]
            assert len(found) == len(set(found))


def test_the_log_goes_on_where_it_ended(golden: tuple[Path, dict[str, Any]], stores: Any, message: Any) -> None:
    root, listing = golden
    store = stores.open(root, **SIZES)
    last = listing["records"][-1]
    end = last["commitLogOffset"] + last["size"]
    assert store.max_position == end
    for topic, queues in listing["consumeQueues"].items():
        for queue_id, entries in queues.items():
            assert store.put(message(topic=topic, queue_id=int(queue_id))).queue_offset == len(entries)
    store.close()
    again = stores.open(root, **SIZES)
    assert again.max_position > end
    for topic, queues in listing["consumeQueues"].items():
        for queue_id, entries in queues.items():
            assert len(queue(again, topic, int(queue_id))) == len(entries) + 1


def test_queues_made_from_apaches_log_are_byte_for_byte_apaches(made_anew: tuple[Path, Path]) -> None:
    ours, theirs = made_anew
    assert files(ours / "consumequeue") == files(theirs / "consumequeue")


@pytest.mark.skipif(golden_store.INDEXES_TAGS, reason="brokers from 5.4.0 on index tags, which ours does not")
def test_the_index_made_from_apaches_log_is_byte_for_byte_apaches(made_anew: tuple[Path, Path]) -> None:
    ours, theirs = made_anew
    first, second = files(ours / "index").values()
    their_first, their_second = files(theirs / "index").values()
    assert first == their_first
    assert (second[:40], second[460:]) == (their_second[:40], their_second[460:])


@pytest.fixture
def made_anew(stores: Any, tmp_path: Path) -> tuple[Path, Path]:
    """What our broker makes of a log of Apache's alone, and the whole directory as Apache's left it."""
    theirs = golden_store.unpack("store-killed", tmp_path / "theirs")
    ours = golden_store.unpack("store-killed", tmp_path / "ours", lambda member: member.startswith("commitlog/"))
    stores.open(ours, **SIZES).close()
    return ours, theirs


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
