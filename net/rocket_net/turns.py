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

from rocket_net.dispatch import Answer, Handler, Reply
from rocket_wire.command import Command

if TYPE_CHECKING:
    from rocket_net.connection import Connection
    from rocket_net.gathering import Together

#: Seconds of each turn: about what one or two pulls take.
_SHARE: Final = 0.0002
#: Seconds after which others that were not heard again are taken to be gone.
_RECENT: Final = 0.1


class InTurn:
    """A handler that leaves room for `others`: beside them it has `share` seconds of each turn of the loop."""

    def __init__(self, handler: Handler, others: Together, share: float = _SHARE) -> None:
        self._handler = handler
        self._others = others
        self._share = share
        self._taken = 0.0
        self._is_due = False
        self._waiting: deque[tuple[Command, Connection, asyncio.Future[Reply]]] = deque()

    def __call__(self, request: Command, connection: Connection) -> Answer:
        if self._waiting or not self._has_room():
            later: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            self._waiting.append((request, connection, later))
            return later
        return self._carry_out(request, connection)

    def _has_room(self) -> bool:
        return self._taken < self._share or asyncio.get_running_loop().time() - self._others.last > _RECENT

    def _carry_out(self, request: Command, connection: Connection) -> Answer:
        begun = perf_counter()
        try:
            return self._handler(request, connection)
        finally:
            self._taken += perf_counter() - begun
            if not self._is_due:
                self._is_due = True
                asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_due = False
        self._taken = 0.0
        while self._waiting and self._has_room():
            request, connection, later = self._waiting.popleft()
            if later.done():  # its connection is gone
                continue
            try:
                _give(later, self._carry_out(request, connection))
            except Exception as error:
                later.set_exception(error)


def _give(later: asyncio.Future[Reply], answer: Answer) -> None:
    """What a handler returned, to who waits for it; who waits no more has it given up."""
    if answer is None or isinstance(answer, Command | bytes):
        later.set_result(answer)
        return
    waiting = asyncio.ensure_future(answer)

    def pass_on(done: asyncio.Future[Reply]) -> None:
        if later.done():
            return
        if done.cancelled():
            later.cancel()
        elif (error := done.exception()) is not None:
            later.set_exception(error)
        else:
            later.set_result(done.result())

    waiting.add_done_callback(pass_on)
    later.add_done_callback(lambda _: waiting.cancel())
