"""Whose turn it is: queues that have a message to hand out take turns, one message each.

`take` waits; cancelled, it has taken nothing. A source is a queue's intake: it is offered whenever it may have a
message, and asked for one when its turn comes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, Protocol, TypeVar

M_co = TypeVar("M_co", covariant=True)
M = TypeVar("M")


class Source(Protocol[M_co]):
    """A queue that may have messages."""

    #: Kept by Ready: whether it stands in line.
    in_line: bool

    def take(self) -> M_co | None:
        """Its next message, or None."""
        ...

    def has_more(self) -> bool:
        """Whether `take` would give one."""
        ...


class Ready(Generic[M]):
    """The line of sources, and those who wait for a message."""

    def __init__(self) -> None:
        self._line: deque[Source[M]] = deque()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def offer(self, source: Source[M]) -> None:
        """This source may have messages."""
        if not source.in_line and source.has_more():
            source.in_line = True
            self._line.append(source)
            self._wake()

    def take_now(self) -> M | None:
        """The next message if there is one."""
        while self._line and not self._closed:
            source = self._line.popleft()
            source.in_line = False
            message = source.take()
            if message is None:
                continue
            self.offer(source)
            return message
        return None

    async def take(self) -> M | None:
        """The next message, or None once closed."""
        while not self._closed:
            message = self.take_now()
            if message is not None:
                return message
            await self._wait()
        return None

    def close(self) -> None:
        """Nothing more is handed out; everyone who waits gets None."""
        self._closed = True
        while self._waiters:
            self._wake()

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # it was woken for a message that somebody else must take now
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
