"""Groups whose master is whoever holds the lease."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rocket_client import Admin
from rocket_testing.cluster import Cluster
from rocket_testing.group import Group
from rocket_testing.senders import QUEUES, TOPIC


@pytest.fixture
async def group_of(cluster: Cluster, tmp_path: Path, small_files: dict[str, str]) -> Callable[[int], Awaitable[Group]]:
    """A group of so many, complete, which knows the ledger's topic."""

    async def start(count: int) -> Group:
        await asyncio.to_thread(cluster.add_namesrv)
        group = Group(cluster, tmp_path, **small_files)
        for _ in range(count):
            await asyncio.to_thread(group.add)
        await group.complete()
        async with Admin(cluster.namesrv) as admin:
            await admin.create_topic(TOPIC, queues=QUEUES)
        return group

    return start
