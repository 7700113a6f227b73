"""A lease in a folder, for members on one machine.

    00000000000000000041      the lease, JSON; the newest number holds
    .orders-broker-0-1.tmp    what that member is about to link

A change is a hard link to the next number, which succeeds for one only. Nobody holds a lock, so a member that is
frozen in the middle holds nobody up. One that wakes up late may link a number that the others have left behind and
deleted; so a change counts only if no higher number is there afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from rocket_broker.failover.lease import LeaseUnavailable
from rocket_broker.failover.member import Lease

T = TypeVar("T")

#: A folder on a disk that hangs must not hang the member.
_SECONDS: Final = 2.0
_KEPT: Final = 2


class FileLease:
    """The lease of one group as the member `name` sees it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._temporary = folder / f".{name}.tmp"

    async def read(self) -> Lease:
        return await _in_time(asyncio.to_thread(self._read))

    async def write(self, lease: Lease, after: Lease) -> Lease | None:
        return await _in_time(asyncio.to_thread(self._write, lease, int(after.change or 0)))

    async def close(self) -> None:
        """Nothing is held."""

    def _read(self) -> Lease:
        while numbers := self._numbers():
            try:
                content = self._path(numbers[-1]).read_bytes()
            except FileNotFoundError:  # a newer one came meanwhile
                continue
            lease = msgspec.json.decode(content, type=Lease)
            return msgspec.structs.replace(lease, change=str(numbers[-1]))
        return Lease()

    def _write(self, lease: Lease, before: int) -> Lease | None:
        if not before:  # a folder that is gone later is not made anew: the lease would begin again beside the old one
            self._folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._temporary.unlink()
        with open(self._temporary, "xb") as file:
            file.write(msgspec.json.encode(msgspec.structs.replace(lease, change="")))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(self._temporary, self._path(before + 1))
        except FileExistsError:
            return None
        self._sync()
        numbers = self._numbers()
        if not numbers:
            raise LeaseUnavailable(f"{self._folder} is gone")
        if numbers[-1] != before + 1:
            return None
        for old in numbers[:-_KEPT]:
            with contextlib.suppress(FileNotFoundError):
                self._path(old).unlink()
        return msgspec.structs.replace(lease, change=str(before + 1))

    def _numbers(self) -> list[int]:
        try:
            return sorted(int(name) for name in os.listdir(self._folder) if name.isdecimal())
        except FileNotFoundError:
            return []

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:020d}"

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


async def _in_time(doing: Coroutine[None, None, T]) -> T:
    try:
        async with asyncio.timeout(_SECONDS):
            return await doing
    except TimeoutError:
        raise LeaseUnavailable(f"the disk did not answer within {_SECONDS:g} s") from None
    except (OSError, msgspec.DecodeError) as error:
        raise LeaseUnavailable(str(error)) from error
