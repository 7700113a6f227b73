"""The logs of a group's members, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rocket_client import Admin
from rocket_testing.cluster import Broker
from rocket_testing.waiting import eventually


async def common_end(namesrv: str, members: Sequence[Broker]) -> int:
    """Up to where all have the log, once that is the same, bytes."""

    async def common() -> int | None:
        ends = {int((await admin.broker_runtime(each.address))["commitLogMaxOffset"]) for each in members}
        return ends.pop() if len(ends) == 1 else None

    async with Admin(namesrv) as admin:
        return await eventually(common)


def log_bytes(store: Path, end: int) -> bytes:
    """The commit log up to `end`."""
    return b"".join(segment.read_bytes() for segment in sorted((store / "commitlog").iterdir()))[:end]
