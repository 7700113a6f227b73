"""From request code to function: the one table, and what becomes of a function's result.

A handler is a plain function. It returns the answer (a command, or an encoded frame where the path is hot), None when
nothing is to be answered, or an awaitable when the answer must wait: only that costs a task. What a handler raises
becomes an answer: RequestError its own code, anything else SYSTEM_ERROR and a line in the log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from rocket_wire.command import Command
from rocket_wire.headers.header import Header

if TYPE_CHECKING:
    from rocket_net.connection import Connection

Reply = Command | bytes | None
Answer = Reply | Awaitable[Reply]
Handler = Callable[[Command, "Connection"], Answer]
Table = Mapping[int, Handler]

H = TypeVar("H", bound=Header)


def on(header_type: type[H], function: Callable[[H, Command, Connection], Answer]) -> Handler:
    """A handler for `function(header, request, connection)` with the header decoded to its type."""

    def handler(request: Command, connection: Connection) -> Answer:
        return function(request.header(header_type), request, connection)

    return handler
