"""Which queue a message goes to."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_client.selection import AVOID_SECONDS, Faults, Turns, by_key
from rocket_wire.bodies.body import MessageQueue

QUEUES = [MessageQueue("T", broker_name, queue_id) for broker_name in "ab" for queue_id in range(4)]


def test_queues_take_turns() -> None:
    turns = Turns()
    chosen = Counter(turns.choose("T", QUEUES, set()) for _ in range(16))
    assert chosen == dict.fromkeys(QUEUES, 2)


def test_topics_take_turns_on_their_own() -> None:
    turns = Turns()
    first = turns.choose("T", QUEUES, set())
    turns.choose("U", QUEUES, set())
    second = turns.choose("T", QUEUES, set())
    assert QUEUES.index(second) == (QUEUES.index(first) + 1) % len(QUEUES)


def test_a_broker_to_avoid_is_passed_over() -> None:
    turns = Turns()
    assert {turns.choose("T", QUEUES, {"a"}).broker_name for _ in range(20)} == {"b"}


def test_where_all_are_to_be_avoided_one_is_chosen_all_the_same() -> None:
    assert Turns().choose("T", QUEUES, {"a", "b"}) in QUEUES


def test_a_broker_that_failed_is_avoided_for_a_while_and_forgiven_when_it_answers() -> None:
    faults = Faults()
    faults.report("a", now=100.0)
    faults.report("b", now=100.0)
    faults.clear("b")
    assert faults.avoided(now=100.0 + AVOID_SECONDS / 2) == {"a"}
    assert faults.avoided(now=100.0 + AVOID_SECONDS) == set()


@pytest.mark.parametrize(
    ("key", "index"), [("order-1", 6), ("customer-17", 3), ("polygenelubricants", 0), ("häuser\U0001f600", 2)]
)
def test_a_key_chooses_the_queue_that_javas_producer_chooses(key: str, index: int) -> None:
    """Printed by Java: Math.abs(key.hashCode() % 8); the hash codes of all but the last are negative."""
    assert by_key(QUEUES, key) == QUEUES[index]


@given(st.text(), st.integers(1, 50))
def test_a_key_always_chooses_the_same_queue(key: str, count: int) -> None:
    queues = [MessageQueue("T", "a", queue_id) for queue_id in range(count)]
    assert by_key(queues, key) == by_key(queues, key)
