"""Up to where the sync set has the log: what may be acknowledged, and what consumers may see.

A master's confirmed position is the least that any needed member has (rule *larger*), and it counts while the master
may act (rules *deadline*, *promise*). A slave's is what its master told it last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from rocket_broker.arrivals import Arrivals
from rocket_broker.config import LiveConfig
from rocket_broker.failover.member import Member
from rocket_broker.settings import BrokerRole
from rocket_broker.store.store import Arrival, MessageStore
from rocket_wire.codes import ResponseCode


class Confirmation:
    """Of one member, whatever its role. `now` is a monotonic clock, seconds."""

    def __init__(
        self, config: LiveConfig, member: Member, store: MessageStore, arrivals: Arrivals, now: Callable[[], float]
    ) -> None:
        self._config = config
        self._member = member
        self._store = store
        self._arrivals = arrivals
        self._now = now
        self._waiting: deque[tuple[int, asyncio.Future[ResponseCode]]] = deque()
        self._unread: deque[Arrival] = deque()

    def arrived(self, arrival: Arrival) -> None:
        """A message was stored, which may be read once the sync set has it."""
        if arrival.end <= self._store.readable_end:
            self._arrivals.notify(arrival.topic, arrival.queue_id, arrival.queue_offset, arrival.tags_code)
        else:
            self._unread.append(arrival)

    def advance(self) -> None:
        """A master: something changed by which more may be confirmed."""
        if not self._member.acts(self._now()):
            return
        confirmed = self._member.confirmed(self._store.max_position)
        self.show(confirmed)
        while self._waiting and self._waiting[0][0] <= confirmed:
            _settle(self._waiting.popleft()[1], self._status)

    def show(self, position: int) -> None:
        """Consumers may see the log up to `position`, and never less than before."""
        self._store.readable_end = max(self._store.readable_end, position)
        while self._unread and self._unread[0].end <= position:
            self.arrived(self._unread.popleft())

    def cut(self, position: int) -> None:
        """The log was cut there: what came behind it will never be read."""
        self._unread = deque(arrival for arrival in self._unread if arrival.end <= position)

    def give_up(self) -> None:
        """No master any more: nobody can say what becomes of what is not confirmed. Its senders try again."""
        while self._waiting:
            _settle(self._waiting.popleft()[1], ResponseCode.SERVICE_NOT_AVAILABLE)

    # -- what an acknowledgement waits for --------------------------------------------------------------------------

    @property
    def is_enough(self) -> bool:
        """Whether the sync set has as many members as `minInSyncReplicas` asks for."""
        return len(self._member.sync_set) >= self._config.settings.min_in_sync_replicas

    @property
    def _status(self) -> ResponseCode:
        """Of a message that the whole sync set has."""
        return ResponseCode.SUCCESS if self.is_enough else ResponseCode.SLAVE_NOT_AVAILABLE

    @property
    def is_needed(self) -> bool:
        """Whether a message that is stored now waits for the sync set."""
        if self._config.settings.broker_role is not BrokerRole.SYNC_MASTER:
            return False
        return len(self._member.needed()) > 1 or not self._member.acts(self._now())

    async def wait(self, position: int) -> ResponseCode:
        """SUCCESS once the sync set has the log up to `position` and this master may act.

        SLAVE_NOT_AVAILABLE where the set became too small meanwhile.
        """
        self.advance()
        if position <= self._store.readable_end and self._member.acts(self._now()):
            return self._status
        future: asyncio.Future[ResponseCode] = asyncio.get_running_loop().create_future()
        self._waiting.append((position, future))
        try:
            async with asyncio.timeout(self._config.settings.slave_timeout / 1000):
                return await future
        except TimeoutError:
            return ResponseCode.FLUSH_SLAVE_TIMEOUT


def _settle(future: asyncio.Future[ResponseCode], status: ResponseCode) -> None:
    if not future.done():
        future.set_result(status)
