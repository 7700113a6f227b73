"""Locks of orderly consumers: one holder a queue, for 60 s from its last renewal."""

from __future__ import annotations

import pytest

from rocket_broker.queue_locks import LOCK_SECONDS, Queue, QueueLocks

Q0, Q1, Q2 = (Queue("T", number) for number in range(3))


@pytest.fixture
def locks() -> QueueLocks:
    return QueueLocks()


def test_a_free_queue_is_granted_and_then_taken(locks: QueueLocks) -> None:
    assert locks.lock("G", "one", [Q0, Q1], now=0) == [Q0, Q1]
    assert locks.lock("G", "two", [Q0, Q1, Q2], now=1) == [Q2]


def test_a_lock_ends_sixty_seconds_after_it_was_taken(locks: QueueLocks) -> None:
    locks.lock("G", "one", [Q0], now=0)
    assert locks.lock("G", "two", [Q0], now=LOCK_SECONDS) == []
    assert locks.lock("G", "two", [Q0], now=LOCK_SECONDS + 0.001) == [Q0]
    assert locks.lock("G", "one", [Q0], now=LOCK_SECONDS + 1) == []


def test_a_renewal_counts_from_when_it_came(locks: QueueLocks) -> None:
    locks.lock("G", "one", [Q0], now=0)
    assert locks.lock("G", "one", [Q0], now=40) == [Q0]
    assert locks.lock("G", "two", [Q0], now=99) == []
    assert locks.lock("G", "two", [Q0], now=101) == [Q0]


def test_a_try_that_fails_renews_nothing(locks: QueueLocks) -> None:
    locks.lock("G", "one", [Q0], now=0)
    locks.lock("G", "two", [Q0], now=50)
    assert locks.lock("G", "two", [Q0], now=61) == [Q0]


def test_groups_do_not_see_each_others_locks(locks: QueueLocks) -> None:
    locks.lock("G", "one", [Q0], now=0)
    assert locks.lock("H", "two", [Q0], now=0) == [Q0]


def test_only_the_holder_can_give_back(locks: QueueLocks) -> None:
    locks.lock("G", "one", [Q0, Q1], now=0)
    locks.unlock("G", "two", [Q0, Q1])
    assert locks.lock("G", "two", [Q0], now=1) == []
    locks.unlock("G", "one", [Q0])
    assert locks.lock("G", "two", [Q0, Q1], now=2) == [Q0]


def test_giving_back_what_nobody_holds_is_no_matter(locks: QueueLocks) -> None:
    locks.unlock("G", "one", [Q0])
    locks.lock("G", "one", [Q0], now=0)
    locks.unlock("G", "one", [Q1, Q0, Q0])
    assert locks.lock("G", "two", [Q0], now=1) == [Q0]
