"""Dear requests beside others: a share of each turn of the loop, in the order in which they came."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, Reply
from rocket_net.gathering import Answers, Together
from rocket_net.turns import InTurn
from rocket_wire.command import Command

NOBODY = cast(Connection, None)


class Dear:
    """A handler that takes more than any share, and remembers whom it answered."""

    def __init__(self) -> None:
        self.answered: list[int] = []

    def __call__(self, request: Command, _: Connection) -> Answer:
        self.answered.append(request.opaque)
        if request.remark == "raise":
            raise ValueError("a fault")
        if request.remark == "wait":
            return self._later(request)
        return request.reply()

    async def _later(self, request: Command) -> Reply:
        await asyncio.sleep(0)
        return request.reply()


@pytest.fixture
def dear() -> Dear:
    return Dear()


async def beside_sends(dear: Dear) -> InTurn:
    sends = Together(lambda _: Answers([]))
    sends.last = asyncio.get_running_loop().time()
    return InTurn(dear, sends, share=1e-9)


def asked(number: int, remark: str = "") -> Command:
    return Command(code=11, opaque=number, remark=remark)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_beside_sends_a_turn_carries_out_its_share_and_the_others_follow_in_order(dear: Dear) -> None:
    in_turn = await beside_sends(dear)
    answers = [in_turn(asked(number), NOBODY) for number in range(4)]
    assert dear.answered == [0]
    await turns(1)
    assert dear.answered == [0, 1]
    later = [cast(Command, await cast(Any, answer)) for answer in answers[1:]]
    assert dear.answered == [reply.opaque for reply in [cast(Command, answers[0]), *later]] == [0, 1, 2, 3]


async def test_with_no_sends_all_are_carried_out_as_they_come(dear: Dear) -> None:
    in_turn = InTurn(dear, Together(lambda _: Answers([])), share=1e-9)
    assert all(isinstance(in_turn(asked(number), NOBODY), Command) for number in range(4))


async def test_one_that_comes_in_a_later_turn_does_not_pass_those_that_wait(dear: Dear) -> None:
    in_turn = await beside_sends(dear)
    first = [in_turn(asked(number), NOBODY) for number in range(3)]
    await turns(1)
    await cast(Any, in_turn(asked(3), NOBODY))
    assert dear.answered == [0, 1, 2, 3]
    assert all(cast(Any, answer).done() for answer in first[1:])


async def test_a_fault_in_one_that_waited_is_its_own(dear: Dear) -> None:
    in_turn = await beside_sends(dear)
    _, bad, good = (in_turn(asked(number, remark), NOBODY) for number, remark in enumerate(["", "raise", ""]))
    with pytest.raises(ValueError, match="a fault"):
        await cast(Any, bad)
    assert isinstance(await cast(Any, good), Command)


async def test_one_whose_connection_is_gone_is_not_carried_out(dear: Dear) -> None:
    in_turn = await beside_sends(dear)
    _, gone, there = (in_turn(asked(number), NOBODY) for number in range(3))
    cast(Any, gone).cancel()
    await cast(Any, there)
    assert dear.answered == [0, 2]


async def test_one_that_waited_for_its_turn_may_have_to_wait_for_its_answer_too(dear: Dear) -> None:
    in_turn = await beside_sends(dear)
    _, held = in_turn(asked(0), NOBODY), in_turn(asked(1, "wait"), NOBODY)
    assert cast(Command, await cast(Any, held)).opaque == 1


async def test_who_goes_while_the_answer_is_waited_for_has_it_given_up(dear: Dear) -> None:
    given_up = asyncio.Event()

    async def forever() -> Reply:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        return None

    def handler(request: Command, _: Connection) -> Answer:
        return forever() if request.opaque else request.reply()

    sends = Together(lambda _: Answers([]))
    sends.last = asyncio.get_running_loop().time()
    in_turn = InTurn(handler, sends, share=1e-9)
    _, held = in_turn(asked(0), NOBODY), in_turn(asked(1), NOBODY)
    await turns(4)
    cast(Any, held).cancel()
    async with asyncio.timeout(5):
        await given_up.wait()
