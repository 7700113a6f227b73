"""Name servers that are down, slow or answer garbage are left for one that works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rocket_client import Admin, Message, NoNameServer, Producer, SendStatus, TopicNotFound
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_net.server import Server
from rocket_testing.ports import free_port
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command


@asynccontextmanager
async def raw_server(answer: bytes) -> AsyncIterator[str]:
    """Answers whatever it is sent with these bytes, or says nothing."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def routes_server(body: bytes | None) -> AsyncIterator[str]:
    """Answers every question for a route with this body; None: such a topic does not exist."""

    def answer(request: Command, _: Connection) -> Answer:
        return request.refuse(17, "no such topic") if body is None else request.reply(body=body)

    server = Server({RequestCode.GET_ROUTEINFO_BY_TOPIC: answer})
    port = await server.start("127.0.0.1", 0)
    yield f"127.0.0.1:{port}"
    await server.stop()


async def send_through(addresses: list[str], topic: str) -> None:
    """One send for each order of the name servers, since a client begins with any of them."""
    for begin in range(len(addresses)):
        async with Producer(";".join(addresses)) as producer:
            producer._instance.namesrv._first = addresses[begin]
            result = await producer.send(Message(topic, "x"), timeout=4.0)
            assert result.status is SendStatus.SEND_OK


async def test_one_that_is_down(namesrv: str, topic: str) -> None:
    await send_through([f"127.0.0.1:{free_port()}", namesrv], topic)


async def test_one_that_says_nothing(namesrv: str, topic: str) -> None:
    async with raw_server(b"") as silent:
        await send_through([silent, namesrv], topic)


@pytest.mark.parametrize(
    "garbage",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x08\x00\x00\x00\x04nope", bytes(100), b"\xff" * 100],
    ids=["another protocol", "a frame that is none", "zeros", "ones"],
)
async def test_one_that_answers_garbage(namesrv: str, topic: str, garbage: bytes) -> None:
    async with raw_server(garbage) as babbling:
        await send_through([babbling, namesrv], topic)


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"queueDatas":7}'])
async def test_one_whose_route_is_none(namesrv: str, topic: str, body: bytes) -> None:
    async with routes_server(body) as wrong:
        await send_through([wrong, namesrv], topic)


async def test_one_that_has_just_started_and_knows_nothing(namesrv: str, topic: str) -> None:
    async with routes_server(None) as empty:
        await send_through([empty, namesrv], topic)


async def test_a_topic_is_absent_only_when_all_that_answer_say_so(namesrv: str, topic: str) -> None:
    async with routes_server(None) as empty, Admin(f"{empty};{namesrv};127.0.0.1:{free_port()}") as admin:
        with pytest.raises(TopicNotFound):
            await admin.route(topic)


async def test_when_none_works_the_error_has_each_ones_failure() -> None:
    down = f"127.0.0.1:{free_port()}"
    async with (
        raw_server(b"\xff" * 100) as babbling,
        routes_server(b"no JSON") as wrong,
        Producer(f"{down};{babbling};{wrong}") as producer,
    ):
        with pytest.raises(NoNameServer) as failure:
            await producer.send(Message("T", "x"))
        assert all(address in str(failure.value) for address in (down, babbling, wrong))


async def test_the_choice_stays_with_one_that_works(namesrv: str, topic: str) -> None:
    async with Admin(f"127.0.0.1:{free_port()};{namesrv}") as admin:
        await admin.create_topic(topic)
        for _ in range(3):
            await admin.route(topic)
            assert admin._instance.namesrv._first == namesrv
