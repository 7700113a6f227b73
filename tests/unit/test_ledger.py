"""The oracle of the fault tests: what it calls a fault, and what it does not."""

from __future__ import annotations

import re

import pytest

from rocket_testing.ledger import Key, Ledger, Place, Queues, Stored, body_of

PLACE = Place("T", 0)


def key(number: int) -> Key:
    return Key("raw", number)


def body(number: int) -> bytes:
    return body_of(key(number), 20)


def acknowledge(ledger: Ledger, *numbers: int) -> None:
    """Messages with these numbers, each at the offset of its number."""
    for number in numbers:
        ledger.note_sent(key(number), body(number))
        ledger.note_acknowledged(key(number), 0, PLACE, number)


def holding(*numbers: int) -> Queues:
    """The queue as a reader finds it with messages of these numbers, from offset 0 on."""
    return {PLACE: [Stored(offset, body(number)) for offset, number in enumerate(numbers)]}


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (holding(0), r"1 of 2 acknowledged messages are not where they were stored: .*\(absent\)"),
        (holding(1, 0), r"2 of 2 acknowledged messages are not where they were stored"),
        (holding(0, 1, 2), r"1 messages were never sent so"),
        (holding(0, 1, 1), r"1 messages are stored more than once"),
        ({PLACE: [Stored(0, body(0)), Stored(2, body(1))]}, r"the message after 1 others has offset 2"),
    ],
)
def test_what_contradicts_the_acknowledgements_is_told(found: Queues, fault: str) -> None:
    ledger = Ledger()
    acknowledge(ledger, 0, 1)
    assert not ledger.faults(holding(0, 1))
    assert re.search(fault, "\n".join(ledger.faults(found)))


def test_messages_that_were_acknowledged_in_another_order_are_told() -> None:
    ledger = Ledger()
    acknowledge(ledger, 0, 1)
    for number, offset in ((0, 1), (1, 0)):
        ledger.note_acknowledged(key(number), 0, PLACE, offset)
    assert ledger.faults(holding(1, 0)) == [f"{PLACE}: the messages of raw are out of order"]


def test_a_sender_beside_a_reader_makes_no_fault() -> None:
    """The queue is read; one message more comes behind its end, another one before it."""
    ledger = Ledger()
    acknowledge(ledger, 0)
    known = ledger.so_far()
    acknowledge(ledger, 1, 2)
    assert ledger.faults(holding(0, 1))
    assert not known.faults(holding(0, 1))
    assert known.faults(holding()), "what was acknowledged before is asked for"
