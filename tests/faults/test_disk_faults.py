"""Disks that are full or read-only: sends are refused in words, reads go on, and room is used as soon as it comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from rocket_testing.broker_talk import BrokerTalk
from rocket_testing.cluster import Broker, Cluster, OurServers
from rocket_testing.ledger import Ledger
from rocket_testing.process import ServerFailed
from rocket_testing.senders import ClientSender, RawSender, acknowledged, sending, stored
from rocket_testing.small_disk import SmallDisk, small_disk
from rocket_testing.waiting import eventually


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", megabytes=12) as disk:
        yield disk


def broker_on(disk: SmallDisk, cluster: Cluster, properties: dict[str, str]) -> Broker:
    """A broker that keeps everything on this disk; not started yet."""
    store = disk.folder / "store"
    own = {"storePathRootDir": str(store), "storePathCommitLog": str(store / "commitlog")}
    broker = disk.moved(OurServers().broker(disk.folder.parent, cluster.namesrv, **{**properties, **own}))
    cluster.brokers.append(broker)
    return broker


def has_refused(ledger: Ledger, count: int) -> bool:
    return ledger.refusals.total() >= count


async def fill_rounds(cluster: Cluster, disk: SmallDisk, broker: Broker, rounds: int) -> Ledger:
    """Fills the disk under load, reads, frees it, and goes on."""
    ledger = Ledger()
    large = RawSender("raw", broker.address, size=50_000)
    async with sending(ledger, large, ClientSender("client", cluster.namesrv)):
        for _ in range(rounds):
            await acknowledged(ledger, more=20)
            with disk.filled():
                await eventually(partial(has_refused, ledger, ledger.refusals.total() + 20))
                known = ledger.so_far()  # small messages still find room, also while the queues are read
                assert not known.faults(await stored(broker.address)), "while the disk is full"
            await acknowledged(ledger, more=20)
    assert broker.is_running
    assert not ledger.faults(await stored(broker.address))
    return ledger


async def test_a_full_disk_refuses_sends_and_serves_reads_until_there_is_room(
    cluster: Cluster, disk: SmallDisk, small_files: dict[str, str]
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    broker = broker_on(disk, cluster, small_files)
    await asyncio.to_thread(broker.start)
    ledger = await fill_rounds(cluster, disk, broker, rounds=1)
    assert set(ledger.refusals) <= {"code 1", "SendFailed: code 1"}
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    assert not ledger.faults(await stored(broker.address))
    assert "Traceback" not in broker.log.read_text()


async def test_a_broker_killed_while_its_disk_is_full_starts_and_serves_reads(
    cluster: Cluster, disk: SmallDisk, small_files: dict[str, str]
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    broker = broker_on(disk, cluster, small_files)
    await asyncio.to_thread(broker.start)
    ledger = Ledger()
    async with sending(ledger, RawSender("raw", broker.address, size=50_000)):
        await acknowledged(ledger, more=20)
        with disk.filled():
            await eventually(lambda: ledger.refusals["code 1"])
            await asyncio.to_thread(broker.kill)
            await asyncio.to_thread(broker.start)
            known = ledger.so_far()
            assert not known.faults(await stored(broker.address))
        await acknowledged(ledger, more=20)
    assert not ledger.faults(await stored(broker.address))


@pytest.mark.slow
async def test_topics_made_while_the_disk_is_full_are_kept_as_soon_as_there_is_room(
    cluster: Cluster, disk: SmallDisk, small_files: dict[str, str]
) -> None:
    """Their messages fit into the segment that is reserved already, but their names cannot be saved."""
    await asyncio.to_thread(cluster.add_namesrv)
    broker = broker_on(disk, cluster, small_files)
    await asyncio.to_thread(broker.start)
    ledger, unsaved = Ledger(), re.compile("topics.json could not be saved")
    senders = [RawSender(f"raw{number}", broker.address, topic=f"Late-{number}", size=20) for number in range(60)]
    try:
        await senders[0].send_once(ledger)
        with disk.filled():
            for sender in senders:
                for _ in range(2):
                    await sender.send_once(ledger)
            assert unsaved.search(broker.run_log())
        assert set(ledger.statuses) == {0, 10}, "what a crash would make unreadable is not acknowledged as safe"
        await eventually(lambda: is_safe_again(senders[-1], ledger), within=10)
    finally:
        for sender in senders:
            await sender.close()
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    assert not ledger.faults(await stored(broker.address, [f"Late-{number}" for number in range(60)]))


async def test_a_broker_killed_on_a_full_disk_has_all_that_it_called_safe(
    cluster: Cluster, disk: SmallDisk, small_files: dict[str, str]
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    broker = broker_on(disk, cluster, small_files)
    await asyncio.to_thread(broker.start)
    ledger = Ledger()
    senders = [RawSender(f"raw{number}", broker.address, topic=f"Late-{number}", size=20) for number in range(60)]
    await senders[0].send_once(ledger)
    with disk.filled():
        for sender in senders:
            for _ in range(2):
                await sender.send_once(ledger)
            await sender.close()
        await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    safe = ledger.safe()
    assert safe.acknowledged
    topics = {each.place.topic for each in safe.acknowledged.values()}
    assert not safe.faults(await stored(broker.address, topics))


async def is_safe_again(sender: RawSender, ledger: Ledger) -> bool:
    before = ledger.statuses[0]
    await sender.send_once(ledger)
    return ledger.statuses[0] > before


@pytest.mark.slow
async def test_reads_and_commits_go_on_where_offsets_cannot_be_saved(
    cluster: Cluster, disk: SmallDisk, small_files: dict[str, str]
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    broker = broker_on(disk, cluster, {**small_files, "flushConsumerOffsetInterval": "100"})
    await asyncio.to_thread(broker.start)
    talk = BrokerTalk(broker.address)
    await talk.send("T")
    for number in range(200):
        await talk.pull("T", 0, 0, group=long_name(number))
    with disk.filled():
        for number in range(200):
            (await talk.commit(long_name(number), "T", 0, 1)).raise_for_code()
        await eventually(lambda: "consumerOffset.json could not be saved" in broker.run_log(), within=10)
        assert await talk.offset(long_name(199), "T") == 1
        assert (await talk.pull("T", 0, 0)).bodies == [b"body"]
    await eventually(lambda: long_name(199) in read(disk, "consumerOffset.json"), within=10)
    await talk.close()
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    again = BrokerTalk(broker.address)
    assert await again.offset(long_name(199), "T") == 1
    await again.close()


@pytest.mark.slow
async def test_a_delayed_message_that_falls_due_on_a_full_disk_comes_once_there_is_room(
    cluster: Cluster, disk: SmallDisk, small_files: dict[str, str]
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    broker = broker_on(disk, cluster, {**small_files, "messageDelayLevel": "1s 2s"})
    await asyncio.to_thread(broker.start)
    talk = BrokerTalk(broker.address)
    await talk.send("T", bytes(300_000))
    for _ in range(3):
        await talk.send("T", bytes(200_000), DELAY="1")  # the segment has no room to store them a second time
    with disk.filled():
        await eventually(lambda: "is not delivered yet" in broker.run_log(), within=10)
    messages = await talk.pull_all("T", count=4)
    assert [len(message.body) for message in messages] == [300_000, 200_000, 200_000, 200_000]
    await talk.close()


def long_name(number: int) -> str:
    """A consumer group; a few hundred of them fill many pages."""
    return f"group-{number}-{'x' * 200}"


def read(disk: SmallDisk, name: str) -> str:
    file = disk.inside / "store" / "config" / name
    return file.read_text() if file.exists() else ""


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_disk_that_is_full_again_and_again_loses_nothing(
    cluster: Cluster, disk: SmallDisk, small_files: dict[str, str]
) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    broker = broker_on(disk, cluster, small_files)
    await asyncio.to_thread(broker.start)
    await fill_rounds(cluster, disk, broker, rounds=4)


def test_a_store_that_cannot_be_written_is_named_at_the_start(
    cluster: Cluster, tmp_path: Path, small_files: dict[str, str]
) -> None:
    with small_disk(tmp_path / "disk", megabytes=1, options="ro") as disk:
        broker = broker_on(disk, cluster, small_files)
        with pytest.raises(ServerFailed, match="status 1"):
            broker.start()
        assert re.search(r"The broker cannot start: .*disk/store: Read-only file system", broker.run_log())
        assert "Traceback" not in broker.run_log()
