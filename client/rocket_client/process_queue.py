"""The window of one queue between what is pulled and what is finished, and which offset may be committed.

    offsets   ... 4 | 5   6   7   8   9 | 10 ...
                    |   waiting, running |
               commit_offset        pulled_to

Messages wait, then run, then are finished, in any order. `commit_offset` is that of the first unfinished message, so a
restart repeats at most what is unfinished and never passes over it. Offsets that hold nothing for us (filtered out)
count as finished.

Pure: no clock, no network.
"""

from __future__ import annotations

import heapq
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """What a process queue needs to know of a message."""

    @property
    def queue_offset(self) -> int: ...

    @property
    def stored_bytes(self) -> int: ...


M = TypeVar("M", bound=Queued)


class ProcessQueue(Generic[M]):
    """Messages of one queue from `start` on. `pulled_to` is the offset from which to pull next."""

    def __init__(self, start: int) -> None:
        self.pulled_to = start
        self.bytes = 0
        self._waiting: list[int] = []
        self._messages: dict[int, M] = {}
        self._running: set[int] = set()

    def __len__(self) -> int:
        """Messages that are not finished."""
        return len(self._messages)

    @property
    def waiting(self) -> int:
        """Messages that nobody works on."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Messages that were taken and are not finished."""
        return len(self._running)

    @property
    def commit_offset(self) -> int:
        """The offset that may be committed: everything below it is finished."""
        # Messages are added in order of their offsets, and a dict keeps the order of adding.
        return next(iter(self._messages), self.pulled_to)

    @property
    def span(self) -> int:
        """Offsets between the first unfinished message and the last pulled one."""
        return self.pulled_to - self.commit_offset

    def add(self, messages: list[M], pulled_to: int) -> None:
        """What one pull brought, and the offset after it. Offsets that it already has are ignored."""
        for message in messages:
            offset = message.queue_offset
            if offset in self._messages or offset < self.pulled_to:
                continue
            self._messages[offset] = message
            heapq.heappush(self._waiting, offset)
            self.bytes += message.stored_bytes
        self.pulled_to = max(self.pulled_to, pulled_to)

    def take(self) -> M | None:
        """The first waiting message, which runs from now on."""
        if not self._waiting:
            return None
        offset = heapq.heappop(self._waiting)
        self._running.add(offset)
        return self._messages[offset]

    def put_back(self, message: M) -> bool:
        """A running message waits again, in its old place and perhaps changed. False when it does not run."""
        offset = message.queue_offset
        if offset not in self._running:
            return False
        self._messages[offset] = message
        self._running.discard(offset)
        heapq.heappush(self._waiting, offset)
        return True

    def finish(self, offset: int) -> bool:
        """A running message is done with. False when it does not run (it was finished before)."""
        if offset not in self._running:
            return False
        self._running.discard(offset)
        self.bytes -= self._messages.pop(offset).stored_bytes
        return True
