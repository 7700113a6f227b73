"""One TCP connection, seen from either end: both sides send requests and answers over it (protocol section 2.4).

The fast path has no task: `data_received` cuts frames, looks each request's code up in the table, calls the function,
and writes all the answers of that turn at once. Only a handler that returns an awaitable costs one. Requests that the
table wants together are gathered and answered at the end of the turn (gathering.py), dear ones have a share of each
turn (turns.py).

Back-pressure: a peer that does not read its answers is not read from, and what it already sent is not carried out
until it reads; a peer with too many requests under way is answered SYSTEM_BUSY; bytes that cannot be RocketMQ's close
the connection with one line in the log.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from typing import Any, Final, cast

from rocket_net.dispatch import Handler, Reply, Table, code_name, error_of, failure
from rocket_net.errors import ConnectionLost, RequestTimeout
from rocket_net.gathering import Together
from rocket_net.limits import Limits
from rocket_net.turns import InTurn
from rocket_wire import frame
from rocket_wire.codes import V5_3_1, ResponseCode
from rocket_wire.command import ANSWER, ONEWAY, Command
from rocket_wire.errors import ProtocolError
from rocket_wire.frame import FrameBuffer, SerializeType

log = logging.getLogger("rocket.net")

#: What is written in one turn leaves in one piece, unless it is larger than this.
_FLUSH_BYTES: Final = 256 * 1024

#: What a handler returns that need not be awaited.
_ANSWERED: Final = (Command, bytes)


class Connection(asyncio.Protocol):
    """Sends and answers requests over one socket."""

    def __init__(
        self,
        table: Table,
        limits: Limits,
        serialize: SerializeType = SerializeType.JSON,
        on_open: Callable[[Connection], None] | None = None,
        on_close: Callable[[Connection], None] | None = None,
    ) -> None:
        self.peer = "?"
        self.local = "?"
        self.last_active = 0.0
        self.last_heard = 0.0
        self.in_flight = 0
        self.draining = False
        #: We made the connection, and always read from it: the peer may not read our requests before its answers left.
        self.dialled = False
        self._table = table
        self._limits = limits
        self._serialize = serialize
        self._on_open = on_open
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._frames = FrameBuffer(limits.max_frame_bytes)
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._full = False
        self._room = asyncio.Event()
        self._room.set()
        self._held: Iterator[Command] | None = None
        self._later: list[Command] = []
        self._corked = False
        self._flush_due = False
        self._pending: dict[int, asyncio.Future[Command]] = {}
        self._waiting: set[asyncio.Future[Any]] = set()
        #: Where requests of this connection may be gathered.
        self._together: Together | None = None
        self._opaque = 0
        self._transport: asyncio.Transport | None = None

    def __repr__(self) -> str:
        return f"<Connection {self.local} to {self.peer}, {self.in_flight} in flight>"

    # -- what asyncio calls -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        self.peer = address_text(transport.get_extra_info("peername"))
        self.local = address_text(transport.get_extra_info("sockname"))
        self.last_active = self._loop.time()
        if self._on_open is not None:
            self._on_open(self)

    def data_received(self, data: bytes) -> None:
        self.last_active = self.last_heard = self._loop.time()
        commands = self._frames.feed(data)
        if self._held is None:
            self._consume(commands)
        else:  # a transport may hand over what it had already read when we paused it
            self._held = chain(self._held, commands)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._out.clear()
        self._held = None
        self._later.clear()
        self._full = False
        self._room.set()
        for future in self._pending.values():
            if not future.done():
                future.set_exception(ConnectionLost(f"connection to {self.peer} closed before the answer"))
        self._pending.clear()
        for waiting in list(self._waiting):  # nobody is left to answer: a held pull must not take messages
            waiting.cancel()
        if self._on_close is not None:
            self._on_close(self)

    def pause_writing(self) -> None:
        self._full = True
        self._room.clear()
        if self._transport is not None and not self.dialled:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._full = False
        self._room.set()
        if self._held is not None:
            held, self._held = chain(self._later, self._held), None
            self._later = []
            self._consume(held)
        if self._transport is not None and not self._full:
            self._transport.resume_reading()

    def limit_unread(self, size: int) -> None:
        """From so many bytes of unread answers on the peer is not read from."""
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=size)

    @property
    def is_full(self) -> bool:
        """Whether the peer leaves too many answers unread."""
        return self._full and not self.dialled

    def hold(self, request: Command) -> None:
        """Carries a request out when the peer has read, before all that came after it."""
        if self._held is None:
            self._held = iter(())
        self._later.append(request)

    # -- requests that the peer sends ---------------------------------------------------------------------------

    def _consume(self, commands: Iterator[Command]) -> None:
        self._corked = True
        try:
            for command in commands:
                if command.flag & ANSWER:
                    self._resolve(command)
                else:
                    self._dispatch(command)
                if self._full and not self.dialled:
                    self._held = commands  # their answers would only add to what the peer does not read
                    break
        except ProtocolError as error:
            self._carry_out()
            log.warning("connection %s closed: %s", self.peer, error)
            self.close()
        finally:
            self._corked = False
        self.flush()

    def _dispatch(self, request: Command) -> None:
        handler = self._table.get(request.code)
        if handler is not self._together or self.in_flight >= self._limits.max_in_flight:
            self._carry_out()
        if self.draining and request.version > V5_3_1:
            return self.answer(request, request.refuse(ResponseCode.GO_AWAY, "please go away"))
        if handler is None:
            remark = f"request type {request.code} not supported"
            return self.answer(request, request.refuse(ResponseCode.REQUEST_CODE_NOT_SUPPORTED, remark))
        if self.in_flight >= self._limits.max_in_flight:
            remark = f"[OVERLOAD] {self.in_flight} requests of this connection are under way"
            return self.answer(request, request.refuse(ResponseCode.SYSTEM_BUSY, remark))
        if isinstance(handler, Together):
            self._together = handler
            return handler.add(request, self)
        if isinstance(handler, InTurn):
            return handler.add(request, self)
        return self.run(handler, request)

    def run(self, handler: Handler, request: Command) -> None:
        """Has `handler` answer a request of this connection: at once, or when what it returns has ended."""
        try:
            result = handler(request, self)
        except Exception as error:
            return self.answer(request, failure(request, error, self.peer))
        if result is None or isinstance(result, _ANSWERED):
            return self.answer(request, result)
        return self._answer_later(request, result)

    def _carry_out(self) -> None:
        """Answers what was gathered before what comes now."""
        if self._together is not None:
            self._together.carry_out()

    def _answer_later(self, request: Command, result: Awaitable[Reply]) -> None:
        self.in_flight += 1
        waiting = asyncio.ensure_future(result)
        self._waiting.add(waiting)

        def done(future: asyncio.Future[Reply]) -> None:
            self.in_flight -= 1
            self._waiting.discard(future)
            error = error_of(future)
            self.answer(request, future.result() if error is None else failure(request, error, self.peer))
            self._flush_soon()

        waiting.add_done_callback(done)

    def answer(self, request: Command, reply: Reply) -> None:
        """Writes an answer, which leaves with the next `flush`."""
        if reply is None or request.flag & ONEWAY:
            return
        if not isinstance(reply, bytes):
            try:
                reply = frame.encode(reply, self._serialize)
            except (ValueError, TypeError, struct.error) as error:
                log.error("answer to %s from %s cannot be written", code_name(request.code), self.peer, exc_info=error)
                refusal = request.refuse(ResponseCode.SYSTEM_ERROR, "the answer cannot be written")
                reply = frame.encode(refusal, self._serialize)
        self._write(reply)

    # -- requests that we send ----------------------------------------------------------------------------------

    async def call(self, request: Command, timeout: float = 3.0) -> Command:
        """The peer's answer, whatever its code. Raises RequestTimeout or ConnectionLost. Seconds."""
        future: asyncio.Future[Command] = self._loop.create_future()
        opaque = self._next_opaque()
        request.opaque = opaque
        self._pending[opaque] = future
        expiry = self._loop.call_later(timeout, self._expire, opaque, request.code, timeout)
        try:
            self._write(frame.encode(request, self._serialize))
            self._flush_soon()
            return await future
        finally:
            expiry.cancel()
            self._pending.pop(opaque, None)

    def tell(self, request: Command) -> None:
        """Sends a one-way request. Raises ConnectionLost when the connection is closed."""
        request.opaque = self._next_opaque()
        self._write(frame.encode(request, self._serialize))
        self._flush_soon()

    def _resolve(self, reply: Command) -> None:
        future = self._pending.get(reply.opaque)
        if future is not None and not future.done():
            future.set_result(reply)

    def _expire(self, opaque: int, code: int, timeout: float) -> None:
        future = self._pending.get(opaque)
        if future is not None and not future.done():
            future.set_exception(RequestTimeout(f"{self.peer} did not answer {code_name(code)} within {timeout:g} s"))

    def _next_opaque(self) -> int:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLost(f"connection to {self.peer} is closed")
        self._opaque = (self._opaque + 1) & 0x7FFFFFFF
        return self._opaque

    # -- writing ------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def drain(self, timeout: float = 3.0) -> None:
        """Returns once little waits to be read by the peer: mostly at once. For who sends and awaits no answer.

        Raises RequestTimeout when the peer has not read for `timeout` seconds.
        """
        if self._full:
            try:
                async with asyncio.timeout(timeout):
                    await self._room.wait()
            except TimeoutError:
                raise RequestTimeout(f"{self.peer} did not read what it was sent within {timeout:g} s") from None

    def close(self) -> None:
        """Closes after what is written has left, or after `shutdown_seconds` where the peer does not read it."""
        self.flush()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
            self._loop.call_later(self._limits.shutdown_seconds, self.abort)

    def abort(self) -> None:
        """Closes at once; what has not left is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, encoded: bytes) -> None:
        self._out.append(encoded)
        self._out_bytes += len(encoded)
        if self._out_bytes >= _FLUSH_BYTES:
            self.flush()

    def _flush_soon(self) -> None:
        """What is written leaves at the end of this turn of the loop."""
        if not self._corked and not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush_turn)

    def _flush_turn(self) -> None:
        self._flush_due = False
        self.flush()

    def flush(self) -> None:
        """Sends what is written now."""
        if self._out and self.is_open:
            out, transport = self._out, cast(asyncio.Transport, self._transport)
            transport.write(out[0] if len(out) == 1 else b"".join(out))
            self.last_active = self._loop.time()
            if self._full and not self.dialled:
                self._bound_unread(transport)
        self._out.clear()
        self._out_bytes = 0

    def _bound_unread(self, transport: asyncio.Transport) -> None:
        unread = transport.get_write_buffer_size()
        if unread > self._limits.max_unread_bytes:
            log.warning("connection %s cut: it leaves %d bytes of answers unread", self.peer, unread)
            transport.abort()


def address_text(address: object) -> str:
    """`host:port` as RocketMQ writes it; IPv6 hosts stand in brackets."""
    if not isinstance(address, tuple):
        return str(address)
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
