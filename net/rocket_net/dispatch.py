"""From request code to function: the one table, and what becomes of a function's result.

A handler is a plain function. It returns the answer (a command, or an encoded frame where the path is hot), None when
nothing is to be answered, or an awaitable when the answer must wait: only that costs a task. What a handler raises
becomes an answer: RequestError its own code, ServerError SYSTEM_ERROR and a line in the log, anything else the same
with a traceback: a fault of the program.

Where what many requests share is dear (a write to the disk, a task), the table has a `Together` instead (gathering.py);
where each is dear and others shall not wait for all of them, an `InTurn` (turns.py).
"""

from __future__ import annotations

import logging
from asyncio import CancelledError, Future
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import ProtocolError, RequestError, ServerError
from rocket_wire.headers.header import Header

if TYPE_CHECKING:
    from rocket_net.connection import Connection
    from rocket_net.gathering import Together
    from rocket_net.turns import InTurn

log = logging.getLogger("rocket.net")

Reply = Command | bytes | None
Answer = Reply | Awaitable[Reply]
Handler = Callable[[Command, "Connection"], Answer]
Table = Mapping[int, "Handler | Together | InTurn"]

H = TypeVar("H", bound=Header)


def on(header_type: type[H], function: Callable[[H, Command, Connection], Answer]) -> Handler:
    """A handler for `function(header, request, connection)` with the header decoded to its type."""

    def handler(request: Command, connection: Connection) -> Answer:
        return function(request.header(header_type), request, connection)

    return handler


def failure(request: Command, error: BaseException, peer: str) -> Command:
    """The answer to a request that could not be carried out. What is nobody's mistake but ours is logged."""
    if isinstance(error, RequestError):
        return request.refuse(error.code, error.remark)
    if isinstance(error, ProtocolError):
        return request.refuse(ResponseCode.SYSTEM_ERROR, str(error))
    if isinstance(error, ServerError):
        log.error("request %s from %s failed: %s", code_name(request.code), peer, error)
        return request.refuse(ResponseCode.SYSTEM_ERROR, str(error))
    if isinstance(error, CancelledError):
        return request.refuse(ResponseCode.SYSTEM_ERROR, "the broker gave this request up")
    log.error("request %s from %s failed", code_name(request.code), peer, exc_info=error)
    return request.refuse(ResponseCode.SYSTEM_ERROR, f"{type(error).__name__}: {error}")


def error_of(done: Future[Any]) -> BaseException | None:
    """Why an awaitable gave nothing: what it raised, or that it was cancelled. None where it gave something."""
    return CancelledError() if done.cancelled() else done.exception()


def code_name(code: int) -> str:
    """A request code for people: its name where it has one."""
    try:
        return RequestCode(code).name
    except ValueError:
        return f"code {code}"
