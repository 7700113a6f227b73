"""Requests that we send: their answers, and each way in which there can be none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rocket_net.client import Client
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_net.errors import ConnectFailed, ConnectionLost, RequestTimeout, TransportError
from rocket_net.limits import Limits
from rocket_net.server import Server
from rocket_testing.peer import DEADLINE, until
from rocket_testing.ports import free_port
from rocket_wire.command import Command, request
from rocket_wire.frame import SerializeType

Listen = Callable[[Server], Awaitable[int]]

ECHO, LATER, NEVER, HANG_UP, GARBAGE, ASK_BACK, TAKE = range(1, 8)


class Handlers:
    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.connections: set[Connection] = set()
        self.carried_out = 0
        self.table = {
            ECHO: self.echo, LATER: self.later, NEVER: self.never, HANG_UP: self.hang_up, GARBAGE: self.garbage,
            ASK_BACK: self.ask_back, TAKE: self.take,
        }  # fmt: skip

    def echo(self, request: Command, connection: Connection) -> Answer:
        self.connections.add(connection)
        self.carried_out += 1
        return request.reply(body=request.body)

    async def later(self, request: Command, connection: Connection) -> Command:
        self.carried_out += 1
        await self.released.wait()
        return request.reply(body=request.body)

    def never(self, request: Command, connection: Connection) -> Answer:
        self.carried_out += 1
        return None

    def hang_up(self, request: Command, connection: Connection) -> Answer:
        connection.abort()
        return None

    def garbage(self, request: Command, connection: Connection) -> Answer:
        return b"this is no frame"

    async def ask_back(self, request: Command, connection: Connection) -> Command:
        answers = await asyncio.gather(*(connection.call(Command(ECHO, body=b"%d" % n)) for n in range(5)))
        return request.reply(body=b",".join(answer.body for answer in answers))

    def take(self, request: Command, connection: Connection) -> Answer:
        self.carried_out += 1
        return None


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def address(handlers: Handlers, listen: Listen) -> str:
    return f"127.0.0.1:{await listen(Server(handlers.table))}"


async def is_answered(client: Client, address: str) -> bool:
    return (await client.call(address, request(ECHO, body=b"x"), DEADLINE)).body == b"x"


async def until_raises(waiting: Awaitable[Command], error: type[TransportError]) -> str:
    """The text of the error that a call ends with."""
    with pytest.raises(error) as caught:
        await waiting
    return str(caught.value)


async def test_answers_find_their_callers_whatever_their_order(
    client: Client, address: str, handlers: Handlers
) -> None:
    later = [asyncio.ensure_future(client.call(address, request(LATER, body=b"%d" % n))) for n in range(20)]
    echoes = await asyncio.gather(*(client.call(address, request(ECHO, body=b"%d" % n)) for n in range(100)))
    assert [echo.body for echo in echoes] == [b"%d" % n for n in range(100)]
    handlers.released.set()
    assert [answer.body for answer in await asyncio.gather(*later)] == [b"%d" % n for n in range(20)]


@pytest.mark.parametrize("serialize", SerializeType)
async def test_a_client_may_write_either_encoding(address: str, serialize: SerializeType) -> None:
    client = Client(serialize=serialize)
    assert await is_answered(client, address)
    await client.close()


async def test_a_large_request_and_answer_pass(client: Client, address: str) -> None:
    body = bytes(range(256)) * 4096 * 8
    assert (await client.call(address, request(ECHO, body=body), DEADLINE)).body == body


async def test_an_answer_with_any_code_is_an_answer(client: Client, address: str) -> None:
    assert (await client.call(address, request(9999))).code == 3


async def test_nobody_listening_is_a_failed_connection_that_names_the_address(client: Client) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert address in await until_raises(client.call(address, request(ECHO)), ConnectFailed)


@pytest.mark.parametrize("address", ["", "localhost", ":1", "host:", "host:x", "host:70000", "host:-1", "\udcff:1"])
async def test_what_is_no_address_is_a_failed_connection(client: Client, address: str) -> None:
    await until_raises(client.call(address, request(ECHO)), ConnectFailed)


async def test_an_unknown_host_is_a_failed_connection(client: Client) -> None:
    await until_raises(client.call("no-such-host.invalid:1", request(ECHO), DEADLINE), ConnectFailed)


async def test_a_server_that_came_back_is_called_again(client: Client, handlers: Handlers, listen: Listen) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}"
    await until_raises(client.call(address, request(ECHO)), ConnectFailed)
    for _ in range(2):
        server = Server(handlers.table)
        await server.start("127.0.0.1", port)
        assert await is_answered(client, address)
        await server.stop()
        await until(lambda: client.open_connection(address) is None)


async def test_no_answer_in_time_names_peer_code_and_time(client: Client, address: str) -> None:
    text = await until_raises(client.call(address, request(NEVER), 0.1), RequestTimeout)
    assert text.startswith(f"{address} did not answer code 3 within 0.")


async def test_a_silent_server_is_left_so_that_the_next_call_connects_anew(
    client: Client, address: str, handlers: Handlers
) -> None:
    assert await is_answered(client, address)
    await until_raises(client.call(address, request(NEVER), 0.1), RequestTimeout)
    assert client.open_connection(address) is None
    assert await is_answered(client, address)
    assert len(handlers.connections) == 2


async def test_a_server_that_answers_others_meanwhile_is_not_left(
    client: Client, address: str, handlers: Handlers
) -> None:
    unanswered = asyncio.ensure_future(client.call(address, request(NEVER), 0.3))
    while not unanswered.done():
        assert await is_answered(client, address)
        await asyncio.sleep(0.02)
    await until_raises(unanswered, RequestTimeout)
    assert await is_answered(client, address)
    assert len(handlers.connections) == 1


async def test_an_answer_that_comes_too_late_is_dropped(client: Client, address: str, handlers: Handlers) -> None:
    late = asyncio.ensure_future(client.call(address, request(LATER, body=b"late"), 0.3))
    while not late.done():
        assert await is_answered(client, address)
        await asyncio.sleep(0.02)
    await until_raises(late, RequestTimeout)
    handlers.released.set()
    assert await is_answered(client, address)


async def test_a_connection_lost_ends_every_call_on_it(client: Client, address: str, handlers: Handlers) -> None:
    waiting = [asyncio.ensure_future(client.call(address, request(LATER), DEADLINE)) for _ in range(3)]
    await until(lambda: handlers.carried_out == 3)
    waiting.append(asyncio.ensure_future(client.call(address, request(HANG_UP), DEADLINE)))
    for call in waiting:
        assert address in await until_raises(call, ConnectionLost)
    assert await is_answered(client, address)


async def test_a_server_that_answers_garbage_is_a_connection_lost(
    client: Client, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    await until_raises(client.call(address, request(GARBAGE), DEADLINE), ConnectionLost)
    assert "not RocketMQ" in caplog.text
    assert await is_answered(client, address)


async def test_callers_share_one_connection(client: Client, address: str, handlers: Handlers) -> None:
    assert all(await asyncio.gather(*(is_answered(client, address) for _ in range(50))))
    assert len(handlers.connections) == 1


async def test_a_caller_cancelled_while_connecting_does_not_break_the_others(
    client: Client, address: str, handlers: Handlers
) -> None:
    first = asyncio.ensure_future(is_answered(client, address))
    others = [asyncio.ensure_future(is_answered(client, address)) for _ in range(3)]
    await asyncio.sleep(0)
    first.cancel()
    assert all(await asyncio.gather(*others))
    assert first.cancelled()
    assert len(handlers.connections) == 1


async def test_a_caller_cancelled_while_waiting_does_not_break_the_others(
    client: Client, address: str, handlers: Handlers
) -> None:
    calls = [asyncio.ensure_future(client.call(address, request(LATER, body=b"%d" % n), DEADLINE)) for n in range(3)]
    await until(lambda: handlers.carried_out == 3)
    calls[1].cancel()
    handlers.released.set()
    assert [(await calls[n]).body for n in (0, 2)] == [b"0", b"2"]
    assert await is_answered(client, address)


async def test_closing_the_client_ends_calls_under_way_as_lost(address: str, handlers: Handlers) -> None:
    client = Client()
    waiting = asyncio.ensure_future(client.call(address, request(LATER), DEADLINE))
    await until(lambda: handlers.carried_out == 1)
    await client.close()
    await until_raises(waiting, ConnectionLost)
    await until_raises(client.call(address, request(ECHO)), ConnectFailed)


async def test_closing_the_client_while_it_connects_is_a_failed_connection_and_no_cancellation(address: str) -> None:
    client = Client()
    waiting = asyncio.ensure_future(client.call(address, request(ECHO), DEADLINE))
    await asyncio.sleep(0)
    await client.close()
    await until_raises(waiting, ConnectFailed)


async def test_who_wants_to_know_is_told_which_connection_closed(address: str) -> None:
    closed: list[str] = []
    client = Client(on_close=closed.append)
    await until_raises(client.call(address, request(HANG_UP), DEADLINE), ConnectionLost)
    assert closed == [address]
    await client.close()


async def test_both_ends_ask_over_one_connection_at_the_same_time(address: str, handlers: Handlers) -> None:
    client = Client(table={ECHO: handlers.echo})
    answers = await asyncio.gather(*(client.call(address, request(ASK_BACK), DEADLINE) for _ in range(10)))
    assert {answer.body for answer in answers} == {b"0,1,2,3,4"}
    await client.close()


async def test_a_request_of_the_server_that_the_client_does_not_know_is_answered_3(
    client: Client, address: str, handlers: Handlers
) -> None:
    await is_answered(client, address)
    [connection] = handlers.connections
    assert (await connection.call(request(ECHO))).code == 3


async def test_oneway_requests_arrive_in_order_and_without_answer(
    client: Client, address: str, handlers: Handlers
) -> None:
    for _ in range(1000):
        await client.tell(address, request(TAKE, oneway=True))
    assert await is_answered(client, address)
    assert handlers.carried_out == 1001


async def test_who_sends_oneway_faster_than_the_server_reads_must_wait() -> None:
    stuck = asyncio.Event()

    async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stuck.wait()
        writer.transport.abort()

    server = await asyncio.start_server(never_read, "127.0.0.1", 0, limit=1024)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = Client(limits=Limits(write_buffer_bytes=1 << 20))
    sent = 0

    async def tell_all() -> None:
        nonlocal sent
        for sent in range(10_000):  # noqa: B007 - how far it came is what is asked
            await client.tell(address, request(TAKE, body=bytes(10_000), oneway=True), 0.3)

    with pytest.raises(RequestTimeout, match="did not read"):
        await tell_all()
    assert 100 < sent < 2_000
    stuck.set()
    await client.close()
    server.close()


async def test_a_flood_in_both_directions_does_not_lock_up(listen: Listen, handlers: Handlers) -> None:
    limits = Limits(write_buffer_bytes=64 * 1024)
    address = f"127.0.0.1:{await listen(Server(handlers.table, limits))}"
    client = Client(limits=limits)
    body = bytes(100_000)
    calls = [client.call(address, request(ECHO, body=body), DEADLINE) for _ in range(300)]
    assert {len(answer.body) for answer in await asyncio.gather(*calls)} == {len(body)}
    await client.close()
