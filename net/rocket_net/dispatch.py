"""From request code to function: the one table, and what becomes of a function's result.

A handler is a plain function. It returns the answer (a command, or an encoded frame where the path is hot), None when
nothing is to be answered, or an awaitable when the answer must wait: only that costs a task. What a handler raises
becomes an answer: RequestError its own code, ServerError SYSTEM_ERROR and a line in the log, anything else the same
with a traceback: a fault of the program.

Where what many requests share is dear (a write to the disk, a task), the table has a `Together` instead: it is given
all requests of its code that came one behind the other in one turn of the loop.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import ProtocolError, RequestError, ServerError
from rocket_wire.headers.header import Header

if TYPE_CHECKING:
    from rocket_net.connection import Connection

log = logging.getLogger("rocket.net")

Reply = Command | bytes | None
Answer = Reply | Awaitable[Reply]
Handler = Callable[[Command, "Connection"], Answer]

#: A request and its answer.
Answered = tuple[Command, Reply]


class Answers(msgspec.Struct, frozen=True):
    """What became of requests: those that are answered now, and those that are `waiting`.

    When `later` is there, `finish` makes the answers of what it gives.
    """

    now: list[Answered]
    waiting: Sequence[Command] = ()
    later: Awaitable[Any] | None = None
    finish: Callable[[Any], list[Answered]] = list


class Together:
    """Answers several requests at once. It refuses by an answer: what it raises is the answer of them all."""

    __slots__ = ("answer",)

    def __init__(self, answer: Callable[[Sequence[Command], Connection], Answers]) -> None:
        self.answer = answer


Table = Mapping[int, Handler | Together]

H = TypeVar("H", bound=Header)


def on(header_type: type[H], function: Callable[[H, Command, Connection], Answer]) -> Handler:
    """A handler for `function(header, request, connection)` with the header decoded to its type."""

    def handler(request: Command, connection: Connection) -> Answer:
        return function(request.header(header_type), request, connection)

    return handler


def together(header_type: type[H], function: Callable[[list[tuple[H, Command]], Connection], Answers]) -> Together:
    """The same for `function([(header, request), ...], connection)`; a header that is none is refused for itself."""

    def answer(requests: Sequence[Command], connection: Connection) -> Answers:
        decoded: list[tuple[H, Command]] = []
        refused: list[Answered] = []
        for request in requests:
            try:
                decoded.append((request.header(header_type), request))
            except RequestError as error:
                refused.append((request, failure(request, error, connection.peer)))
        answers = function(decoded, connection)
        answers.now.extend(refused)
        return answers

    return Together(answer)


def failure(request: Command, error: BaseException, peer: str) -> Command:
    """The answer to a request that could not be carried out. What is nobody's mistake but ours is logged."""
    if isinstance(error, RequestError):
        return request.refuse(error.code, error.remark)
    if isinstance(error, ProtocolError):
        return request.refuse(ResponseCode.SYSTEM_ERROR, str(error))
    if isinstance(error, ServerError):
        log.error("request %s from %s failed: %s", code_name(request.code), peer, error)
        return request.refuse(ResponseCode.SYSTEM_ERROR, str(error))
    log.error("request %s from %s failed", code_name(request.code), peer, exc_info=error)
    return request.refuse(ResponseCode.SYSTEM_ERROR, f"{type(error).__name__}: {error}")


def code_name(code: int) -> str:
    """A request code for people: its name where it has one."""
    try:
        return RequestCode(code).name
    except ValueError:
        return f"code {code}"
