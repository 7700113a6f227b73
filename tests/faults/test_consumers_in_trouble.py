"""Consumers whose broker dies, whose own process dies, or whose messages wait for later: nothing is skipped."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rocket_client import Admin, ConsumerSettings, FromWhere, Message, Producer, PushConsumer, PushedMessage
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.ledger import Key, Ledger, key_of
from rocket_testing.senders import QUEUES, TOPIC, ClientSender, RawSender, acknowledged, sending, stored
from rocket_testing.waiting import eventually

GROUP = "faults"
SETTINGS = ConsumerSettings(commit_seconds=0.5, long_poll_seconds=2.0, rebalance_seconds=5.0)


@dataclass
class Seen:
    """What the members of a group were handed, and how often."""

    times: Counter[Key] = field(default_factory=Counter)

    async def handle(self, message: PushedMessage) -> None:
        self.times[key_of(message.body)] += 1

    def lacks(self, ledger: Ledger) -> set[Key]:
        """What was acknowledged and never came."""
        return ledger.acknowledged.keys() - self.times.keys()

    def invented(self, ledger: Ledger) -> set[Key]:
        """What came and was never sent."""
        return self.times.keys() - ledger.sent.keys()

    @property
    def repeated(self) -> int:
        """How many deliveries were not the first."""
        return sum(self.times.values()) - len(self.times)


@contextlib.asynccontextmanager
async def consuming(namesrv: str, seen: Seen, *, orderly: bool = False) -> AsyncIterator[PushConsumer]:
    """A member of the group is at work inside the block, and leaves it in order."""
    consumer = PushConsumer(namesrv, GROUP, from_where=FromWhere.FIRST, settings=SETTINGS, orderly=orderly)
    async with consumer:
        await consumer.subscribe(TOPIC)
        run = asyncio.create_task(consumer.run(seen.handle))
        await asyncio.sleep(0)  # it has begun, even where nothing is left to wait for
        try:
            yield consumer
        finally:
            await consumer.stop()
            await run


async def all_came(seen: Seen, ledger: Ledger) -> None:
    await eventually(lambda: not seen.lacks(ledger))
    assert not seen.invented(ledger)


async def make_topic(cluster: Cluster) -> None:
    async with Admin(cluster.namesrv) as admin:
        await admin.create_topic(TOPIC, queues=QUEUES)


async def kill_under_consumers(cluster: Cluster, master: Broker, rounds: int) -> None:
    await make_topic(cluster)
    ledger, seen = Ledger(), Seen()
    async with consuming(cluster.namesrv, seen), consuming(cluster.namesrv, seen):
        async with sending(ledger, RawSender("raw", master.address), ClientSender("client", cluster.namesrv)):
            for _ in range(rounds):
                await acknowledged(ledger, more=100)
                await asyncio.to_thread(master.kill)
                await asyncio.to_thread(master.start)
            await acknowledged(ledger, more=100)
        await all_came(seen, ledger)
    assert not ledger.faults(await stored(master.address))
    async with Admin(cluster.namesrv) as admin:
        assert (await admin.consumer_progress(GROUP, TOPIC)).lag == 0


async def test_a_group_goes_on_after_its_broker_was_killed(cluster: Cluster, master: Broker) -> None:
    await kill_under_consumers(cluster, master, rounds=1)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_group_goes_on_after_its_broker_was_killed_many_times(cluster: Cluster, master: Broker) -> None:
    await kill_under_consumers(cluster, master, rounds=15)


async def test_a_group_that_comes_back_goes_on_where_it_stopped(cluster: Cluster, master: Broker) -> None:
    """Also when the broker was killed in between: what was committed half a minute before a kill is on its disk."""
    await make_topic(cluster)
    ledger, seen = Ledger(), Seen()
    async with sending(ledger, RawSender("raw", master.address)):
        async with consuming(cluster.namesrv, seen):
            await acknowledged(ledger, more=100)
        await asyncio.to_thread(master.restart)
        async with consuming(cluster.namesrv, seen):
            await acknowledged(ledger, more=100)
    async with consuming(cluster.namesrv, seen):
        await all_came(seen, ledger)
    assert seen.repeated == 0


async def test_an_orderly_group_keeps_each_queues_order_through_a_kill(cluster: Cluster, master: Broker) -> None:
    await make_topic(cluster)
    ledger, seen = Ledger(), Seen()
    order: dict[tuple[str, int], list[int]] = {}

    async def handle(message: PushedMessage) -> None:
        if not seen.times[key_of(message.body)]:
            order.setdefault((message.topic, message.queue_id), []).append(message.queue_offset)
        await seen.handle(message)

    recorder = Seen()
    recorder.times = seen.times
    recorder.handle = handle  # type: ignore[method-assign]  # the same tally, and the order beside it
    async with consuming(cluster.namesrv, recorder, orderly=True):
        async with sending(ledger, RawSender("raw", master.address)):
            await acknowledged(ledger, more=100)
            await asyncio.to_thread(master.kill)
            await asyncio.to_thread(master.start)
            await acknowledged(ledger, more=100)
        await all_came(seen, ledger)
    assert all(offsets == sorted(offsets) for offsets in order.values())


@pytest.mark.slow
async def test_consumers_read_from_the_slave_while_the_master_is_gone_and_go_back(
    cluster: Cluster, small_files: dict[str, str]
) -> None:
    def start() -> tuple[Broker, Broker]:
        cluster.add_namesrv()
        master = cluster.add_broker(**small_files, slaveReadEnable="true")
        own = {"brokerName": master.broker_name, "brokerId": "1", "slaveReadEnable": "true"}
        return master, cluster.add_broker(**small_files, **own)

    master, slave = await asyncio.to_thread(start)
    await make_topic(cluster)
    ledger, seen = Ledger(), Seen()
    async with consuming(cluster.namesrv, seen):
        async with sending(ledger, RawSender("raw", master.address)):
            await acknowledged(ledger, more=100)
        await all_came(seen, ledger)
        slave_only = Seen()
        async with sending(ledger, RawSender("raw2", master.address)):
            await acknowledged(ledger, more=50)
        async with Admin(cluster.namesrv) as admin:
            await eventually(lambda: same_end(admin, master, slave))
        await asyncio.to_thread(master.kill)
        await all_came(seen, ledger)
        assert not slave_only.repeated
        await asyncio.to_thread(master.start)
        async with sending(ledger, RawSender("raw3", master.address)):
            await acknowledged(ledger, more=50)
        await all_came(seen, ledger)
    assert not ledger.faults(await stored(master.address))


async def same_end(admin: Admin, *brokers: Broker) -> bool:
    return len({(await admin.broker_runtime(each.address))["commitLogMaxOffset"] for each in brokers}) == 1


CONSUMER = """
import asyncio, sys
from rocket_client import ConsumerSettings, FromWhere, PushConsumer

