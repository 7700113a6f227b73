"""Which messages a dump has: all of the log's, or those that are wished for, by topic, queue, key, time and offset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.tools.dump import Wish, messages


def numbers(root: Path, **wish: Any) -> list[tuple[str, int, int]]:
    return [(found.topic, found.queue_id, found.queue_offset) for found in messages(root, Wish(**wish))]


def test_all_messages_come_in_the_order_of_the_log(filled: Path) -> None:
    found = list(messages(filled, Wish()))
    assert len(found) == 240
    assert [message.position for message in found] == sorted(message.position for message in found)


def test_messages_are_chosen_by_topic_queue_and_key(filled: Path) -> None:
    assert len(numbers(filled, topic="Other")) == 120
    assert numbers(filled, topic="T", queue=1) == [("T", 1, offset) for offset in range(60)]
    for key in ("a7", "b7"):
        assert numbers(filled, topic="T", key=key) == [("T", 1, 3)]
    assert numbers(filled, key="U7") == [("T", 1, 3), ("Other", 0, 7)]
    assert numbers(filled, key="a") == []


@pytest.mark.parametrize("first", range(0, 60, 7))
def test_messages_are_chosen_by_offset(filled: Path, first: int) -> None:
    found = numbers(filled, topic="T", queue=1, first_offset=first, last_offset=first + 2)
    assert found == [("T", 1, offset) for offset in range(first, min(first + 3, 60))]


def test_an_offset_is_found_where_its_queue_is_damaged(filled: Path) -> None:
    for path in (filled / "consumequeue" / "T" / "1").iterdir():
        path.write_bytes(b"\x11" * 200)
    assert len(numbers(filled, topic="T", queue=1, first_offset=30)) == 30


def test_messages_are_chosen_by_time_whatever_segment_they_are_in(stores: Any, message: Any, clock: Any) -> None:
    store = stores.open()
    times = []
    for number in range(200):
        clock.now += 10
        times.append(store.put(message(number)).store_timestamp)
    store.close()
    for first in range(0, 200, 9):
        found = list(messages(stores.root, Wish(first_time=times[first], last_time=times[min(first + 40, 199)])))
        assert [found_one.queue_offset for found_one in found] == list(range(first, min(first + 41, 200)))


def test_what_is_damaged_is_passed_over_and_told(filled: Path) -> None:
    with (filled / "commitlog" / f"{8192:020d}").open("r+b") as file:
        file.write(bytes(1000))
    told: list[tuple[int, int]] = []
    found = list(messages(filled, Wish(), damaged=lambda begin, end: told.append((begin, end))))
    ((begin, end),) = told
    assert begin == 8192
    assert 9192 <= end < 9500
    assert 230 <= len(found) < 240


def test_a_log_that_is_still_written_is_no_damage(stores: Any, message: Any) -> None:
    store = stores.open()
    store.put(message())
    told: list[tuple[int, int]] = []
    assert len(list(messages(stores.root, Wish(), damaged=lambda begin, end: told.append((begin, end))))) == 1
    assert told == []
