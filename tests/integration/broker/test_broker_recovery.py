"""A start that has a long log to read again says how far it is, and may be stopped."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import MessageStore, Outgoing
from rocket_testing.cluster import Broker, Cluster, OurServers
from rocket_testing.waiting import eventually

COUNT = 100_000
HOST = bytes([127, 0, 0, 1]) + (10911).to_bytes(4)


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of nothing but its commit log."""
    root = tmp_path_factory.mktemp("long") / "store"
    settings = StoreSettings(root=root, commitlog_path=root / "commitlog", segment_size=16 << 20, index_enable=False)
    store = MessageStore.open(settings, now_ms=lambda: 1_700_000_000_000, log=logging.getLogger("store"))
    message = Outgoing(
        topic="T", queue_id=0, body=bytes(200), properties=b"", born_timestamp=1, born_host=HOST, store_host=HOST
    )
    for _ in range(COUNT):
        store.put(message)
    store.close()
    shutil.rmtree(root / "consumequeue")
    (root / "checkpoint").unlink()
    return root


@pytest.fixture
def broker(tmp_path: Path, cluster: Cluster, long_log: Path) -> Iterator[Broker]:
    """Not started yet."""
    cluster.add_namesrv()
    broker = OurServers().broker(tmp_path, cluster.namesrv)
    shutil.copytree(long_log, broker.store)
    yield broker
    broker.kill()


def readiness(broker: Broker) -> str:
    """The body of /readyz; nothing where it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{broker.http_port}/readyz", timeout=2) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.read().decode()
    except OSError:
        return ""


async def recovering(broker: Broker) -> str:
    async def found() -> str | None:
        said = await asyncio.to_thread(readiness, broker)
        return said if said.startswith("recovering: ") else None

    return await eventually(found)


async def test_a_start_that_reads_the_log_again_says_how_far_it_is(broker: Broker) -> None:
    broker.launch()
    said = await recovering(broker)
    assert re.fullmatch(r"recovering: \d+ of at most \d+ MiB of the log are read, \d+ %\n", said)
    await asyncio.to_thread(broker.wait_ready)
    assert readiness(broker) == "registered\n"


async def test_a_start_that_is_stopped_while_it_reads_ends_at_once_and_the_next_one_reads_again(broker: Broker) -> None:
    broker.launch()
    await recovering(broker)
    await asyncio.to_thread(broker.stop)
    assert "stopping in the middle of it" in broker.run_log()
    await asyncio.to_thread(broker.start)
    assert readiness(broker) == "registered\n"
