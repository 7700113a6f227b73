"""Sharing a group's queues out: every queue exactly once, the same for every member, and as Java does it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_client.allocation import allocate
from rocket_wire.bodies.body import MessageQueue


def queues(count: int, broker_name: str = "a") -> list[MessageQueue]:
    return [MessageQueue("T", broker_name, queue_id) for queue_id in range(count)]


@pytest.mark.parametrize(
    ("count", "members", "expected"),
    [
        (8, "abc", {"a": [0, 1, 2], "b": [3, 4, 5], "c": [6, 7]}),
        (4, "ab", {"a": [0, 1], "b": [2, 3]}),
        (2, "abc", {"a": [0], "b": [1], "c": []}),
        (1, "a", {"a": [0]}),
        (0, "ab", {"a": [], "b": []}),
        (7, "abcd", {"a": [0, 1], "b": [2, 3], "c": [4, 5], "d": [6]}),
    ],
)
def test_queues_are_cut_into_runs_as_java_does(count: int, members: str, expected: dict[str, list[int]]) -> None:
    shared = {member: [queue.queue_id for queue in allocate(queues(count), members, member)] for member in members}
    assert shared == expected


def test_who_is_no_member_gets_nothing() -> None:
    assert allocate(queues(8), ["a", "b"], "c") == []


def test_the_order_in_which_members_and_queues_are_listed_does_not_matter() -> None:
    shuffled = [*queues(4, "b"), *reversed(queues(4, "a"))]
    assert allocate(shuffled, ["c", "a", "b"], "b") == allocate(sorted(shuffled), ["a", "b", "c"], "b")


def test_queues_of_one_broker_stay_together() -> None:
    both = [*queues(4, "a"), *queues(4, "b")]
    assert allocate(both, ["x", "y"], "x") == queues(4, "a")


def test_members_are_ordered_as_java_orders_strings() -> None:
    """By UTF-16 units, an emoji (a surrogate pair) comes before a character at the end of the basic plane."""
    assert allocate(queues(2), ["\uffee", "\U0001f600"], "\U0001f600") == queues(1)


@given(
    st.lists(st.builds(MessageQueue, st.just("T"), st.sampled_from("abc"), st.integers(0, 50)), max_size=60),
    st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=12),
)
def test_every_queue_goes_to_exactly_one_member(found: list[MessageQueue], members: list[str]) -> None:
    parts = [allocate(found, members, member) for member in set(members)]
    assert sorted(queue for part in parts for queue in part) == sorted(set(found))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
