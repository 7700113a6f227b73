"""Group commit: one sync serves all who wait, those who came later share the next, a failing one answers nobody."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import pytest

from rocket_broker.durability import Durability
from rocket_wire.codes import ResponseCode

DEADLINE = 5.0


class Disk:
    """A log that is written by the test and synced when the test lets the disk work."""

    def __init__(self) -> None:
        self.written = 0
        self.synced = 0
        self.syncs = 0
        self.error: OSError | None = None
        self._began = threading.Semaphore(0)
        self._go = threading.Semaphore(0)

    def sync(self) -> int:
        begin = self.written
        self._began.release()
        assert self._go.acquire(timeout=DEADLINE)
        if self.error is not None:
            raise self.error
        self.syncs += 1
        self.synced = begin
        return begin

    async def began(self) -> None:
        """A sync has begun; it is still under way."""
        assert await asyncio.to_thread(self._began.acquire, timeout=DEADLINE)

    def finish(self, syncs: int = 1) -> None:
        """Lets so many syncs end."""
        self._go.release(syncs)


class Fatal:
    """Where a broker would end."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.happened = asyncio.Event()

    def __call__(self, reason: str) -> None:
        self.reasons.append(reason)
        self.happened.set()


@pytest.fixture
async def disk() -> AsyncIterator[Disk]:
    disk = Disk()
    yield disk
    disk.finish(100)


@pytest.fixture
async def fatal() -> Fatal:
    return Fatal()


@pytest.fixture
def durability(disk: Disk, fatal: Fatal) -> Durability:
    return Durability(disk.sync, fatal)


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_sync_serves_all_who_wait(disk: Disk, durability: Durability) -> None:
    disk.written = 300
    waiting = [asyncio.ensure_future(durability.wait(position)) for position in (100, 200, 300)]
    await disk.began()
    assert not any(future.done() for future in waiting)
    disk.finish()
    await asyncio.wait_for(asyncio.gather(*waiting), DEADLINE)
    assert disk.syncs == 1


async def test_those_who_come_while_the_disk_works_share_the_next_sync(disk: Disk, durability: Durability) -> None:
    disk.written = 100
    first = asyncio.ensure_future(durability.wait(100))
    await disk.began()
    disk.written = 400
    later = [asyncio.ensure_future(durability.wait(position)) for position in (200, 300, 400)]
    await settled()
    disk.finish()
    await asyncio.wait_for(first, DEADLINE)
    await disk.began()
    assert not any(future.done() for future in later)
    disk.finish()
    await asyncio.wait_for(asyncio.gather(*later), DEADLINE)
    assert disk.syncs == 2


async def test_what_is_on_the_disk_already_waits_for_nothing(disk: Disk, durability: Durability) -> None:
    disk.written = 100
    disk.finish()
    await asyncio.wait_for(durability.wait(100), DEADLINE)
    await asyncio.wait_for(durability.wait(50), DEADLINE)
    assert disk.syncs == 1


async def test_who_gives_up_does_not_hold_up_the_others(disk: Disk, durability: Durability) -> None:
    disk.written = 200
    impatient = asyncio.ensure_future(durability.wait(100))
    patient = asyncio.ensure_future(durability.wait(200))
    await disk.began()
    impatient.cancel()
    disk.finish()
    await asyncio.wait_for(patient, DEADLINE)
    assert impatient.cancelled()


async def test_who_waited_long_enough_is_told_and_the_others_wait_on(disk: Disk, durability: Durability) -> None:
    disk.written = 300
    waiting = [durability.wait(position, seconds) for position, seconds in ((100, 60), (200, 0.02), (300, 0.01))]
    await disk.began()
    async with asyncio.timeout(DEADLINE):
        assert [await waiting[2], await waiting[1]] == [ResponseCode.FLUSH_DISK_TIMEOUT] * 2
    assert not waiting[0].done()
    disk.finish()
    assert await asyncio.wait_for(waiting[0], DEADLINE) == ResponseCode.SUCCESS


async def test_who_comes_after_others_timed_out_is_timed_as_well(disk: Disk, durability: Durability) -> None:
    disk.written = 300
    for position in (100, 200):
        async with asyncio.timeout(DEADLINE):
            assert await durability.wait(position, 0.01) == ResponseCode.FLUSH_DISK_TIMEOUT


async def test_a_failing_sync_ends_the_process_and_acknowledges_nobody(
    disk: Disk, durability: Durability, fatal: Fatal
) -> None:
    disk.written = 100
    disk.error = OSError(5, "Input/output error")
    waiting = [asyncio.ensure_future(durability.wait(position)) for position in (50, 100)]
    disk.finish(10)
    await asyncio.wait_for(fatal.happened.wait(), DEADLINE)
    late = asyncio.ensure_future(durability.wait(100))
    await settled()
    assert len(fatal.reasons) == 1
    assert "Input/output error" in fatal.reasons[0]
    assert not any(future.done() for future in [*waiting, late])
    for future in [*waiting, late]:
        future.cancel()


async def test_a_clock_flushes_what_nobody_waits_for(disk: Disk, durability: Durability) -> None:
    disk.written = 100
    flushing = asyncio.ensure_future(durability.flush_every(lambda: 0.001))
    disk.finish(2)
    await disk.began()
    await disk.began()
    flushing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await flushing
    assert disk.synced == 100


async def test_a_clock_that_meets_a_failing_disk_ends_the_process(
    disk: Disk, durability: Durability, fatal: Fatal
) -> None:
    disk.error = OSError(28, "No space left on device")
    disk.finish(10)
    flushing = asyncio.ensure_future(durability.flush_every(lambda: 0.001))
    await asyncio.wait_for(fatal.happened.wait(), DEADLINE)
    await asyncio.sleep(0.01)
    assert len(fatal.reasons) == 1
    assert not flushing.done()
    flushing.cancel()
