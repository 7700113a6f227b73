"""Pulls that wait: what wakes them, what does not, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import gc

import pytest

from rocket_broker.arrivals import Arrivals

FOREVER = 3600.0
DEADLINE = 5.0
A, B = 2598919, 2598920


@pytest.fixture
def arrivals() -> Arrivals:
    return Arrivals()


def begin(
    arrivals: Arrivals, offset: int = 0, tags: frozenset[int] | None = None, timeout: float = FOREVER, queue: int = 0
) -> asyncio.Future[None]:
    return asyncio.ensure_future(arrivals.wait("T", queue, offset, tags, timeout))


async def ends(waiting: asyncio.Future[None]) -> bool:
    """Whether the wait is over now, without waiting for it."""
    for _ in range(5):
        await asyncio.sleep(0)
    return waiting.done()


async def test_a_message_wakes_who_waits_for_its_queue(arrivals: Arrivals) -> None:
    waiting, other = begin(arrivals), begin(arrivals, queue=1)
    await asyncio.sleep(0)
    assert arrivals.count == 2
    arrivals.notify("T", 0, 0, 0)
    assert await ends(waiting)
    assert not await ends(other)
    assert arrivals.count == 1
    arrivals.close()
    await other


async def test_a_message_between_the_look_and_the_wait_is_not_missed(arrivals: Arrivals) -> None:
    """From the call on, not from when the event loop first comes to it: a send may stand in the same turn."""
    waiting = begin(arrivals)
    arrivals.notify("T", 0, 0, 0)
    await asyncio.wait_for(waiting, DEADLINE)


async def test_only_a_tag_that_can_match_wakes(arrivals: Arrivals) -> None:
    waiting = begin(arrivals, tags=frozenset({A}))
    everything = begin(arrivals)
    await asyncio.sleep(0)
    arrivals.notify("T", 0, 0, B)
    assert await ends(everything)
    assert not await ends(waiting)
    arrivals.notify("T", 0, 1, A)
    assert await ends(waiting)


async def test_a_message_before_the_wanted_offset_wakes_nobody(arrivals: Arrivals) -> None:
    waiting = begin(arrivals, offset=7)
    await asyncio.sleep(0)
    arrivals.notify("T", 0, 6, 0)
    assert not await ends(waiting)
    arrivals.notify("T", 0, 7, 0)
    assert await ends(waiting)


async def test_who_waits_for_a_queue_can_be_woken_without_a_message(arrivals: Arrivals) -> None:
    waiting, other = begin(arrivals, offset=7, tags=frozenset({A})), begin(arrivals, queue=1, timeout=0.01)
    arrivals.wake("T", 0)
    assert await ends(waiting)
    await other


async def test_a_wait_ends_with_its_time(arrivals: Arrivals) -> None:
    await asyncio.wait_for(begin(arrivals, timeout=0.01), DEADLINE)
    assert arrivals.count == 0


async def test_several_wait_for_one_queue_and_one_message_wakes_them_all(arrivals: Arrivals) -> None:
    waiting = [begin(arrivals) for _ in range(20)]
    await asyncio.sleep(0)
    arrivals.notify("T", 0, 0, 0)
    arrivals.notify("T", 0, 1, 0)
    await asyncio.wait_for(asyncio.gather(*waiting), DEADLINE)
    assert arrivals.count == 0


async def test_the_end_wakes_everybody_and_nobody_waits_afterwards(arrivals: Arrivals) -> None:
    waiting = [begin(arrivals, queue=number % 3) for number in range(9)]
    await asyncio.sleep(0)
    arrivals.close()
    await asyncio.wait_for(asyncio.gather(*waiting), DEADLINE)
    await asyncio.wait_for(begin(arrivals), DEADLINE)


async def test_a_wait_that_is_given_up_leaves_nothing_behind(arrivals: Arrivals) -> None:
    waiting = begin(arrivals)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    assert arrivals.count == 0
    arrivals.notify("T", 0, 0, 0)
    gc.collect()


async def test_news_of_a_queue_that_nobody_waits_for_leaves_nothing_behind(arrivals: Arrivals) -> None:
    arrivals.notify("T", 0, 0, 0)
    await begin(arrivals, timeout=0.0)
    await asyncio.sleep(0)
    assert arrivals.count == 0
