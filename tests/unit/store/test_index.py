"""Queries by key: everything appended is found, over files and restarts, and nothing else is."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.index import BATCH, Index
from rocket_broker.store.index_file import IndexFile
from rocket_wire import record
from rocket_wire.hashing import string_hash

FOREVER = (0, 1 << 60)


def found(
    store: Any, key: str, *, topic: str = "T", limit: int = 32, begin: int = 0, end: int = 1 << 60
) -> list[bytes]:
    return [record.decode(content).body for content in store.query(topic, key, limit, begin, end)]


def test_a_message_is_found_by_unique_key_and_by_each_of_its_keys(stores: Any, message: Any) -> None:
    store = stores.open()
    store.put(message(1, properties=b"KEYS\x01order-1 customer-7\x02UNIQ_KEY\x01AC11\x02"))
    for key in ("order-1", "customer-7", "AC11"):
        assert found(store, key) == [b"body 1"]
    for key in ("order", "order-1 customer-7", "ac11", ""):
        assert found(store, key) == []
    assert found(store, "AC11", topic="Other") == []


def test_every_put_is_found_at_once_over_many_files_newest_first(stores: Any, message: Any) -> None:
    store = stores.open()
    for number in range(200):
        store.put(message(number, properties=b"UNIQ_KEY\x01U%d\x02KEYS\x01K%d\x02" % (number, number % 5)))
        assert found(store, f"U{number}") == [b"body %d" % number]
    assert len(list((stores.root / "index").iterdir())) > 3
    assert found(store, "K3") == [b"body %d" % number for number in range(198, 40, -5)]
    assert found(store, "K3", limit=2) == [b"body 198", b"body 193"]


def test_a_query_keeps_to_its_time_range(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open()
    start = clock.now
    for number in range(40):
        clock.now = start + number * 700
        store.put(message(number, properties=b"KEYS\x01K\x02"))
    for begin, end in ((0, 0), (3, 3), (5, 9), (38, 39)):
        wanted = [b"body %d" % number for number in range(end, begin - 1, -1)]
        assert found(store, "K", begin=start + begin * 700, end=start + end * 700) == wanted
    assert found(store, "K", begin=start + 1, end=start + 699) == []


def test_a_rolled_back_message_is_not_found_and_a_prepared_one_is(stores: Any, message: Any) -> None:
    store = stores.open()
    for number, sys_flag in enumerate((0x0, 0x4, 0x8, 0xC)):
        store.put(message(number, sys_flag=sys_flag))
    assert [found(store, f"U{number}") for number in range(4)] == [[b"body 0"], [b"body 1"], [b"body 2"], []]


def test_nothing_is_indexed_when_the_index_is_switched_off(stores: Any, message: Any) -> None:
    store = stores.open(index_enable=False)
    store.put(message(0))
    assert found(store, "U0") == []
    store.close()
    assert not (stores.root / "index").exists()


@pytest.mark.parametrize("kill_after", [1, 39, 48, 49, 50, 51, 120])
def test_a_kill_leaves_an_index_that_finds_everything_once(stores: Any, message: Any, kill_after: int) -> None:
    store = stores.open(checkpoint_interval=1 << 40)
    for number in range(kill_after):
        store.put(message(number, properties=b"UNIQ_KEY\x01U%d\x02KEYS\x01K\x02" % number))
        if number == kill_after // 2:
            store.flush()
    store._index.dispatch()
    again = stores.open(stores.killed())
    for number in range(kill_after):
        assert found(again, f"U{number}") == [b"body %d" % number]
    assert len(found(again, "K", limit=500)) == kill_after
    again.put(message(999))
    assert found(again, "U999") == [b"body 999"]


def test_keys_beyond_ascii_have_javas_hash(stores: Any, message: Any) -> None:
    store = stores.open()
    store.put(message(1, topic="T", properties="KEYS\x01订单-1 \U0001f600\x02".encode()))
    assert found(store, "订单-1") == found(store, "\U0001f600") == [b"body 1"]
    content = next((stores.root / "index").iterdir()).read_bytes()
    entry = 40 + 64 * 4 + 20
    assert struct.unpack_from(">i", content, entry)[0] == abs(string_hash("T#订单-1"))


def test_messages_whose_hashes_agree_are_told_apart(stores: Any, message: Any) -> None:
    store = stores.open()
    assert string_hash("Aa#k") == string_hash("BB#k")
    assert string_hash("T#Aa") == string_hash("T#BB")
    for number, (topic, key) in enumerate((("Aa", b"k"), ("BB", b"k"), ("T", b"Aa"), ("T", b"BB"))):
        store.put(message(number, topic=topic, properties=b"UNIQ_KEY\x01" + key + b"\x02"))
    assert found(store, "k", topic="Aa") == [b"body 0"]
    assert found(store, "k", topic="BB") == [b"body 1"]
    assert (found(store, "Aa"), found(store, "BB")) == ([b"body 2"], [b"body 3"])


def test_slots_that_speak_of_entries_that_are_not_there_are_made_again(tmp_path: Path) -> None:
    file = IndexFile(tmp_path / "1", slots=4, capacity=50)
    file.put([(number % 3, number, 1000) for number in range(1, 11)])
    file.sync(file.take_changed())
    content = bytearray((tmp_path / "1").read_bytes())
    content[40 : 40 + 8] = struct.pack(">ii", 11, 40)  # of the disk's pages only this one was written
    (tmp_path / "1").write_bytes(content)
    file = IndexFile(tmp_path / "1", slots=4, capacity=50)
    file.undo(11)
    assert file.find(0, 0, 9999, 99) == [9, 6, 3]
    assert file.find(1, 0, 9999, 99) == [10, 7, 4, 1]
    assert file.find(2, 0, 9999, 99) == [8, 5, 2]


def test_a_file_is_laid_out_as_apaches(tmp_path: Path) -> None:
    file = IndexFile(tmp_path / "20240101000000000", slots=10, capacity=5)
    assert file.put([(13, 1000, 5_000), (23, 2000, 7_500), (4, 3000, 8_000)]) == 3
    file.sync(file.take_changed())
    content = (tmp_path / "20240101000000000").read_bytes()
    assert len(content) == 40 + 10 * 4 + 5 * 20
    assert struct.unpack_from(">qqqqii", content) == (5_000, 8_000, 1000, 3000, 2, 4)
    assert struct.unpack_from(">10i", content, 40) == (0, 0, 0, 2, 3, 0, 0, 0, 0, 0)
    entries = [struct.unpack_from(">iqii", content, 80 + 20 * number) for number in range(5)]
    assert entries == [(0, 0, 0, 0), (13, 1000, 0, 0), (23, 2000, 2, 1), (4, 3000, 3, 0), (0, 0, 0, 0)]


def test_a_full_file_takes_what_fits(tmp_path: Path) -> None:
    file = IndexFile(tmp_path / "1", slots=4, capacity=5)
    assert file.put([(number, number, 0) for number in range(7)]) == 4
    assert file.is_full
    assert file.put([(9, 9, 0)]) == 0


def test_going_back_undoes_what_the_slots_say(tmp_path: Path) -> None:
    file = IndexFile(tmp_path / "1", slots=4, capacity=50)
    file.put([(number % 3, number, 1000) for number in range(1, 11)])
    file.sync(file.take_changed())
    before = (tmp_path / "1").read_bytes()
    file.put([(number % 3, number, 2000) for number in range(11, 31)])
    file.undo(11)
    assert file.find(1, 0, 9999, 99) == [10, 7, 4, 1]
    after = (tmp_path / "1").read_bytes()
    assert after[40:] == before[40:]
    assert (file.count, file.end_position) == (11, 10)


def test_a_message_of_thousands_of_keys_is_indexed_in_pieces_by_who_adds(tmp_path: Path) -> None:
    """Who adds is the loop: it must not work off all of them at once. A query finds every one all the same."""
    index = Index(tmp_path, 64, 1_000_000, logging.getLogger("store"))
    words = b" ".join(b"w%d" % number for number in range(5000))
    index.add([(position, 1000, "T", b"KEYS\x01" + words + b"\x02") for position in range(BATCH)])
    assert sum(file.count - 1 for file in index.files) <= 5000
    assert len(index.find("T", "w4999", 0, 1 << 60, 2 * BATCH)) == BATCH
    assert not index.pending
