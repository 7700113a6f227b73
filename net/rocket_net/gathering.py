"""Requests that are answered together: all of one turn of the loop, whichever connections they came on.

Where what many requests share is dear (a write to the disk, a wait for it), one call for sixty-four costs little more
than one for one. They wait for the end of the turn in which they came, and no longer: the first one asks the loop for
it. A request of another kind that comes behind one of them on its connection has them carried out before it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from rocket_net.dispatch import Reply, error_of, failure
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers.header import Header

if TYPE_CHECKING:
    from rocket_net.connection import Connection

#: So many requests at most are answered together: a peer that does not read is noticed after so many answers.
_MOST: Final = 128
#: And no more once their bodies have so many bytes: what is made of them is in memory all at once.
_MOST_BYTES: Final = 1024 * 1024

#: A request and where it came from, and the same with its answer.
Asked = tuple[Command, "Connection"]
Answered = tuple[Command, "Connection", Reply]

H = TypeVar("H", bound=Header)


class Answers(msgspec.Struct, frozen=True):
    """What became of requests: those that are answered now, and those that are `waiting`.

    When `later` is there, `finish` makes the answers of what it gives.
    """

    now: list[Answered]
    waiting: Sequence[Asked] = ()
    later: Awaitable[Any] | None = None
    finish: Callable[[Any], list[Answered]] = list


class Together:
    """Gathers requests, and has `answer` answer them. It refuses by an answer: what it raises answers them all."""

    def __init__(self, answer: Callable[[Sequence[Asked]], Answers]) -> None:
        self._answer = answer
        self._gathered: list[Asked] = []
        self._gathered_bytes = 0
        self._is_due = False
        #: When some were carried out last, by the loop's clock.
        self.last = -math.inf
        self._waiting: set[asyncio.Future[Any]] = set()

    def add(self, request: Command, connection: Connection) -> None:
        """This request too. It counts as under way on its connection until it is answered."""
        connection.in_flight += 1
        self._gathered.append((request, connection))
        self._gathered_bytes += len(request.body)
        if len(self._gathered) >= _MOST or self._gathered_bytes >= _MOST_BYTES:
            self.carry_out()
        elif not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._end_of_turn)

    def _end_of_turn(self) -> None:
        self._is_due = False
        self.carry_out()

    def carry_out(self) -> None:
        """Answers what was gathered."""
        if not self._gathered:
            return
        self.last = asyncio.get_running_loop().time()
        asked, self._gathered, self._gathered_bytes = self._gathered, [], 0
        try:
            answers = self._answer(asked)
        except Exception as error:
            answers = Answers(_failures(asked, error))
        _give(answers.now)
        if answers.later is not None:
            later = asyncio.ensure_future(answers.later)
            self._waiting.add(later)
            later.add_done_callback(partial(self._finish, answers))

    def _finish(self, answers: Answers, later: asyncio.Future[Any]) -> None:
        self._waiting.discard(later)
        error = error_of(later)
        _give(answers.finish(later.result()) if error is None else _failures(answers.waiting, error))


def together(
    header_types: Mapping[int, type[H]], function: Callable[[Sequence[tuple[H, Command, Connection]]], Answers]
) -> Together:
    """Has `function([(header, request, connection), ...])` answer; a header that is none is refused for itself."""

    def answer(asked: Sequence[Asked]) -> Answers:
        decoded: list[tuple[H, Command, Connection]] = []
        refused: list[Answered] = []
        for request, connection in asked:
            try:
                decoded.append((request.header(header_types[request.code]), request, connection))
            except RequestError as error:
                refused.append((request, connection, failure(request, error, connection.peer)))
        answers = function(decoded)
        answers.now.extend(refused)
        return answers

    return Together(answer)


def _failures(asked: Iterable[Asked], error: BaseException) -> list[Answered]:
    return [(request, connection, failure(request, error, connection.peer)) for request, connection in asked]


def _give(answered: Iterable[Answered]) -> None:
    connections = set()
    for request, connection, reply in answered:
        connection.in_flight -= 1
        connection.answer(request, reply)
        connections.add(connection)
    for connection in connections:
        connection.flush()
