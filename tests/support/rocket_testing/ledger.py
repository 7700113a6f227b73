"""The oracle of the fault tests: what senders were told is stored, against what a reader finds. Pure.

A message's body begins with who sent it and its number, `sender:number:...`, so that a stored message names itself.
`Ledger.faults` says in sentences what is wrong; an empty list means that nothing acknowledged was lost, changed its
place or its order, and that nothing was invented.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

#: Of each fault so many messages are named.
_NAMED = 5


class Key(NamedTuple):
    """Which message: its sender, and the how-manieth of that sender."""

    sender: str
    number: int


class Place(NamedTuple):
    """Which queue of a broker group."""

    topic: str
    queue_id: int


class Stored(NamedTuple):
    """A message as a reader found it."""

    offset: int
    body: bytes


class Acknowledged(NamedTuple):
    """What a sender was told: a status (0, or 10, 11, 12 where it is stored less safely than asked), and where."""

    status: int
    place: Place
    offset: int


Queues = Mapping[Place, Sequence[Stored]]


@dataclass
class Ledger:
    """Written by senders while servers fail."""

    #: Every message that was ever handed to a connection.
    sent: dict[Key, bytes] = field(default_factory=dict)
    acknowledged: dict[Key, Acknowledged] = field(default_factory=dict)
    #: What senders saw instead of an acknowledgement, such as "ConnectionLost" or "code 1".
    refusals: Counter[str] = field(default_factory=Counter)
    #: Senders that may store a message twice, since they send again what was not answered.
    repeating: set[str] = field(default_factory=set)

    def note_sent(self, key: Key, body: bytes) -> None:
        self.sent[key] = body

    def note_acknowledged(self, key: Key, status: int, place: Place, offset: int) -> None:
        self.acknowledged[key] = Acknowledged(status, place, offset)

    @property
    def statuses(self) -> Counter[int]:
        """How many messages were acknowledged with each status."""
        return Counter(each.status for each in self.acknowledged.values())

    def safe(self) -> Ledger:
        """The same, but only what was acknowledged with status 0 counts as acknowledged."""
        kept = {key: each for key, each in self.acknowledged.items() if each.status == 0}
        return dataclasses.replace(self, acknowledged=kept)

    def so_far(self) -> Ledger:
        """The same, but what is acknowledged from now on does not count: a reader may have passed its place already.

        To be taken before a reader begins beside senders that go on. What they send meanwhile is no invention.
        """
        return dataclasses.replace(self, acknowledged=dict(self.acknowledged))

    def faults(self, found: Queues) -> list[str]:
        """What contradicts this ledger in all the queues' messages. Empty: all is well."""
        faults = [*self._holes(found), *self._inventions(found), *self._losses(found)]
        return [*faults, *self._repetitions(found), *self._disorder()]

    def _holes(self, found: Queues) -> Iterator[str]:
        for place, messages in found.items():
            offsets = [message.offset for message in messages]
            if offsets != list(range(len(offsets))):
                wrong = next(index for index, offset in enumerate(offsets) if offset != index)
                yield f"{place}: the message after {wrong} others has offset {offsets[wrong]}"

    def _inventions(self, found: Queues) -> Iterator[str]:
        strange = [
            f"{place} offset {message.offset} holds {message.body[:60]!r}"
            for place, messages in found.items()
            for message in messages
            if self.sent.get(key_of(message.body)) != message.body
        ]
        yield from _few(strange, "messages were never sent so")

    def _losses(self, found: Queues) -> Iterator[str]:
        bodies = {(place, each.offset): each.body for place, messages in found.items() for each in messages}
        lost = []
        for key, (_, place, offset) in self.acknowledged.items():
            if (body := bodies.get((place, offset))) != self.sent[key]:
                lost.append(f"{key} at {place} {offset} ({'absent' if body is None else f'holds {body[:40]!r}'})")
        yield from _few(lost, f"of {len(self.acknowledged)} acknowledged messages are not where they were stored")

    def _repetitions(self, found: Queues) -> Iterator[str]:
        count = Counter(key_of(message.body) for messages in found.values() for message in messages)
        twice = [
            f"{key} {times} times" for key, times in count.items() if times > 1 and key.sender not in self.repeating
        ]
        yield from _few(twice, "messages are stored more than once")

    def _disorder(self) -> Iterator[str]:
        """One sender's messages of one queue stand there in the order in which it sent them."""
        queues: defaultdict[tuple[str, Place], list[tuple[int, int]]] = defaultdict(list)
        for key, (_, place, offset) in self.acknowledged.items():
            queues[key.sender, place].append((offset, key.number))
        for (sender, place), pairs in queues.items():
            numbers = [number for _, number in sorted(pairs)]
            if numbers != sorted(numbers):
                yield f"{place}: the messages of {sender} are out of order"


def body_of(key: Key, size: int) -> bytes:
    """A body that names its message, of at least `size` bytes."""
    return f"{key.sender}:{key.number}:".encode().ljust(size, b".")


def key_of(body: bytes) -> Key:
    """Whose body this is; a key that nobody has where it cannot be told."""
    sender, _, rest = body.partition(b":")
    number = rest.partition(b":")[0]
    return Key(sender.decode("ascii", "replace"), int(number) if number.isdigit() else -1)


def _few(faults: list[str], what: str) -> Iterator[str]:
    if faults:
        yield f"{len(faults)} {what}: {'; '.join(faults[:_NAMED])}"
