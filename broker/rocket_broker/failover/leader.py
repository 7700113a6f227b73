"""The master's side of the auto-switch stream (protocol section 5.5): who follows, how far each is, who keeps up.

A follower says who it is, drops what this master does not have, and then is sent the log, never across an epoch.
Every frame tells how much is confirmed. Now and then each is asked to promise not to take over (rule *promise*).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from rocket_broker.config import LiveConfig
from rocket_broker.failover import stream
from rocket_broker.failover.epochs import Epochs
from rocket_broker.failover.member import Member
from rocket_broker.failover.stream import Hello, Promise, Report, SlaveReader, State
from rocket_broker.replication.log_connection import LogConnection, Sender
from rocket_broker.store.store import MessageStore

log = logging.getLogger("rocket.replication")

_TOKENS_PER_SECOND: Final = 1000


class Leader(Sender):
    """Listens while this member is the master. `progress` is called when a follower reported or promised."""

    def __init__(
        self, config: LiveConfig, store: MessageStore, epochs: Epochs, member: Member, progress: Callable[[], None]
    ) -> None:
        super().__init__(config, store)
        self.epochs = epochs
        self.member = member
        self.followers: dict[str, FollowerConnection] = {}
        #: When followers of the sync set went, by name.
        self.gone: dict[str, float] = {}
        self._progress = progress
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> None:
        """Listens. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: FollowerConnection(self), host, port)

    async def stop(self) -> None:
        """Closes all connections, and listens no more."""
        for connection in list(self.connections):
            connection.abort()
        self.followers.clear()
        self.gone.clear()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def newest(self) -> int:
        """The epoch in which this master writes."""
        return self.epochs.newest

    # -- followers --------------------------------------------------------------------------------------------------

    def went(self, connection: LogConnection) -> None:
        super().went(connection)
        for name, follower in list(self.followers.items()):
            if follower is connection:
                del self.followers[name]
                self.gone[name] = asyncio.get_running_loop().time()
                self._progress()

    def introduced(self, connection: FollowerConnection, broker_id: int) -> None:
        """A follower said which member it is. One that came before under this name is gone, and does not know it."""
        name = self.name_of(broker_id)
        if (before := self.followers.pop(name, None)) is not None:
            before.abort()
        connection.name = name
        self.followers[name] = connection

    def name_of(self, broker_id: int) -> str:
        """What the member with this id as a slave is called in the lease."""
        return f"{self.config.settings.broker_name}-{broker_id - 1}"

    def reported(self, connection: FollowerConnection) -> None:
        """It has the log up to `acknowledged`."""
        if self.followers.get(connection.name) is connection:
            self.member.reported(connection.name, connection.acknowledged)
            self._progress()

    def promised(self, connection: FollowerConnection, token: int) -> None:
        """It promises; it was asked when the token says."""
        asked = token / _TOKENS_PER_SECOND
        if self.followers.get(connection.name) is connection and asked <= asyncio.get_running_loop().time():
            self.member.promised(connection.name, asked)
            self._progress()

    # -- what goes out ----------------------------------------------------------------------------------------------

    def ask(self) -> None:
        """Asks every follower for a promise, and tells how much is confirmed."""
        now = asyncio.get_running_loop().time()
        token = int(now * _TOKENS_PER_SECOND)  # rounded down: earlier than it was asked, never later
        frame = stream.header(State.ASK, 0, token, self.newest, 0, self.store.readable_end)
        for follower in list(self.followers.values()):
            if follower.is_following:
                follower.write(frame)
            follower.look(now)
            follower.heartbeat(self.config.settings.ha_housekeeping_interval / 1000)

    def keeps_up(self, name: str, now: float) -> bool:
        """Whether a member of the sync set may stay in it."""
        settings = self.config.settings
        follower = self.followers.get(name)
        if follower is None:
            return now - self.gone.setdefault(name, now) < settings.lease_retry_period / 1000
        behind = self.store.max_position - follower.acknowledged
        late, silent = now - follower.caught_up_at, now - follower.heard_at
        return (
            behind <= settings.ha_max_gap_not_in_sync
            and late <= settings.ha_max_time_slave_not_catchup / 1000
            and silent <= settings.lease_renew_deadline / 1000
        )

    def wanted_set(self, now: float) -> frozenset[str]:
        """Who should be in the sync set: those who keep up, and those who have caught up."""
        member = self.member
        confirmed = max(member.confirmed(self.store.max_position), self.epochs.begins[self.newest])
        kept = {name for name in member.sync_set if name == member.name or self.keeps_up(name, now)}
        new = {name for name, follower in self.followers.items() if follower.acknowledged >= confirmed}
        return frozenset(kept | {name for name in new if self.keeps_up(name, now)})


class FollowerConnection(LogConnection):
    """One follower; its name is known once it said its id."""

    def __init__(self, leader: Leader) -> None:
        super().__init__(leader)
        self.name = ""
        #: When it last had everything that there was (the loop's clock).
        self.caught_up_at = asyncio.get_running_loop().time()
        self._leader = leader
        self._frames = SlaveReader()
        self._target: tuple[int, float] | None = None

    def received(self, data: bytes) -> None:
        for frame in self._frames.feed(data):
            if isinstance(frame, Hello):
                self._greet(frame.broker_id)
            elif isinstance(frame, Promise):
                self._leader.promised(self, frame.token)
            else:
                self._reported(frame)

    def _greet(self, broker_id: int) -> None:
        leader = self._leader
        leader.introduced(self, broker_id)
        body = stream.epochs_body(leader.epochs.begins)
        end, confirmed = leader.store.max_position, leader.store.readable_end
        self.write(stream.header(State.HANDSHAKE, len(body), end, leader.newest, 0, confirmed) + body)

    def _reported(self, frame: Report) -> None:
        if self.sent < 0:
            self._begin(frame.position)
        else:
            self.acknowledged = min(frame.position, self.sent)
        self._leader.reported(self)

    def _begin(self, position: int) -> None:
        store = self._leader.store
        if position > store.max_position or 0 < position < store.min_position:
            log.error(
                "slave %s has the log up to %d, this master has %d to %d: empty the slave's store directory, and it "
                "copies anew",
                self.name or self.peer, position, store.min_position, store.max_position,
            )  # fmt: skip
            self.close()
            return
        self.sent = self.acknowledged = position or store.min_position
        log.info("slave %s follows from position %d", self.name, self.sent)

    def look(self, now: float) -> None:
        """Whether it has by now what there was when somebody last looked."""
        if self._target is not None and self.acknowledged >= self._target[0]:
            self.caught_up_at = self._target[1]
            self._target = None
        if self._target is None:
            self._target = (self._leader.store.max_position, now)

    def head(self, size: int) -> bytes:
        epoch, begin, _ = self._epoch_of_next()
        return stream.header(State.TRANSFER, size, self.sent, epoch, begin, self._leader.store.readable_end)

    def most(self) -> int:
        _, _, end = self._epoch_of_next()
        batch = super().most()
        return batch if end is None else min(batch, end - self.sent)

    def _epoch_of_next(self) -> tuple[int, int, int | None]:
        """The epoch of what is sent next, where it begins, and where it ends: None for the newest."""
        epochs = self._leader.epochs
        epoch = epochs.at(self.sent)
        return epoch, epochs.begins[epoch], epochs.next_begin(self.sent)
