"""Long polling: pulls that found nothing wait here for a message, for their time to run out, or for the broker's end.

A message wakes only pulls that its tag can match (by hash, as the queue entry holds it); a pull that no message
matches wakes at its deadline and learns from its second look how far it may skip.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class _Waiting:
    offset: int
    tags: frozenset[int] | None
    woken: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Arrivals:
    """Who waits for which queue."""

    def __init__(self) -> None:
        self._waiting: defaultdict[tuple[str, int], set[_Waiting]] = defaultdict(set)
        self._closed = False

    @property
    def count(self) -> int:
        """How many pulls are held."""
        return sum(map(len, self._waiting.values()))

    def wait(
        self, topic: str, queue_id: int, offset: int, tags: frozenset[int] | None, timeout: float
    ) -> asyncio.Future[None]:
        """Done when a message at `offset` or later with one of `tags` (None: any) is there, or after `timeout` s.

        It waits from this call on, not from when it is first awaited: a message may come in between.
        """
        waiting = _Waiting(offset, tags)
        if self._closed:
            _wake(waiting)
            return waiting.woken
        key = (topic, queue_id)
        self._waiting[key].add(waiting)
        timer = asyncio.get_running_loop().call_later(timeout, _wake, waiting)

        def over(_: asyncio.Future[None]) -> None:
            timer.cancel()
            held = self._waiting[key]
            held.discard(waiting)
            if not held:
                del self._waiting[key]

        waiting.woken.add_done_callback(over)
        return waiting.woken

    def notify(self, topic: str, queue_id: int, offset: int, tags_code: int) -> None:
        """A message with this offset and tag code can be read."""
        held = self._waiting.get((topic, queue_id))
        if held:
            for waiting in held:
                if offset >= waiting.offset and (waiting.tags is None or tags_code in waiting.tags):
                    _wake(waiting)

    def wake(self, topic: str, queue_id: int) -> None:
        """Wakes every pull of a queue: there is something else to tell it."""
        for waiting in self._waiting.get((topic, queue_id), ()):
            _wake(waiting)

    def close(self) -> None:
        """Wakes everybody: the broker stops."""
        self._closed = True
        for held in self._waiting.values():
            for waiting in held:
                _wake(waiting)


def _wake(waiting: _Waiting) -> None:
    if not waiting.woken.done():
        waiting.woken.set_result(None)
