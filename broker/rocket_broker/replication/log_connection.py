"""One follower's connection, whatever the stream: sends the log as fast as it is read, and knows how far it is.

The same bytes that are on disk go out, as soon as they are written. What stands before them, and what the follower
says, is the stream's: a subclass's.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import cast

from rocket_broker.config import LiveConfig
from rocket_broker.store.errors import StoreError
from rocket_broker.store.store import MessageStore
from rocket_net.connection import address_text
from rocket_wire.errors import ProtocolError

log = logging.getLogger("rocket.replication")


class Sender:
    """Who has the log, and the connections of those who follow it."""

    def __init__(self, config: LiveConfig, store: MessageStore) -> None:
        self.config = config
        self.store = store
        self.connections: set[LogConnection] = set()
        self._pump_due = False

    def came(self, connection: LogConnection) -> None:
        """Somebody connected."""
        self.connections.add(connection)

    def went(self, connection: LogConnection) -> None:
        """Its connection is closed."""
        self.connections.discard(connection)

    def written(self) -> None:
        """The log grew: send it at the end of this turn of the loop."""
        if self.connections and not self._pump_due:
            self._pump_due = True
            asyncio.get_running_loop().call_soon(self._pump_all)

    def _pump_all(self) -> None:
        self._pump_due = False
        for connection in list(self.connections):
            connection.pump()


class LogConnection(asyncio.Protocol, ABC):
    """One follower: what was sent to it and what it has, -1 before it said where to begin; when it last spoke."""

    def __init__(self, sender: Sender) -> None:
        self.peer = "?"
        self.acknowledged = -1
        self.sent = -1
        self.sender = sender
        self._transport: asyncio.Transport | None = None
        self._paused = False
        self.heard_at = 0.0
        self._reading: asyncio.Task[None] | None = None

    # -- the stream's ---------------------------------------------------------------------------------------------

    @abstractmethod
    def received(self, data: bytes) -> None:
        """What the follower says. Raises ProtocolError, and the connection is closed."""

    @abstractmethod
    def head(self, size: int) -> bytes:
        """What stands before the `size` bytes that are sent next; before none in a heartbeat."""

    def most(self) -> int:
        """How many bytes may be sent next at most."""
        return self.sender.config.settings.ha_transfer_batch_size

    # -- the connection -------------------------------------------------------------------------------------------

    @property
    def is_following(self) -> bool:
        return self.sent >= 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.peer = address_text(transport.get_extra_info("peername"))
        self.heard_at = asyncio.get_running_loop().time()
        self.sender.came(self)

    def data_received(self, data: bytes) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        try:
            self.received(data)
        except ProtocolError as error:
            log.warning("slave %s: %s: closing", self.peer, error)
            self.abort()
            return
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.is_following:
            log.warning(
                "slave %s is gone, at position %d of %d", self.peer, self.acknowledged, self.sender.store.max_position
            )
        self._transport = None
        self.sender.went(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self.pump()

    def write(self, content: bytes) -> None:
        """Sends these bytes, if it is still there."""
        if self._transport is not None:
            self._transport.write(content)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Closes without waiting for the slave to read, which one that hangs never does."""
        if self._transport is not None:
            self._transport.abort()

    def heartbeat(self, silence: float) -> None:
        """Tells the slave that we are there; closes it when it was silent for so many seconds."""
        if asyncio.get_running_loop().time() - self.heard_at > silence:
            log.warning("slave %s was silent for %g s: closing", self.peer, silence)
            self.abort()
        elif self.is_following and self._transport is not None and not self._paused:
            self._transport.write(self.head(0))

    def pump(self) -> None:
        """Sends what the slave lacks, as long as it reads."""
        if self._reading is not None and not self._reading.done():
            return  # what is being read comes first
        store = self.sender.store
        try:
            while self.is_following and self.sent < store.max_position and self._transport and not self._paused:
                content = store.read_log(self.sent, self.most())
                if content is None:
                    self._reading = asyncio.create_task(self._read_cold(self.most()))
                    return
                self._send(content)
        except StoreError as error:
            self._fail(error)

    async def _read_cold(self, most: int) -> None:
        """The log where it is not in memory: read in a thread."""
        try:
            content = await asyncio.to_thread(self.sender.store.read_log, self.sent, most, may_block=True)
        except StoreError as error:
            self._fail(error)
            return
        if content:
            self._send(content)
        self._reading = None
        self.pump()

    def _fail(self, error: StoreError) -> None:
        """It cannot have what comes next: that expired while it was away or silent, or the disk does not give it."""
        log.error("slave %s cannot be sent the log from position %d: %s: closing", self.peer, self.sent, error)
        self.abort()

    def _send(self, content: bytes) -> None:
        if self._transport is not None:
            self._transport.writelines((self.head(len(content)), content))
            self.sent += len(content)
