"""How far a consumer is: kept by the brokers for a group, or in a file for a broadcasting consumer.

The file is Java's, at the same place, so that a consumer may be replaced by one of the other language
(protocol section 6.6):

    ~/.rocketmq_offsets/<ip>@<instance name>/<group>/offsets.json, the version before in offsets.json.bak
    {"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:12}}

An offset is that of the next message.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Protocol

from rocket_client.broker_calls import BrokerCalls
from rocket_client.errors import InvalidMessage, RocketError
from rocket_client.message import queue_text
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.offsets import ResetOffsetBody
from rocket_wire.errors import RequestError

log = logging.getLogger("rocket.client")


Errors = dict[MessageQueue, RocketError]


class Offsets(Protocol):
    """Where a consumer's offsets are kept."""

    async def load(self, queue: MessageQueue) -> int | None:
        """The next offset, or None where there is none yet."""
        ...

    async def save(self, offsets: Mapping[MessageQueue, int]) -> Errors:
        """Keeps these. What went wrong is logged and told by queue; those offsets are to be saved again."""
        ...

    def close(self) -> None:
        """Nothing more is saved."""
        ...


class GroupOffsets:
    """Kept by each queue's broker, for the group."""

    def __init__(self, calls: BrokerCalls, group: str) -> None:
        self._calls = calls
        self._group = group

    async def load(self, queue: MessageQueue) -> int | None:
        return await self._calls.committed(self._group, queue)

    async def save(self, offsets: Mapping[MessageQueue, int]) -> Errors:
        # A group's first two commits of a topic, at once, may overwrite each other on Apache's broker: it makes the
        # topic's table in either. So one goes ahead for each topic.
        first: dict[tuple[str, str], MessageQueue] = {}
        for queue in offsets:
            first.setdefault((queue.topic, queue.broker_name), queue)
        rest = offsets.keys() - set(first.values())
        failed = await self._save_all({queue: offsets[queue] for queue in first.values()})
        return failed | await self._save_all({queue: offsets[queue] for queue in rest})

    async def _save_all(self, offsets: Mapping[MessageQueue, int]) -> Errors:
        results = await asyncio.gather(*(self._save_one(queue, offset) for queue, offset in offsets.items()))
        return {queue: error for queue, error in zip(offsets, results, strict=True) if error is not None}

    async def _save_one(self, queue: MessageQueue, offset: int) -> RocketError | None:
        try:
            await self._calls.commit(self._group, queue, offset)
        except RocketError as error:
            log.warning("offset %d of %s is not committed: %s", offset, queue_text(queue), error)
            return error
        return None

    def close(self) -> None:
        """Nothing to close."""


class FileOffsets:
    """Kept in a file of this consumer's own, which a lock keeps others from using at the same time."""

    def __init__(self, folder: Path) -> None:
        """Raises InvalidMessage where another consumer uses this folder, OSError where it cannot be written."""
        self._file = folder / "offsets.json"
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder)
        self._offsets = _read(self._file) or _read(_backup(self._file)) or {}

    async def load(self, queue: MessageQueue) -> int | None:
        return self._offsets.get(queue)

    async def save(self, offsets: Mapping[MessageQueue, int]) -> Errors:
        changed = {**self._offsets, **offsets}
        if changed == self._offsets:
            return {}
        try:
            _write(self._file, changed)
        except OSError as error:
            log.warning("offsets are not saved: %s", error)
            return dict.fromkeys(offsets, RocketError(f"offsets are not saved: {error}"))
        self._offsets = changed
        return {}

    def close(self) -> None:
        self._lock.close()


def offsets_folder(root: Path, ip: str, instance_name: str, group: str) -> Path:
    """Where a broadcasting consumer's file lies."""
    return root.expanduser() / f"{ip}@{instance_name}" / group


def _locked(folder: Path) -> IO[str]:
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise InvalidMessage(
            f"another broadcasting consumer keeps its offsets in {folder}: give each consumer on this host an "
            "instance_name of its own (ConsumerSettings), the same after each restart"
        ) from None
    return lock


def _read(file: Path) -> dict[MessageQueue, int] | None:
    try:
        return ResetOffsetBody.decode(file.read_bytes()).offset_table
    except FileNotFoundError:
        return None
    except RequestError as error:
        log.warning("%s cannot be read and is left aside: %s", file, error)
        return None


def _write(file: Path, offsets: dict[MessageQueue, int]) -> None:
    fresh = file.with_suffix(".json.tmp")
    fresh.write_bytes(ResetOffsetBody(offsets).encode())
    if file.exists():
        os.replace(file, _backup(file))
    os.replace(fresh, file)


def _backup(file: Path) -> Path:
    return file.with_name(file.name + ".bak")
