"""Clusters that a test may break: real processes with small files, so that segments roll over all the time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocket_testing.cluster import Broker, Cluster
from rocket_testing.verified import assert_store_verifies, stores_below

#: A new segment every few hundred messages; several index files, too.
SMALL_FILES = {
    "mappedFileSizeCommitLog": str(1024 * 1024),
    "mappedFileSizeConsumeQueue": "6000",
    "maxHashSlotNum": "500",
    "maxIndexNum": "1000",
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Servers of this test's own; it starts them, and all are ended with it."""
    with Cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def master(cluster: Cluster) -> Broker:
    """A broker with small files, and its name server."""
    await asyncio.to_thread(cluster.add_namesrv)
    return await asyncio.to_thread(lambda: cluster.add_broker(**SMALL_FILES))


@pytest.fixture
def small_files() -> dict[str, str]:
    """Properties of a broker with small files."""
    return dict(SMALL_FILES)


@pytest.fixture(autouse=True)
def whole_stores(tmp_path: Path) -> Iterator[None]:
    """What the test's brokers leave behind, once all have ended, has lost nothing."""
    yield
    for root in stores_below(tmp_path):
        assert_store_verifies(root)
