"""When a cluster is looked at: at once, again, later, or only when its spec is another one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rocket_operator.cluster.metrics import Key, Metrics
from rocket_operator.cluster.queue import Queue
from rocket_operator.cluster.reconciler import Outcome
from rocket_testing.waiting import eventually

ORDERS, BILLING = ("shop", "orders"), ("shop", "billing")


class Looks:
    """Counts looks, and answers what a test says."""

    def __init__(self, answer: Callable[[Key], Outcome]) -> None:
        self.seen: list[Key] = []
        self._answer = answer

    async def __call__(self, key: Key) -> Outcome:
        self.seen.append(key)
        return self._answer(key)


async def quiet() -> None:
    """Until everything that can go on now has."""
    for _ in range(20):
        await asyncio.sleep(0.01)


async def test_a_cluster_is_looked_at_when_something_happens_and_not_otherwise() -> None:
    looks = Looks(lambda key: Outcome())
    queue = Queue(looks, Metrics(), resync=1000)
    queue.wake(ORDERS)
    await eventually(lambda: looks.seen == [ORDERS])
    queue.wake(ORDERS)
    await eventually(lambda: looks.seen == [ORDERS] * 2)
    await quiet()
    assert looks.seen == [ORDERS] * 2
    await queue.stop()


async def test_it_is_looked_at_after_a_while_though_nothing_happens() -> None:
    looks = Looks(lambda key: Outcome())
    queue = Queue(looks, Metrics(), resync=0.05)
    queue.wake(ORDERS)
    await eventually(lambda: len(looks.seen) > 3)
    await queue.stop()


async def test_a_look_that_fails_is_not_repeated_at_once_whatever_happens() -> None:
    looks = Looks(lambda key: Outcome(retry=True, retry_after=1000))
    queue = Queue(looks, Metrics(), resync=0.01)
    queue.wake(ORDERS, 1)
    await eventually(lambda: looks.seen == [ORDERS])
    for _ in range(5):
        queue.wake(ORDERS, 1)
        await quiet()
    assert looks.seen == [ORDERS]
    await queue.stop()


async def test_another_spec_is_looked_at_at_once_also_after_a_failure() -> None:
    looks = Looks(lambda key: Outcome(retry=True, retry_after=1000))
    queue = Queue(looks, Metrics(), resync=1000)
    queue.wake(ORDERS, 1)
    await eventually(lambda: looks.seen == [ORDERS])
    queue.wake(ORDERS, 2)
    await eventually(lambda: looks.seen == [ORDERS] * 2)
    await queue.stop()


async def test_a_cluster_in_trouble_keeps_no_other_waiting() -> None:
    async def hang(key: Key) -> Outcome:
        seen.append(key)
        if key == ORDERS:
            await asyncio.Event().wait()
        return Outcome()

    seen: list[Key] = []
    queue = Queue(hang, Metrics(), resync=1000)
    queue.wake(ORDERS)
    queue.wake(BILLING)
    await eventually(lambda: seen == [ORDERS, BILLING])
    await queue.stop()


async def test_a_fault_of_the_operator_is_logged_and_tried_again_and_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(key: Key) -> Outcome:
        raise ZeroDivisionError

    looks = Looks(fail)
    queue = Queue(looks, Metrics(), resync=1000)
    queue.wake(ORDERS, 1)
    await eventually(lambda: looks.seen == [ORDERS])
    queue.wake(ORDERS, 2)
    await eventually(lambda: looks.seen == [ORDERS] * 2)
    assert "shop/orders cannot be looked at: a fault of the operator" in caplog.text
    await queue.stop()


async def test_a_cluster_that_is_gone_is_forgotten_and_may_come_back() -> None:
    looks = Looks(lambda key: Outcome(exists=False))
    queue = Queue(looks, Metrics(), resync=0.01)
    queue.wake(ORDERS, 1)
    await eventually(lambda: looks.seen == [ORDERS])
    await eventually(lambda: not queue.last_end)
    queue.wake(ORDERS, 1)
    await eventually(lambda: looks.seen == [ORDERS] * 2)
    await queue.stop()


async def test_a_cluster_that_is_made_anew_during_the_look_that_misses_it_is_looked_at_again() -> None:
    def made_anew_meanwhile(key: Key) -> Outcome:
        if len(looks.seen) == 1:
            queue.wake(key, 1)
        return Outcome(exists=False)

    looks = Looks(made_anew_meanwhile)
    queue = Queue(looks, Metrics(), resync=1000)
    queue.wake(ORDERS, 1)
    await eventually(lambda: looks.seen == [ORDERS] * 2)
    await queue.stop()


async def test_a_look_that_wants_another_one_at_once_has_it() -> None:
    looks = Looks(lambda key: Outcome(again=0.0 if len(looks.seen) == 1 else None))
    queue = Queue(looks, Metrics(), resync=1000)
    queue.wake(ORDERS)
    await eventually(lambda: looks.seen == [ORDERS] * 2)
    await queue.stop()


async def test_pauses_after_failures_begin_anew_with_another_spec() -> None:
    looks = Looks(lambda key: Outcome(retry=True))
    queue = Queue(looks, Metrics(), resync=1000)
    for generation in range(1, 8):
        queue.wake(ORDERS, generation)
        await eventually(lambda: len(looks.seen) == generation)  # noqa: B023 - awaited before the next one
    await eventually(lambda: len(looks.seen) == 8)
    await queue.stop()
