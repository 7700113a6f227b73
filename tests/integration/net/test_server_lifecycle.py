"""Starting and stopping: the port, what is under way, and who is told to go."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Awaitable, Callable

import pytest

from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_net.limits import Limits
from rocket_net.server import AddressInUse, Server
from rocket_testing.peer import DEADLINE, Peer, until
from rocket_wire.command import Command

Listen = Callable[[Server], Awaitable[int]]
Dial = Callable[..., Awaitable[Peer]]

ECHO, LATER, BIG = 1, 2, 3
KNOWS_GO_AWAY, KNOWS_IT_NOT = 476, 475


class Handlers:
    def __init__(self) -> None:
        self.waiting = 0
        self.released = asyncio.Event()
        self.table = {ECHO: self.echo, LATER: self.later, BIG: self.big}

    def echo(self, request: Command, connection: Connection) -> Answer:
        return request.reply(body=request.body)

    def big(self, request: Command, connection: Connection) -> Answer:
        return request.reply(body=bytes(1 << 20))

    async def later(self, request: Command, connection: Connection) -> Command:
        self.waiting += 1
        await self.released.wait()
        return request.reply(body=b"at last")


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


async def stopped(server: Server) -> None:
    async with asyncio.timeout(DEADLINE):
        await server.stop()


async def test_a_port_in_use_is_named_and_says_what_to_do(listen: Listen, handlers: Handlers) -> None:
    port = await listen(Server(handlers.table))
    with pytest.raises(AddressInUse, match=rf"port {port} on 127\.0\.0\.1 is in use.*another port") as caught:
        await Server(handlers.table).start("127.0.0.1", port)
    assert caught.value.errno == errno.EADDRINUSE


async def test_a_port_can_be_taken_again_after_a_stop(listen: Listen, dial: Dial, handlers: Handlers) -> None:
    first = Server(handlers.table)
    port = await listen(first)
    peer = await dial(port)
    await peer.send(Command(ECHO))
    await peer.receive()
    await stopped(first)
    second = Server(handlers.table)
    assert await second.start("127.0.0.1", port) == port
    await stopped(second)


async def test_an_address_of_another_machine_is_an_error_but_not_in_use(handlers: Handlers) -> None:
    with pytest.raises(OSError) as caught:
        await Server(handlers.table).start("192.0.2.1", 0)
    assert not isinstance(caught.value, AddressInUse)


async def test_a_server_never_started_stops_at_once(handlers: Handlers) -> None:
    await stopped(Server(handlers.table))


async def test_stopping_twice_is_stopping_once(listen: Listen, handlers: Handlers) -> None:
    server = Server(handlers.table)
    await listen(server)
    await stopped(server)
    await stopped(server)


async def test_what_is_under_way_is_answered_before_the_connection_closes(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    server = Server(handlers.table)
    peer = await dial(await listen(server))
    await peer.send(Command(LATER, opaque=1), Command(LATER, opaque=2))
    await until(lambda: handlers.waiting == 2)
    stopping = asyncio.ensure_future(stopped(server))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    handlers.released.set()
    replies = await peer.until_closed()
    assert [(reply.opaque, reply.body) for reply in replies] == [(1, b"at last"), (2, b"at last")]
    await stopping


async def test_while_it_stops_new_requests_are_told_to_go_where_the_peer_knows_that(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    server = Server(handlers.table)
    peer = await dial(await listen(server))
    await peer.send(Command(LATER, opaque=1))
    await until(lambda: handlers.waiting == 1)
    stopping = asyncio.ensure_future(stopped(server))
    await until(lambda: all(connection.draining for connection in server.connections))
    await peer.send(Command(ECHO, version=KNOWS_GO_AWAY, opaque=2), Command(ECHO, version=KNOWS_IT_NOT, opaque=3))
    assert [((await peer.receive()).code) for _ in range(2)] == [1500, 0]
    handlers.released.set()
    assert [reply.opaque for reply in await peer.until_closed()] == [1]
    await stopping


async def test_while_it_stops_nobody_new_is_let_in(listen: Listen, dial: Dial, handlers: Handlers) -> None:
    server = Server(handlers.table)
    port = await listen(server)
    peer = await dial(port)
    await peer.send(Command(LATER))
    await until(lambda: handlers.waiting == 1)
    stopping = asyncio.ensure_future(stopped(server))
    await until(lambda: all(connection.draining for connection in server.connections))
    with contextlib.suppress(ConnectionError):  # refused, or accepted by the kernel and closed
        late = await dial(port)
        await late.send(Command(ECHO))
        assert await late.until_closed() == []
    handlers.released.set()
    await stopping


async def test_a_request_that_is_never_answered_does_not_hold_up_the_stop(
    listen: Listen, dial: Dial, handlers: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(handlers.table, Limits(shutdown_seconds=0.1))
    peer = await dial(await listen(server))
    await peer.send(Command(LATER))
    await until(lambda: handlers.waiting == 1)
    await stopped(server)
    assert await peer.until_closed() == []
    assert "1 requests unanswered" in caplog.text
    handlers.released.set()


async def test_a_peer_that_does_not_read_does_not_hold_up_the_stop(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    server = Server(handlers.table, Limits(shutdown_seconds=0.1))
    peer = await dial(await listen(server), 16 * 1024)
    await peer.send(*(Command(BIG) for _ in range(20)))
    await until(lambda: any(connection._full for connection in server.connections))
    await stopped(server)
    assert not server.connections


async def test_answers_already_written_are_delivered_by_the_stop(
    listen: Listen, dial: Dial, handlers: Handlers
) -> None:
    server = Server(handlers.table)
    peer = await dial(await listen(server), 16 * 1024)
    await peer.send(Command(BIG, opaque=1), Command(BIG, opaque=2))
    await until(lambda: any(connection.last_active for connection in server.connections))
    first = await peer.receive()
    stopping = asyncio.ensure_future(stopped(server))
    assert [first.opaque, *(reply.opaque for reply in await peer.until_closed())] == [1, 2]
    await stopping


async def test_on_close_is_told_of_each_connection_once(listen: Listen, dial: Dial, handlers: Handlers) -> None:
    closed: list[str] = []
    server = Server(handlers.table, on_close=lambda connection: closed.append(connection.peer))
    port = await listen(server)
    peers = [await dial(port) for _ in range(3)]
    for peer in peers:
        await peer.send(Command(ECHO))
        await peer.receive()
    peers[0].close()
    await until(lambda: len(closed) == 1)
    await stopped(server)
    assert sorted(closed) == sorted(set(closed))
    assert len(closed) == 3
