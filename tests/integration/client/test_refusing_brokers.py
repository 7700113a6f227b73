"""What a producer makes of each refusal: another broker, the same one again, or the end (protocol section 2.5).

The brokers here are small servers of our own that refuse on purpose; a third one tells their route.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from rocket_client import Message, NoAnswer, Producer, SendFailed, SendStatus
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, Table
from rocket_net.server import Server
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.route import BrokerData, QueueData, TopicRouteData
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command
from rocket_wire.headers.send import SendMessageAnswer

ACKNOWLEDGED = SendMessageAnswer(msg_id="0" * 32, queue_id=0, queue_offset=7)


class RefusingBroker:
    """Refuses the first `refusals` sends with `code`, and acknowledges the others."""

    def __init__(self, code: int, refusals: int = 1_000_000) -> None:
        self.code = code
        self.refusals = refusals
        self.asked = 0

    def send(self, request: Command, _: Connection) -> Answer:
        self.asked += 1
        if self.asked <= self.refusals:
            return request.refuse(self.code, "refused on purpose")
        return request.reply(ACKNOWLEDGED)


@asynccontextmanager
async def serving(table: Table) -> AsyncIterator[str]:
    server = Server(table)
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop()


@asynccontextmanager
async def cluster_of(**brokers: Callable[[Command, Connection], Answer]) -> AsyncIterator[str]:
    """A name server's address that routes topic T to one queue on each of these brokers."""
    async with AsyncExitStack() as stack:
        addresses = {
            name: await stack.enter_async_context(serving({RequestCode.SEND_MESSAGE_V2: send}))
            for name, send in brokers.items()
        }
        route = TopicRouteData(
            queue_datas=tuple(QueueData(name, 1, 1, 6) for name in addresses),
            broker_datas=tuple(BrokerData("C", name, {0: address}) for name, address in addresses.items()),
        ).encode()
        table: Table = {RequestCode.GET_ROUTEINFO_BY_TOPIC: lambda request, _: request.reply(body=route)}
        yield await stack.enter_async_context(serving(table))


@pytest.mark.parametrize("code", [1, 2, 14, 16, 17, 204, 205, 1500])
async def test_a_refusal_that_another_broker_may_not_repeat_is_tried_there(code: int) -> None:
    refusing, willing = RefusingBroker(code), RefusingBroker(code, refusals=0)
    async with cluster_of(a=refusing.send, b=willing.send) as namesrv, Producer(namesrv) as producer:
        results = [await producer.send(Message("T", "x")) for _ in range(4)]
        assert {result.queue.broker_name for result in results} == {"b"}
        assert refusing.asked >= 1


@pytest.mark.parametrize("code", [3, 13, 26, 215])
async def test_a_refusal_that_any_broker_would_repeat_ends_it(code: int) -> None:
    one, other = RefusingBroker(code), RefusingBroker(code)
    async with cluster_of(a=one.send, b=other.send) as namesrv, Producer(namesrv) as producer:
        with pytest.raises(SendFailed, match=f"refused on purpose .*{code}") as failure:
            await producer.send(Message("T", "x"))
        assert one.asked + other.asked == len(failure.value.attempts) == 1
        assert not failure.value.maybe_stored


@pytest.mark.parametrize("code", [0, 10, 11, 12])
async def test_a_message_that_is_stored_less_safely_is_no_error(code: int) -> None:
    def send(request: Command, _: Connection) -> Answer:
        answer = request.reply(ACKNOWLEDGED)
        answer.code = code
        return answer

    async with cluster_of(a=send) as namesrv, Producer(namesrv) as producer:
        result = await producer.send(Message("T", "x"))
        assert (result.status, result.queue_offset) == (SendStatus(code), 7)


@pytest.mark.parametrize("code", [2, 29])
async def test_tries_are_bounded(code: int) -> None:
    one, other = RefusingBroker(code), RefusingBroker(code)
    async with cluster_of(a=one.send, b=other.send) as namesrv, Producer(namesrv) as producer:
        with pytest.raises(SendFailed, match="after 3 tries") as failure:
            await producer.send(Message("T", "x"))
        assert one.asked + other.asked == 3
        assert not failure.value.maybe_stored


async def test_a_queue_that_was_chosen_and_is_no_more_ends_it() -> None:
    one, other = RefusingBroker(29), RefusingBroker(29)
    async with cluster_of(a=one.send, b=other.send) as namesrv, Producer(namesrv) as producer:
        with pytest.raises(SendFailed, match=r"refused on purpose .*29") as failure:
            await producer.send(Message("T", "x"), queue=MessageQueue("T", "a", 0))
        assert one.asked + other.asked == len(failure.value.attempts) == 1
        assert not failure.value.maybe_stored


async def test_a_message_that_is_bound_to_a_queue_is_tried_there_again() -> None:
    busy, other = RefusingBroker(2, refusals=2), RefusingBroker(2, refusals=0)
    async with cluster_of(a=busy.send, b=other.send) as namesrv, Producer(namesrv) as producer:
        result = await producer.send(Message("T", "x"), queue=MessageQueue("T", "a", 0))
        assert (result.queue.broker_name, busy.asked, other.asked) == ("a", 3, 0)


async def test_a_broker_that_is_stopping_is_waited_for_as_long_as_there_is_time() -> None:
    stopping = RefusingBroker(1500, refusals=6)
    async with cluster_of(a=stopping.send) as namesrv, Producer(namesrv) as producer:
        assert (await producer.send(Message("T", "x"), timeout=30)).status is SendStatus.SEND_OK
        assert stopping.asked == 7


async def test_an_acknowledgement_that_says_nothing_may_mean_a_stored_message() -> None:
    def send(request: Command, _: Connection) -> Answer:
        return request.reply()

    async with cluster_of(a=send) as namesrv, Producer(namesrv) as producer:
        with pytest.raises(SendFailed, match="what is no acknowledgement") as failure:
            await producer.send(Message("T", "x"))
        assert failure.value.maybe_stored
        assert isinstance(failure.value.attempts[0].error, NoAnswer)


async def test_a_broker_that_does_not_answer_uses_the_time_up() -> None:
    answers: list[asyncio.Future[Command]] = []

    def send(request: Command, _: Connection) -> Answer:
        answers.append(asyncio.get_running_loop().create_future())
        return answers[-1]

    async with cluster_of(a=send) as namesrv, Producer(namesrv) as producer:
        with pytest.raises(SendFailed, match="did not answer SEND_MESSAGE_V2") as failure:
            await producer.send(Message("T", "x"), timeout=0.3)
        assert (len(answers), failure.value.maybe_stored) == (1, True)
        for answer in answers:
            answer.cancel()
