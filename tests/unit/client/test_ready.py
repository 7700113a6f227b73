"""The line of queues: turns are fair, waiting is safe to cancel."""

from __future__ import annotations

import asyncio
from collections import deque

from rocket_client.ready import Ready


class Queue:
    """A source with these messages."""

    def __init__(self, *messages: str) -> None:
        self.in_line = False
        self.messages = deque(messages)

    def take(self) -> str | None:
        return self.messages.popleft() if self.messages else None

    def has_more(self) -> bool:
        return bool(self.messages)


async def test_queues_take_turns() -> None:
    ready: Ready[str] = Ready()
    ready.offer(Queue("a1", "a2", "a3"))
    ready.offer(Queue("b1", "b2"))
    assert [ready.take_now() for _ in range(6)] == ["a1", "b1", "a2", "b2", "a3", None]


async def test_a_queue_offered_twice_stands_in_line_once() -> None:
    ready: Ready[str] = Ready()
    queue = Queue("a1", "a2", "a3")
    ready.offer(queue)
    ready.offer(queue)
    ready.offer(Queue("b1"))
    assert [ready.take_now() for _ in range(4)] == ["a1", "b1", "a2", "a3"]


async def test_a_queue_that_became_empty_while_in_line_is_passed_over() -> None:
    ready: Ready[str] = Ready()
    emptied = Queue("a1")
    ready.offer(emptied)
    ready.offer(Queue("b1"))
    emptied.messages.clear()
    assert ready.take_now() == "b1"


async def test_who_waits_gets_the_message_that_comes() -> None:
    ready: Ready[str] = Ready()
    waiting = asyncio.create_task(ready.take())
    await asyncio.sleep(0)
    ready.offer(Queue("a1"))
    assert await asyncio.wait_for(waiting, 1) == "a1"


async def test_several_who_wait_get_one_each() -> None:
    ready: Ready[str] = Ready()
    waiting = [asyncio.create_task(ready.take()) for _ in range(3)]
    await asyncio.sleep(0)
    ready.offer(Queue("a1", "a2", "a3"))
    assert sorted(map(str, await asyncio.wait_for(asyncio.gather(*waiting), 1))) == ["a1", "a2", "a3"]


async def test_a_message_for_somebody_who_was_cancelled_goes_to_the_next_who_waits() -> None:
    ready: Ready[str] = Ready()
    first, second = asyncio.create_task(ready.take()), asyncio.create_task(ready.take())
    await asyncio.sleep(0)
    ready.offer(Queue("a1"))
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a1"
    assert first.cancelled() or (await asyncio.wait({first}) and first.cancelled())


async def test_closing_ends_every_wait() -> None:
    ready: Ready[str] = Ready()
    waiting = [asyncio.create_task(ready.take()) for _ in range(3)]
    await asyncio.sleep(0)
    ready.close()
    assert await asyncio.wait_for(asyncio.gather(*waiting), 1) == [None, None, None]
    ready.offer(Queue("a1"))
    assert await ready.take() is None
