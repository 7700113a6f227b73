"""Requests of a dear kind get a share of each turn of the loop, so that others do not wait behind all of them.

A consumer that catches up has a pull under way for each of its queues. Carried out at once, they would make every send
wait for all of them, again and again; so while there are sends a turn carries out as many as fit into its share, and
the rest, in the order in which they came, in the turns after it. With nobody else there they are carried out as they
come: that is cheaper.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Final

from rocket_net.dispatch import Handler
from rocket_wire.command import Command

if TYPE_CHECKING:
    from rocket_net.connection import Connection
    from rocket_net.gathering import Together

#: Seconds of each turn: about what one or two pulls take.
_SHARE: Final = 0.0002
#: Seconds after which others that were not heard again are taken to be gone.
_RECENT: Final = 0.1


class InTurn:
    """Has `handler` answer, but beside `others` takes no more than `share` seconds of each turn of the loop for it."""

    def __init__(self, handler: Handler, others: Together, share: float = _SHARE) -> None:
        self._handler = handler
        self._others = others
        self._share = share
        self._taken = 0.0
        self._is_due = False
        self._waiting: deque[tuple[Command, Connection]] = deque()

    def add(self, request: Command, connection: Connection) -> None:
        """Carries the request out, now or in a turn to come; until then it counts as under way on its connection."""
        if self._waiting or not self._has_room():
            connection.in_flight += 1
            self._waiting.append((request, connection))
        else:
            self._carry_out(request, connection)

    def _has_room(self) -> bool:
        return self._taken < self._share or asyncio.get_running_loop().time() - self._others.last > _RECENT

    def _carry_out(self, request: Command, connection: Connection) -> None:
        begun = perf_counter()
        connection.run(self._handler, request)
        self._taken += perf_counter() - begun
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_due = False
        self._taken = 0.0
        answered = set()
        while self._waiting and self._has_room():
            request, connection = self._waiting.popleft()
            connection.in_flight -= 1
            if connection.is_full:  # more answers would only add to what it does not read
                connection.hold(request)
            elif connection.is_open:
                self._carry_out(request, connection)
                answered.add(connection)
        for connection in answered:
            connection.flush()
