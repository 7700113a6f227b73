"""Peers that send garbage, do not read, ask too much, or vanish: each costs itself, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_net.limits import Limits
from rocket_net.server import Server
from rocket_testing.peer import Peer, until
from rocket_wire import frame
from rocket_wire.command import Command, request

Listen = Callable[[Server], Awaitable[int]]
Dial = Callable[..., Awaitable[Peer]]

ECHO, BIG, LATER = 1, 2, 3
BIG_BYTES = 64 * 1024


class Handlers:
    """ECHO answers the body, BIG a large one, LATER when released (small, or large where the body says so)."""

    def __init__(self) -> None:
        self.carried_out = 0
        self.given_up = 0
        self.released = asyncio.Event()
        self.table = {ECHO: self.echo, BIG: self.big, LATER: self.later}

    def echo(self, request: Command, connection: Connection) -> Answer:
        self.carried_out += 1
        return request.reply(body=request.body)

    def big(self, request: Command, connection: Connection) -> Answer:
        self.carried_out += 1
        return request.reply(body=bytes(BIG_BYTES))

    async def later(self, request: Command, connection: Connection) -> Command:
        self.carried_out += 1
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return request.reply(body=bytes(BIG_BYTES) if request.body == b"big" else b"")


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


def asked(code: int, opaque: int, body: bytes = b"") -> Command:
    command = request(code, body=body)
    command.opaque = opaque
    return command


async def is_served(peer: Peer) -> bool:
    await peer.send(asked(ECHO, 42))
    return (await peer.receive()).opaque == 42


async def test_a_request_that_trickles_in_is_answered_once(listen: Listen, dial: Dial, handlers: Handlers) -> None:
    peer = await dial(await listen(Server(handlers.table)))
    for byte in frame.encode(asked(ECHO, 7, b"body")):
        await peer.send_bytes(bytes([byte]))
        await asyncio.sleep(0)
    assert (await peer.receive()).opaque == 7
    assert handlers.carried_out == 1


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
        pytest.param(b"\x00\x00\x00\x03\x00\x00\x00\x00", id="a length that lies"),
        pytest.param(b"\x00\x00\x00\x0a\x00\x00\x00\x06hello!", id="a header that is no JSON"),
        pytest.param(b"\x00\x00\x00\x06\x09\x00\x00\x02{}", id="a header of unknown type"),
        pytest.param(b"\x7f\xff\xff\xff", id="a huge frame"),
    ],
)
async def test_garbage_closes_its_connection_after_what_came_before_is_answered(
    listen: Listen, dial: Dial, handlers: Handlers, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    port = await listen(Server(handlers.table))
    bad, good = await dial(port), await dial(port)
    await bad.send_bytes(frame.encode(asked(ECHO, 1)) + garbage + frame.encode(asked(ECHO, 2)))
    assert [reply.opaque for reply in await bad.until_closed()] == [1]
    assert await is_served(good)
    assert handlers.carried_out == 2
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert bad.address in line


async def test_a_frame_cut_short_by_the_end_of_the_stream_is_dropped(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    server = Server(handlers.table)
    peer = await dial(await listen(server))
    await peer.send_bytes(frame.encode(asked(ECHO, 1, b"body"))[:-1])
    await until(lambda: len(server.connections) == 1)
    peer.close()
    await until(lambda: not server.connections)
    assert handlers.carried_out == 0


async def test_a_frame_above_the_limit_closes_before_it_is_read(listen: Listen, dial: Dial, handlers: Handlers) -> None:
    peer = await dial(await listen(Server(handlers.table, Limits(max_frame_bytes=1000))))
    await peer.send(asked(ECHO, 1, bytes(500)))
    assert (await peer.receive()).opaque == 1
    await peer.send_bytes((1001).to_bytes(4, "big"))
    assert await peer.until_closed() == []


async def test_who_does_not_read_is_not_read_from(listen: Listen, dial: Dial, handlers: Handlers) -> None:
    server = Server(handlers.table, Limits(write_buffer_bytes=256 * 1024))
    port = await listen(server)
    deaf = await dial(port, 16 * 1024)
    asking = asyncio.ensure_future(deaf.send(*(asked(BIG, n, bytes(16_384)) for n in range(1_000))))
    await until(lambda: handlers.carried_out > 0)
    before = -1
    while before != handlers.carried_out:  # the kernel's buffers fill, then nothing moves
        before = handlers.carried_out
        await asyncio.sleep(0.2)
    assert not asking.done()
    assert await is_served(await dial(port))
    [connection] = [connection for connection in server.connections if connection.peer == deaf.address]
    assert connection._transport is not None
    assert connection._transport.get_write_buffer_size() < 256 * 1024 + 5 * BIG_BYTES

    for n in range(1_000):
        assert (await deaf.receive()).opaque == n
    await asking


async def test_requests_that_came_in_one_piece_wait_for_the_answers_to_be_read(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    peer = await dial(await listen(Server(handlers.table, Limits(write_buffer_bytes=256 * 1024))), 16 * 1024)
    await peer.send(*(asked(BIG, n) for n in range(1000)))
    await until(lambda: handlers.carried_out > 0)
    await asyncio.sleep(0.1)
    assert handlers.carried_out < 200  # of 64 KiB each: the kernel's buffers and ours, not all thousand
    assert [(await peer.receive()).opaque for _ in range(1000)] == list(range(1000))


async def test_garbage_behind_requests_that_wait_closes_when_it_is_reached(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    limits = Limits(write_buffer_bytes=256 * 1024)
    peer = await dial(await listen(Server(handlers.table, limits)), 16 * 1024)
    await peer.send_bytes(b"".join(frame.encode(asked(BIG, n)) for n in range(300)) + b"garbage, no frame")
    assert [reply.opaque for reply in await peer.until_closed()] == list(range(300))


async def test_late_answers_that_nobody_reads_cut_the_connection(
    listen: Listen, dial: Dial, handlers: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(write_buffer_bytes=256 * 1024, max_unread_bytes=2 * 1024 * 1024)
    server = Server(handlers.table, limits)
    port = await listen(server)
    deaf = await dial(port, 16 * 1024)
    await deaf.send(*(asked(LATER, n, b"big") for n in range(500)))
    await until(lambda: handlers.carried_out == 500)
    handlers.released.set()
    await until(lambda: not server.connections)
    assert "unread" in caplog.text
    assert await is_served(await dial(port))


async def test_a_slow_reader_below_the_bound_gets_every_late_answer(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    limits = Limits(write_buffer_bytes=64 * 1024, max_unread_bytes=16 * 1024 * 1024)
    peer = await dial(await listen(Server(handlers.table, limits)), 16 * 1024)
    await peer.send(*(asked(LATER, n, b"big") for n in range(100)))
    await until(lambda: handlers.carried_out == 100)
    handlers.released.set()
    await asyncio.sleep(0.1)
    assert sorted([(await peer.receive()).opaque for _ in range(100)]) == list(range(100))
    assert await is_served(peer)


async def test_too_many_requests_under_way_are_answered_busy(listen: Listen, dial: Dial, handlers: Handlers) -> None:
    port = await listen(Server(handlers.table, Limits(max_in_flight=3)))
    peer, other = await dial(port), await dial(port)
    await peer.send(*(asked(LATER, n) for n in range(5)))
    for n in (3, 4):
        reply = await peer.receive()
        assert (reply.opaque, reply.code) == (n, 2)
        assert str(reply.remark).startswith("[OVERLOAD]")
    assert await is_served(other)
    handlers.released.set()
    assert {(await peer.receive()).opaque for _ in range(3)} == {0, 1, 2}
    await peer.send(asked(LATER, 9))
    assert ((await peer.receive()).code) == 0


async def test_connections_above_the_cap_are_refused_until_one_leaves(
    listen: Listen, dial: Dial, handlers: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []
    server = Server(handlers.table, Limits(max_connections=2), on_close=lambda connection: closed.append("closed"))
    port = await listen(server)
    first, second = await dial(port), await dial(port)
    assert await is_served(first)
    assert await is_served(second)
    assert await (await dial(port)).until_closed() == []
    assert closed == []  # who was never let in does not leave
    assert "refused" in caplog.text
    assert await is_served(first)
    second.close()
    await until(lambda: closed == ["closed"])
    assert await is_served(await dial(port))


async def test_a_silent_connection_is_closed_and_a_busy_one_is_not(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    port = await listen(Server(handlers.table, Limits(idle_seconds=0.4)))
    silent, busy = await dial(port), await dial(port)
    closing = asyncio.ensure_future(silent.until_closed())
    while not closing.done():
        assert await is_served(busy)
        await asyncio.sleep(0.02)
    assert await closing == []
    assert await is_served(busy)


async def test_a_peer_that_neither_reads_nor_writes_is_closed_in_the_end(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    server = Server(handlers.table, Limits(idle_seconds=0.2, write_buffer_bytes=64 * 1024, shutdown_seconds=0.2))
    stuck = await dial(await listen(server), 16 * 1024)
    await stuck.send(*(asked(BIG, n) for n in range(500)))
    await until(lambda: handlers.carried_out > 0)
    await until(lambda: not server.connections)


async def test_who_vanishes_while_waiting_leaves_nothing_behind(
    listen: Listen, dial: Dial, handlers: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []
    server = Server(handlers.table, on_close=lambda connection: closed.append(connection.peer))
    port = await listen(server)
    leaver, stayer = await dial(port), await dial(port)
    address = leaver.address
    await leaver.send(*(asked(LATER, n) for n in range(3)))
    await until(lambda: handlers.carried_out == 3)
    leaver.reset()
    await until(lambda: closed == [address] and handlers.given_up == 3)
    assert await is_served(stayer)
    assert [record for record in caplog.records if record.levelno >= 30] == []


async def test_a_server_survives_a_crowd_that_connects_and_leaves(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    server = Server(handlers.table)
    port = await listen(server)
    for _ in range(100):
        peer = await dial(port)
        await peer.send_bytes(b"\x00\x00")
        peer.reset()
    assert await is_served(await dial(port))
    await until(lambda: len(server.connections) == 1)
