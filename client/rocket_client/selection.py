"""Which queue a message goes to. Pure: `now` is an argument, in seconds of any steady clock.

Without a wish, queues take turns, passing over brokers that failed lately. With an ordering key, the key's hash
decides, as in Java's SelectMessageQueueByHash, so that producers of both kinds agree.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from rocket_wire.bodies.body import MessageQueue
from rocket_wire.hashing import string_hash

#: How long a broker that gave no answer is passed over, seconds. An error answer is forgiven at once.
AVOID_SECONDS: Final = 10.0


class Turns:
    """Hands out queues in turn, one counter a topic. Starts anywhere, so that many producers do not march in step."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def choose(self, topic: str, queues: Sequence[MessageQueue], avoid: set[str]) -> MessageQueue:
        """The next queue that is not on a broker of `avoid`; where all are, the next one."""
        begin = self._next.get(topic)
        if begin is None:
            begin = random.randrange(len(queues))
        self._next[topic] = begin + 1
        for step in range(len(queues)):
            queue = queues[(begin + step) % len(queues)]
            if queue.broker_name not in avoid:
                return queue
        return queues[begin % len(queues)]


class Faults:
    """Brokers that gave no answer lately."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def report(self, broker_name: str, now: float) -> None:
        """This broker gave no answer."""
        self._until[broker_name] = now + AVOID_SECONDS

    def clear(self, broker_name: str) -> None:
        """This broker answered."""
        self._until.pop(broker_name, None)

    def avoided(self, now: float) -> set[str]:
        """The brokers to pass over."""
        return {name for name, until in self._until.items() if until > now}


def by_key(queues: Sequence[MessageQueue], ordering_key: str) -> MessageQueue:
    """The queue of an ordering key: the same for all its messages while the number of queues stays the same."""
    index = abs(string_hash(ordering_key)) % len(queues)
    return queues[index]
