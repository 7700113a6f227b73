"""What becomes of a request: answered, refused, answered later, or never."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, on
from rocket_net.server import Server
from rocket_testing.peer import Peer
from rocket_wire import frame
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command, request
from rocket_wire.errors import RequestError
from rocket_wire.frame import SerializeType
from rocket_wire.headers.header import Header

Listen = Callable[[Server], Awaitable[int]]
Dial = Callable[[int], Awaitable[Peer]]

ECHO, LATER, REFUSED, BROKEN, LATER_BROKEN, SILENT, ENCODED, TYPED, UNWRITABLE, CANCELLED = range(1, 11)


class Name(Header, frozen=True):
    name: str


class Handlers:
    """One handler of each kind; those that answer later wait for their release."""

    def __init__(self) -> None:
        self.release: dict[bytes, asyncio.Event] = {name: asyncio.Event() for name in (b"a", b"b", b"c")}
        self.carried_out: list[int] = []
        self.table = {
            ECHO: self.echo,
            LATER: self.later,
            REFUSED: self.refused,
            BROKEN: self.broken,
            LATER_BROKEN: self.later_broken,
            SILENT: self.silent,
            ENCODED: lambda request, connection: frame.encode(request.reply(body=b"ready made")),
            TYPED: on(Name, lambda header, request, connection: request.reply(body=header.name.encode())),
            UNWRITABLE: lambda request, connection: request.refuse(1, "\ud800"),
            CANCELLED: self.cancelled,
        }

    def echo(self, request: Command, connection: Connection) -> Answer:
        self.carried_out.append(request.opaque)
        return request.reply(body=request.body)

    async def later(self, request: Command, connection: Connection) -> Command:
        await self.release[request.body].wait()
        return request.reply(body=request.body)

    def refused(self, request: Command, connection: Connection) -> Answer:
        raise RequestError(ResponseCode.NO_PERMISSION, "not writable")

    def broken(self, request: Command, connection: Connection) -> Answer:
        raise ZeroDivisionError("by accident")

    async def later_broken(self, request: Command, connection: Connection) -> Command:
        await asyncio.sleep(0)
        raise ZeroDivisionError("by accident")

    def silent(self, request: Command, connection: Connection) -> Answer:
        return None

    def cancelled(self, request: Command, connection: Connection) -> Answer:
        future: asyncio.Future[Command] = asyncio.get_running_loop().create_future()
        future.cancel()
        return future


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def peer(handlers: Handlers, listen: Listen, dial: Dial) -> Peer:
    return await dial(await listen(Server(handlers.table)))


def asked(code: int, opaque: int, body: bytes = b"", *, oneway: bool = False) -> Command:
    command = request(code, body=body, oneway=oneway)
    command.opaque = opaque
    return command


async def test_requests_sent_at_once_are_answered_in_order(peer: Peer) -> None:
    await peer.send(*(asked(ECHO, opaque, b"%d" % opaque) for opaque in range(100)))
    answers = [await peer.receive() for _ in range(100)]
    assert [(reply.opaque, reply.body) for reply in answers] == [(n, b"%d" % n) for n in range(100)]
    assert all(reply.is_answer for reply in answers)


async def test_an_answer_that_must_wait_holds_up_no_other(peer: Peer, handlers: Handlers) -> None:
    await peer.send(asked(LATER, 1, b"a"), asked(LATER, 2, b"b"), asked(ECHO, 3))
    assert (await peer.receive()).opaque == 3
    handlers.release[b"b"].set()
    assert (await peer.receive()).opaque == 2
    handlers.release[b"a"].set()
    assert (await peer.receive()).opaque == 1


@pytest.mark.parametrize("opaque", [0, -1, 2**31 - 1, -(2**31)])
async def test_any_opaque_comes_back(peer: Peer, opaque: int) -> None:
    await peer.send(asked(ECHO, opaque))
    assert (await peer.receive()).opaque == opaque


async def test_an_unknown_code_is_answered_with_3_and_named(peer: Peer) -> None:
    await peer.send(asked(9999, 1), asked(-5, 2))
    for code in (9999, -5):
        reply = await peer.receive()
        assert (reply.code, reply.remark) == (3, f"request type {code} not supported")


async def test_a_refusal_is_answered_with_its_code_and_remark(peer: Peer) -> None:
    await peer.send(asked(REFUSED, 1))
    reply = await peer.receive()
    assert (reply.opaque, reply.code, reply.remark) == (1, 16, "not writable")


@pytest.mark.parametrize("code", [BROKEN, LATER_BROKEN])
async def test_a_handler_that_fails_is_answered_with_1_and_logged(
    peer: Peer, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    await peer.send(asked(code, 1), asked(ECHO, 2))
    replies = {(await peer.receive()).opaque: None, (await peer.receive()).opaque: None}
    assert set(replies) == {1, 2}
    [line] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert peer.address in line.getMessage()
    assert line.exc_info is not None


async def test_the_answer_to_a_failed_request_names_the_failure(peer: Peer) -> None:
    await peer.send(asked(BROKEN, 1))
    reply = await peer.receive()
    assert (reply.code, reply.remark) == (1, "ZeroDivisionError: by accident")


async def test_a_handler_that_is_cancelled_is_answered_with_1(peer: Peer) -> None:
    await peer.send(asked(CANCELLED, 1))
    assert (await peer.receive()).code == 1


async def test_an_answer_that_cannot_be_written_is_replaced_by_1(peer: Peer, caplog: pytest.LogCaptureFixture) -> None:
    await peer.send(asked(UNWRITABLE, 1), asked(ECHO, 2))
    replies = [await peer.receive(), await peer.receive()]
    assert [(reply.opaque, reply.code) for reply in replies] == [(1, 1), (2, 0)]
    assert "cannot be written" in caplog.text


async def test_a_header_of_the_wrong_type_costs_only_its_request(peer: Peer) -> None:
    await peer.send(asked(TYPED, 1), Command(TYPED, opaque=2, ext={"name": "x"}))
    missing, good = await peer.receive(), await peer.receive()
    assert (missing.opaque, missing.code) == (1, 1)
    assert "name" in str(missing.remark)
    assert (good.opaque, good.code, good.body) == (2, 0, b"x")


async def test_an_encoded_answer_leaves_as_it_is(peer: Peer) -> None:
    await peer.send(asked(ENCODED, 4))
    reply = await peer.receive()
    assert (reply.opaque, reply.body) == (4, b"ready made")


@pytest.mark.parametrize("code", [ECHO, REFUSED, BROKEN, LATER_BROKEN, ENCODED, TYPED, UNWRITABLE, CANCELLED, 9999])
async def test_a_oneway_request_is_never_answered(peer: Peer, code: int) -> None:
    await peer.send(asked(code, 1, oneway=True))
    await peer.send(asked(LATER_BROKEN, 2))
    assert (await peer.receive()).opaque == 2


async def test_a_oneway_request_is_carried_out(peer: Peer, handlers: Handlers) -> None:
    await peer.send(asked(ECHO, 1, oneway=True), asked(ECHO, 2))
    assert (await peer.receive()).opaque == 2
    assert handlers.carried_out == [1, 2]


async def test_a_handler_may_give_no_answer(peer: Peer) -> None:
    await peer.send(asked(SILENT, 1), asked(ECHO, 2))
    assert (await peer.receive()).opaque == 2


async def test_an_answer_nobody_asked_for_is_ignored(peer: Peer) -> None:
    await peer.send(Command(0, opaque=1, flag=1), asked(ECHO, 2))
    assert (await peer.receive()).opaque == 2


@pytest.mark.parametrize("ours", SerializeType)
@pytest.mark.parametrize("theirs", SerializeType)
async def test_answers_are_written_in_the_servers_own_encoding(
    listen: Listen, dial: Dial, handlers: Handlers, ours: SerializeType, theirs: SerializeType
) -> None:
    peer = await dial(await listen(Server(handlers.table, serialize=ours)))
    await peer.send(asked(ECHO, 1), serialize=theirs)
    assert (await peer.receive_bytes())[4] == ours
