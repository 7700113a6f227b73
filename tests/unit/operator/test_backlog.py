"""How many messages of a topic are left, which is what keeps a group from being removed."""

from __future__ import annotations

from rocket_client import Backlog
from rocket_client.servers import remaining
from rocket_wire.bodies.stats import TopicOffset

ENDS = {0: TopicOffset(10, 15), 1: TopicOffset(20, 22)}


def test_a_queue_that_a_consumer_group_has_not_begun_is_left_as_a_whole() -> None:
    assert list(remaining("pay", ENDS, {"settle": {0: 15}})) == [Backlog("pay", "settle", 2)]


def test_messages_that_expired_are_not_left_to_anybody() -> None:
    assert list(remaining("pay", ENDS, {})) == [Backlog("pay", "", 7)]


def test_each_consumer_group_has_its_own_rest() -> None:
    consumed = {"settle": {0: 15, 1: 22}, "audit": {0: 12, 1: 22}}
    assert list(remaining("pay", ENDS, consumed)) == [Backlog("pay", "audit", 3)]


def test_an_offset_beyond_the_end_takes_nothing_from_other_queues() -> None:
    assert list(remaining("pay", ENDS, {"settle": {0: 14, 1: 99}})) == [Backlog("pay", "settle", 1)]
