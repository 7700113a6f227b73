"""The disk fails a sync: the broker ends with status 74 and says why, and acknowledges nothing more."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from rocket_testing.cluster import Broker, Cluster, OurServers
from rocket_testing.failing_broker import with_failing_syncs
from rocket_testing.ledger import Ledger
from rocket_testing.senders import RawSender, acknowledged, sending, stored
from rocket_testing.waiting import eventually

IO_ERROR = 74


async def started(cluster: Cluster, folder: Path, properties: dict[str, str]) -> tuple[Broker, Path]:
    await asyncio.to_thread(cluster.add_namesrv)
    trigger = folder / "syncs-fail"
    broker = with_failing_syncs(OurServers().broker(folder, cluster.namesrv, **properties), trigger)
    cluster.brokers.append(broker)
    await asyncio.to_thread(broker.start)
    return broker, trigger


def has_ended(broker: Broker) -> bool:
    return not broker.is_running


def last_line(broker: Broker) -> str:
    return broker.run_log().rstrip().splitlines()[-1]


async def holds_after_a_restart(broker: Broker, trigger: Path, ledger: Ledger) -> None:
    assert broker.process is not None
    assert broker.process.returncode == IO_ERROR
    assert "the store cannot be synced to disk ([Errno 5] Input/output error)" in last_line(broker)
    assert "Traceback" not in broker.run_log()
    await asyncio.to_thread(trigger.unlink)
    await asyncio.to_thread(broker.start)
    assert not ledger.faults(await stored(broker.address))


@pytest.mark.parametrize("flush", ["SYNC_FLUSH", "ASYNC_FLUSH"])
async def test_a_sync_that_fails_under_load_ends_the_broker_and_nothing_is_acknowledged_then(
    cluster: Cluster, tmp_path: Path, small_files: dict[str, str], flush: str
) -> None:
    broker, trigger = await started(cluster, tmp_path, {**small_files, "flushDiskType": flush})
    ledger = Ledger()
    async with sending(ledger, RawSender("raw", broker.address), RawSender("batch", broker.address, batch=4)):
        await acknowledged(ledger, more=50)
        await asyncio.to_thread(trigger.touch)
        await eventually(lambda: has_ended(broker))
    await holds_after_a_restart(broker, trigger, ledger)


async def test_a_sync_that_fails_in_the_last_moment_is_told_as_well(
    cluster: Cluster, tmp_path: Path, small_files: dict[str, str]
) -> None:
    never = {"flushIntervalCommitLog": "3600000"}
    broker, trigger = await started(cluster, tmp_path, {**small_files, **never})
    ledger = Ledger()
    async with sending(ledger, RawSender("raw", broker.address)):
        await acknowledged(ledger, more=50)
    await asyncio.to_thread(trigger.touch)
    await asyncio.to_thread(broker.stop)
    await holds_after_a_restart(broker, trigger, ledger)


async def test_a_slave_that_cannot_sync_what_it_cut_off_ends_as_well(
    cluster: Cluster, tmp_path: Path, small_files: dict[str, str]
) -> None:
    """Its master sends what is no record; the slave has taken the beginning, which might have been of one."""
    is_up = asyncio.Event()

    async def master(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(struct.pack(">qi", 0, 3) + bytes(3))
        await reader.readexactly(8)
        await is_up.wait()
        writer.write(struct.pack(">qi", 3, 100) + b"\xff" * 100)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(master, "127.0.0.1", 0)
    its_master = {"haMasterAddress": f"127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    role = {"brokerId": "1", "brokerRole": "SLAVE", "flushIntervalCommitLog": "3600000"}
    async with server:
        broker, trigger = await started(cluster, tmp_path, {**small_files, **role, **its_master})
        await asyncio.to_thread(trigger.touch)
        is_up.set()
        await eventually(lambda: has_ended(broker))
    await holds_after_a_restart(broker, trigger, Ledger())