async def main(namesrv, group, topic):
    settings = ConsumerSettings(commit_seconds=0.2, long_poll_seconds=2.0, pull_batch=8)
    async with PushConsumer(namesrv, group, from_where=FromWhere.FIRST, settings=settings) as consumer:
        await consumer.subscribe(topic)
        async for message in consumer:
            print(message.body[:40].decode(), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_consumer_process_that_is_killed_is_followed_by_one_that_skips_nothing(
    cluster: Cluster, master: Broker, tmp_path: Path
) -> None:
    await make_topic(cluster)
    ledger, seen = Ledger(), Seen()
    out = tmp_path / "consumed"
    async with sending(ledger, RawSender("raw", master.address)):
        await acknowledged(ledger, more=100)
        with out.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CONSUMER, cluster.namesrv, GROUP, TOPIC, stdout=file
            )
            await eventually(lambda: out.stat().st_size > 2000)
            process.kill()
            await process.wait()
    for line in out.read_bytes().split(b"\n")[:-1]:
        seen.times[key_of(line)] += 1
    async with consuming(cluster.namesrv, seen):
        await all_came(seen, ledger)
    assert seen.repeated < 1000


async def delayed_through_kills(cluster: Cluster, master: Broker, rounds: int) -> None:
    """Messages of several delay levels, and retries of failed ones, while the broker is killed again and again."""
    await make_topic(cluster)
    sent: set[str] = set()
    came: Counter[str] = Counter()
    failed: set[str] = set()

    async def handle(message: PushedMessage) -> None:
        if message.text.startswith("fails") and message.text not in failed:
            failed.add(message.text)
            await message.retry(delay_level=1)
            return
        came[message.text] += 1

    settings = ConsumerSettings(commit_seconds=0.5, long_poll_seconds=2.0, rebalance_seconds=2.0)
    async with (
        PushConsumer(cluster.namesrv, GROUP, from_where=FromWhere.FIRST, settings=settings) as consumer,
        Producer(cluster.namesrv) as producer,
    ):
        await consumer.subscribe(TOPIC)
        run = asyncio.create_task(consumer.run(handle))
        for number in range(rounds):
            texts = [f"{kind}-{number}-{index}" for kind in ("delayed", "fails") for index in range(20)]
            for index, text in enumerate(texts):
                delay = 1 + index % 3 if text.startswith("delayed") else 0
                await producer.send(Message(TOPIC, text, delay_level=delay), timeout=20)
                sent.add(text)
            await asyncio.to_thread(master.kill)
            await asyncio.to_thread(master.start)
        await eventually(lambda: sent <= came.keys())
        await consumer.stop()
        await run
    assert came.keys() == sent


DELAYS = {"messageDelayLevel": "1s 2s 3s 4s"}


async def test_delayed_messages_and_retries_outlive_a_kill(cluster: Cluster, small_files: dict[str, str]) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    master = await asyncio.to_thread(lambda: cluster.add_broker(**small_files, **DELAYS))
    await delayed_through_kills(cluster, master, rounds=1)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_delayed_messages_and_retries_outlive_many_kills(cluster: Cluster, small_files: dict[str, str]) -> None:
    await asyncio.to_thread(cluster.add_namesrv)
    fast = {"flushDelayOffsetInterval": "300"}
    master = await asyncio.to_thread(lambda: cluster.add_broker(**small_files, **DELAYS, **fast))
    await delayed_through_kills(cluster, master, rounds=15)
