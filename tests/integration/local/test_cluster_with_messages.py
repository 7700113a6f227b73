"""The local substrate with real name servers and brokers: messages outlive restarts, scaling and whole clusters."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocket_cli import tutorial
from rocket_client import Admin, FromWhere, Message, Producer, PushConsumer, RocketError
from rocket_testing.rocketctl import Rocketctl, wait_for

MASTER, SLAVE = "orders-broker-0-0", "orders-broker-0-1"
DEADLINE_SECONDS = 30.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Rocketctl]:
    found = Rocketctl(tmp_path)
    yield found
    found.end()


def write(cluster: Rocketctl, servers: int = 1, groups: int = 1, slaves: int = 0, replication: str = "Async") -> None:
    cluster.write(
        servers,
        groups,
        slaves,
        replication,
        slaveTimeout="500",  # below a client's patience
        mappedFileSizeCommitLog="16777216",
        maxHashSlotNum="5000",
        maxIndexNum="20000",
    )


def namesrv(cluster: Rocketctl, number: int = 0) -> str:
    return f"127.0.0.1:{cluster.first_port + number}"


def is_ready(cluster: Rocketctl, name: str, times: int = 1) -> None:
    wait_for(lambda: cluster.out.count(f"{name} is ready") >= times, lambda: f"{name} ready\n{cluster.out}")


async def send(cluster: Rocketctl, texts: list[str]) -> set[str]:
    """The brokerNames that the messages went to."""
    async with Producer(namesrv(cluster)) as producer:
        return {(await producer.send(Message("T", text))).queue.broker_name for text in texts}


async def received(cluster: Rocketctl, group: str, count: int) -> list[str]:
    """The texts of the first `count` messages that a new consumer group gets."""
    found: list[str] = []
    async with (
        asyncio.timeout(DEADLINE_SECONDS),
        PushConsumer(namesrv(cluster), group, from_where=FromWhere.FIRST) as consumer,
    ):
        await consumer.subscribe("T")
        while len(found) < count:
            message = await consumer.receive()
            await message.ack()
            found.append(message.text)
    return sorted(found)


async def brokers(address: str) -> set[str]:
    """The brokerNames that a name server knows."""
    try:
        async with Admin(address) as admin:
            return set((await admin.cluster()).broker_addr_table)
    except RocketError:
        return set()


async def brokers_become(address: str, wanted: set[str]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while await brokers(address) != wanted:  # noqa: ASYNC110  # other processes send no events
            await asyncio.sleep(0.1)


def test_a_synchronous_cluster_is_ready_when_its_slave_has_what_its_master_has(cluster: Rocketctl) -> None:
    write(cluster, slaves=1, replication="Sync")
    assert cluster.start("demo").wait(DEADLINE_SECONDS) == 0, cluster.out + cluster.err
    assert cluster.out.count("SEND_OK") == 10
    assert "SLAVE_NOT_AVAILABLE" not in cluster.out


async def test_a_demo_fails_where_a_slave_is_missing(cluster: Rocketctl) -> None:
    write(cluster, slaves=1, replication="Sync")
    cluster.up()
    said: list[str] = []
    assert await tutorial.play(namesrv(cluster), said.append)
    os.kill(cluster.pid(SLAVE), signal.SIGSTOP)
    assert not await tutorial.play(namesrv(cluster), said.append)
    os.kill(cluster.pid(SLAVE), signal.SIGCONT)
    assert any(line.startswith("A status other than SEND_OK") for line in said)
    assert said[-1] == "All 10 messages came through, each once."


def test_the_demo_passes_again_and_again_on_one_folder(cluster: Rocketctl) -> None:
    write(cluster, servers=2, slaves=1)
    for _ in range(2):
        process = cluster.start("demo")
        assert process.wait(DEADLINE_SECONDS) == 0, cluster.out + cluster.err
    assert cluster.out.count("All 10 messages came through, each once.") == 2
    assert cluster.err == ""


def test_run_shows_the_messages_and_stays_up_until_it_is_stopped(cluster: Rocketctl) -> None:
    write(cluster)
    process = cluster.start("run")
    cluster.said("All 10 messages came through, each once.")
    cluster.said("The cluster stays up until Ctrl-C.")
    assert process.poll() is None
    assert cluster.stop() == 0


async def test_a_killed_master_comes_back_with_its_messages(cluster: Rocketctl) -> None:
    write(cluster)
    cluster.up()
    texts = [f"message {number}" for number in range(20)]
    await send(cluster, texts)
    os.kill(cluster.pid(MASTER), signal.SIGKILL)
    await asyncio.to_thread(is_ready, cluster, MASTER, 2)
    assert await received(cluster, "g", 20) == sorted(texts)


async def test_messages_outlive_the_cluster(cluster: Rocketctl) -> None:
    write(cluster)
    cluster.up()
    await send(cluster, ["kept"])
    assert cluster.stop() == 0
    cluster.up()
    assert await received(cluster, "g", 1) == ["kept"]


async def test_brokers_learn_of_a_new_name_server_as_they_run(cluster: Rocketctl) -> None:
    write(cluster)
    cluster.up()
    before = cluster.pid(MASTER)
    write(cluster, servers=2)
    await asyncio.to_thread(cluster.said, f"telling {MASTER} as it runs: namesrvAddr=")
    await brokers_become(namesrv(cluster, 1), {"orders-broker-0"})
    write(cluster, servers=1)
    await asyncio.to_thread(cluster.said, "stopping orders-namesrv-1: name server 1 is no longer wanted")
    assert await brokers(namesrv(cluster)) == {"orders-broker-0"}
    assert cluster.pid(MASTER) == before


async def test_a_group_that_comes_back_has_its_messages(cluster: Rocketctl) -> None:
    write(cluster, groups=2)
    cluster.up()
    async with Admin(namesrv(cluster)) as admin:
        await admin.create_topic("T")
    texts = [f"message {number}" for number in range(32)]
    assert await send(cluster, texts) == {"orders-broker-0", "orders-broker-1"}
    write(cluster, groups=1)
    await brokers_become(namesrv(cluster), {"orders-broker-0"})
    write(cluster, groups=2)
    await brokers_become(namesrv(cluster), {"orders-broker-0", "orders-broker-1"})
    assert await received(cluster, "g", 32) == sorted(texts)
