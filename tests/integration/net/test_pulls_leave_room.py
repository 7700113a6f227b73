"""Dear requests beside others: a share of each turn of the loop, in the order in which they came."""

from __future__ import annotations

import asyncio

import pytest

from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, Reply
from rocket_net.gathering import Answers, Together
from rocket_net.turns import InTurn
from rocket_testing.sink import opened
from rocket_wire import frame
from rocket_wire.command import Command

DEAR = 11


class Dear:
    """A handler that takes more than any share, and remembers whom it answered."""

    def __init__(self) -> None:
        self.carried_out: list[int] = []
        self.release = asyncio.Event()
        self.given_up = asyncio.Event()

    def __call__(self, request: Command, _: Connection) -> Answer:
        self.carried_out.append(request.opaque)
        if request.body == b"raise":
            raise ValueError("a fault")
        if request.body == b"wait":
            return self._later(request)
        return request.reply()

    async def _later(self, request: Command) -> Reply:
        try:
            await self.release.wait()
        finally:
            self.given_up.set()
        return request.reply()


@pytest.fixture
async def dear() -> Dear:
    return Dear()


@pytest.fixture
async def sends() -> Together:
    """There were some just now."""
    found = Together(lambda _: Answers([]))
    found.last = asyncio.get_running_loop().time()
    return found


@pytest.fixture
async def table(dear: Dear, sends: Together) -> dict[int, InTurn]:
    return {DEAR: InTurn(dear, sends, share=1e-9)}


def ask(connection: Connection, *numbers: int, do: bytes = b"") -> None:
    """These requests, as they come with one read of the socket."""
    connection.data_received(b"".join(frame.encode(Command(DEAR, opaque=number, body=do)) for number in numbers))


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)  # the turn ends


async def test_beside_sends_a_turn_carries_out_its_share_and_the_others_follow_in_order(
    dear: Dear, table: dict[int, InTurn]
) -> None:
    connection, sink = opened(table)
    ask(connection, 0, 1, 2, 3)
    assert (dear.carried_out, sink.opaques(), connection.in_flight) == ([0], [0], 3)
    await turns(1)
    assert (dear.carried_out, sink.opaques(), connection.in_flight) == ([0, 1], [0, 1], 2)
    await turns(2)
    assert (dear.carried_out, sink.opaques(), connection.in_flight) == ([0, 1, 2, 3], [0, 1, 2, 3], 0)


async def test_with_no_sends_all_are_carried_out_as_they_come(
    dear: Dear, sends: Together, table: dict[int, InTurn]
) -> None:
    sends.last -= 60
    connection, sink = opened(table)
    ask(connection, 0, 1, 2, 3)
    assert dear.carried_out == sink.opaques() == [0, 1, 2, 3]


async def test_one_that_comes_in_a_later_turn_does_not_pass_those_that_wait(
    dear: Dear, table: dict[int, InTurn]
) -> None:
    (one, _), (other, _) = opened(table), opened(table)
    ask(one, 0, 1, 2)
    await turns(1)
    ask(other, 3)
    await turns(2)
    assert dear.carried_out == [0, 1, 2, 3]


async def test_nor_does_one_that_comes_when_there_are_no_more_sends(
    dear: Dear, sends: Together, table: dict[int, InTurn]
) -> None:
    (one, _), (other, _) = opened(table), opened(table)
    ask(one, 0, 1, 2)
    sends.last -= 60
    ask(other, 3)
    assert dear.carried_out == [0]
    await turns(1)
    assert dear.carried_out == [0, 1, 2, 3]


async def test_a_fault_in_one_that_waited_is_its_own(table: dict[int, InTurn]) -> None:
    connection, sink = opened(table)
    ask(connection, 0)
    ask(connection, 1, do=b"raise")
    ask(connection, 2)
    await turns(2)
    assert {reply.opaque: reply.code for reply in sink.answers()} == {0: 0, 1: 1, 2: 0}
    assert sink.answers()[1].remark == "ValueError: a fault"


async def test_one_whose_connection_is_gone_is_not_carried_out(dear: Dear, table: dict[int, InTurn]) -> None:
    (gone, _), (there, sink) = opened(table), opened(table)
    ask(gone, 0, 1)
    ask(there, 2)
    gone.connection_lost(None)
    await turns(2)
    assert (dear.carried_out, sink.opaques(), gone.in_flight) == ([0, 2], [2], 0)


async def test_one_that_waited_for_its_turn_may_have_to_wait_for_its_answer_too(
    dear: Dear, table: dict[int, InTurn]
) -> None:
    connection, sink = opened(table)
    ask(connection, 0)
    ask(connection, 1, do=b"wait")
    await turns(3)
    assert (dear.carried_out, sink.opaques(), connection.in_flight) == ([0, 1], [0], 1)
    dear.release.set()
    await turns(4)
    assert (sink.opaques(), connection.in_flight) == ([0, 1], 0)


async def test_who_goes_while_the_answer_is_waited_for_has_it_given_up(dear: Dear, table: dict[int, InTurn]) -> None:
    connection, _ = opened(table)
    ask(connection, 0)
    ask(connection, 1, do=b"wait")
    await turns(3)
    connection.connection_lost(None)
    async with asyncio.timeout(5):
        await dear.given_up.wait()
