"""Which client of a consumer group may consume a queue in order (protocol section 6.6). Pure: time is an argument.

A lock is held for 60 s from its last renewal; clients renew every 20 s and trust it for 30 s.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

LOCK_SECONDS: Final = 60.0


class Queue(NamedTuple):
    """One queue of a topic on this broker."""

    topic: str
    queue_id: int


class _Lock(NamedTuple):
    client_id: str
    renewed: float


class QueueLocks:
    """Locks by consumer group and queue."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[Queue, _Lock]] = {}

    def clear(self) -> None:
        """Forgets every lock: another broker gives them out."""
        self._groups.clear()

    def lock(self, group: str, client_id: str, queues: Iterable[Queue], now: float) -> list[Queue]:
        """Takes or renews what is free, expired or its own; returns what the client now holds of `queues`."""
        locks = self._groups.setdefault(group, {})
        granted = []
        for queue in queues:
            holder = locks.get(queue)
            if holder is None or holder.client_id == client_id or now - holder.renewed > LOCK_SECONDS:
                locks[queue] = _Lock(client_id, now)
                granted.append(queue)
        return granted

    def unlock(self, group: str, client_id: str, queues: Iterable[Queue]) -> None:
        """Gives back what this client holds; others' locks stay."""
        locks = self._groups.get(group, {})
        for queue in queues:
            holder = locks.get(queue)
            if holder is not None and holder.client_id == client_id:
                del locks[queue]
        if not locks:
            self._groups.pop(group, None)
