"""What a stored message waits for, and the status that its sender reads: 0, 10, 11 or 12."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from rocket_broker.acknowledgement import Acknowledgement, EnoughSlaves
from rocket_broker.config import LiveConfig
from rocket_broker.durability import Durability
from rocket_broker.saved import Saver
from rocket_broker.settings import BrokerRole, BrokerSettings, FlushDiskType
from rocket_net.properties_file import Configuration
from rocket_wire.codes import ResponseCode

DEADLINE = 5.0
QUICK = 20  # milliseconds: what a timeout that must be met is set to
LONG = 60_000


class Slaves:
    """Slaves that have what the test says they have."""

    def __init__(self) -> None:
        self.connected = 0
        self.has = 0
        self._changed = asyncio.Event()

    def in_reach(self, position: int) -> int:
        return self.connected

    async def wait(self, position: int, count: int) -> None:
        while self.has < position:
            self._changed.clear()
            await self._changed.wait()

    def take(self, position: int) -> None:
        self.has = position
        self._changed.set()


Make = Callable[..., Acknowledgement]


@pytest.fixture
async def slaves() -> Slaves:
    return Slaves()


@pytest.fixture
async def disk() -> asyncio.Event:
    """Set: the disk works."""
    return asyncio.Event()


@pytest.fixture
def topics(tmp_path: Path) -> Saver:
    return Saver(tmp_path / "topics.json", lambda: b"{}")


@pytest.fixture
async def make(slaves: Slaves, disk: asyncio.Event, topics: Saver) -> Make:
    """An Acknowledgement by these settings."""
    running = asyncio.get_running_loop()

    def sync() -> int:
        asyncio.run_coroutine_threadsafe(disk.wait(), running).result(DEADLINE)
        return 10**9

    def make(**settings: object) -> Acknowledgement:
        config = LiveConfig(Configuration(BrokerSettings(**settings), {}), None)  # type: ignore[arg-type] # by name
        return Acknowledgement(config, Durability(sync, pytest.fail), EnoughSlaves(config, slaves), topics)

    return make


async def status(acknowledgement: Acknowledgement, position: int = 100) -> ResponseCode:
    return await asyncio.wait_for(acknowledgement.wait(position), DEADLINE)


SYNC_FLUSH = {"flush_disk_type": FlushDiskType.SYNC_FLUSH}
TWO_COPIES = {"broker_role": BrokerRole.SYNC_MASTER, "in_sync_replicas": 2}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"in_sync_replicas": 2},
        {"broker_role": BrokerRole.SYNC_MASTER},
        {"broker_role": BrokerRole.SYNC_MASTER, "in_sync_replicas": 1},
    ],
)
async def test_nothing_to_wait_for_costs_no_task(make: Make, settings: dict[str, object]) -> None:
    """A SYNC_MASTER alone in its set does not wait either, as in 5.x (protocol section 5.2)."""
    assert not make(**settings).is_needed


@pytest.mark.parametrize("settings", [SYNC_FLUSH, TWO_COPIES])
async def test_what_is_synchronous_is_waited_for(make: Make, settings: dict[str, object]) -> None:
    assert make(**settings).is_needed


async def test_a_sync_flush_is_answered_when_the_disk_has_it(make: Make, disk: asyncio.Event) -> None:
    waiting = asyncio.ensure_future(status(make(**SYNC_FLUSH)))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    disk.set()
    assert await waiting == ResponseCode.SUCCESS


async def test_a_disk_that_takes_too_long_is_status_10(make: Make, disk: asyncio.Event) -> None:
    assert await status(make(**SYNC_FLUSH, sync_flush_timeout=QUICK)) == ResponseCode.FLUSH_DISK_TIMEOUT
    disk.set()


async def test_no_slave_in_reach_is_status_11_at_once(make: Make) -> None:
    assert await status(make(**TWO_COPIES, slave_timeout=LONG)) == ResponseCode.SLAVE_NOT_AVAILABLE


async def test_too_few_slaves_in_reach_is_status_11(make: Make, slaves: Slaves) -> None:
    slaves.connected = 1
    settings = {**TWO_COPIES, "in_sync_replicas": 3}
    assert await status(make(**settings, slave_timeout=LONG)) == ResponseCode.SLAVE_NOT_AVAILABLE


async def test_a_slave_that_takes_too_long_is_status_12(make: Make, slaves: Slaves) -> None:
    slaves.connected = 1
    assert await status(make(**TWO_COPIES, slave_timeout=QUICK)) == ResponseCode.FLUSH_SLAVE_TIMEOUT


async def test_a_slave_that_has_it_is_status_0(make: Make, slaves: Slaves) -> None:
    slaves.connected = 1
    waiting = asyncio.ensure_future(status(make(**TWO_COPIES)))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    slaves.take(99)
    await asyncio.sleep(0)
    assert not waiting.done()
    slaves.take(100)
    assert await waiting == ResponseCode.SUCCESS


async def test_disk_and_slave_are_waited_for_at_the_same_time(make: Make, slaves: Slaves, disk: asyncio.Event) -> None:
    slaves.connected = 1
    waiting = asyncio.ensure_future(status(make(**SYNC_FLUSH, **TWO_COPIES)))
    slaves.take(100)
    await asyncio.sleep(0.01)
    assert not waiting.done()
    disk.set()
    assert await waiting == ResponseCode.SUCCESS


async def test_a_slow_disk_is_told_before_a_missing_slave(make: Make, disk: asyncio.Event) -> None:
    assert await status(make(**SYNC_FLUSH, **TWO_COPIES, sync_flush_timeout=QUICK)) == ResponseCode.FLUSH_DISK_TIMEOUT
    disk.set()


async def test_a_message_to_a_new_topic_is_answered_when_the_topic_is_saved(
    make: Make, topics: Saver, tmp_path: Path
) -> None:
    """Or a crash could leave an acknowledged message in a topic that nobody knows."""
    acknowledgement = make()
    topics.save()
    assert acknowledgement.is_needed
    waiting = acknowledgement.wait(100)
    assert not (tmp_path / "topics.json").exists()
    assert await waiting == ResponseCode.SUCCESS
    assert (tmp_path / "topics.json").exists()
    assert not acknowledgement.is_needed


async def test_a_topic_that_cannot_be_saved_is_status_10(make: Make, topics: Saver, tmp_path: Path) -> None:
    (tmp_path / "topics.json.tmp").mkdir()
    acknowledgement = make()
    topics.save()
    assert await status(acknowledgement) == ResponseCode.FLUSH_DISK_TIMEOUT


async def test_a_live_change_holds_for_the_next_message(slaves: Slaves, topics: Saver) -> None:
    config = LiveConfig(Configuration(BrokerSettings(**TWO_COPIES), {}), None)  # type: ignore[arg-type] # by name
    acknowledgement = Acknowledgement(config, Durability(lambda: 0, pytest.fail), EnoughSlaves(config, slaves), topics)
    assert await status(acknowledgement) == ResponseCode.SLAVE_NOT_AVAILABLE
    config.update(b"inSyncReplicas=1")
    assert not acknowledgement.is_needed
