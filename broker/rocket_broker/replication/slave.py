"""The slave's side of replication: takes the master's log byte by byte, and says how far it has come (section 5.1).

The slave's log is a copy of the master's from where it began, so positions are equal; what the records say (queues,
index) is worked out from the bytes by the store. A stream that does not continue the own log is never written. Bytes
that are no records are cut off again; where the disk fails in that, nobody can say what it holds, and the process ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from rocket_broker.config import LiveConfig
from rocket_broker.replication.link import MasterLink
from rocket_broker.replication.protocol import REPORT, TransferReader
from rocket_broker.store.errors import StoreError
from rocket_broker.store.store import MessageStore
from rocket_net.client import split_address
from rocket_net.errors import TransportError
from rocket_wire.errors import ProtocolError

log = logging.getLogger("rocket.replication")

_FIRST_PAUSE: Final = 0.2
_LAST_PAUSE: Final = 5.0
_CONNECT_SECONDS: Final = 3.0
_READ_BYTES: Final = 256 * 1024


class Slave:
    """Follows whichever master `link` names."""

    def __init__(
        self,
        config: LiveConfig,
        store: MessageStore,
        link: MasterLink,
        arrived: Callable[[], None],
        fatal: Callable[[str], None],
    ) -> None:
        """`arrived` is called when the log grew; `fatal` ends the process with one line."""
        self._config = config
        self.store = store
        self._link = link
        self._arrived = arrived
        self._fatal = fatal
        self._transfers = TransferReader()

    async def run(self) -> None:
        """Follows, reconnects, never returns."""
        pause = _FIRST_PAUSE
        reported = ""
        while True:
            address = self._config.settings.ha_master_address or self._link.ha_address
            if address:
                try:
                    await self._follow(address)
                except (OSError, TransportError, ProtocolError, StoreError, EOFError) as error:
                    if str(error) != reported:
                        log.warning("master %s is not followed: %s; trying on", address, error)
                        reported = str(error)
                if self._link.is_connected:
                    pause, reported = _FIRST_PAUSE, ""
                    self._link.is_connected = False
                    self.lost()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE) if address else _FIRST_PAUSE

    async def _follow(self, address: str) -> None:
        host, port = split_address(address)
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
        try:
            log.info("following master %s from position %d", address, self.store.max_position)
            writer.write(self.greeting())
            await self._take(reader, writer)
        finally:
            writer.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silence = self._config.settings.ha_housekeeping_interval / 1000
        while True:
            try:
                async with asyncio.timeout(silence):
                    received = await reader.read(_READ_BYTES)
            except TimeoutError:
                raise EOFError(f"the master was silent for {silence:g} s") from None
            if not received:
                raise EOFError("the master closed the connection")
            answer = self.received(received)
            self._link.is_connected = True
            writer.write(answer)
            await writer.drain()
            self._arrived()

    # -- the stream's -------------------------------------------------------------------------------------------------

    def lost(self) -> None:
        """The connection to the master ended."""

    def greeting(self) -> bytes:
        """What the slave says first, on a new connection."""
        self._transfers = TransferReader()
        return REPORT.pack(self.store.max_position)

    def received(self, data: bytes) -> bytes:
        """Takes what the master sends; returns what to answer. Raises ProtocolError and StoreError."""
        for transfer in self._transfers.feed(data):
            self.append(transfer.position, transfer.content)
        return REPORT.pack(self.store.max_position)

    def append(self, position: int, content: bytes) -> None:
        """A stretch of the master's log, none in a heartbeat. Raises ProtocolError and StoreError."""
        if not content:
            return
        if self.store.max_position == 0 and position > 0:
            self.store.reset_to(position)
        own = self.store.max_position
        if position != own:
            raise ProtocolError(f"the master sends position {position}, this slave's log ends at {own}")
        try:
            self.store.append_replica(position, content)
        except OSError as error:
            self._fatal(f"the store cannot be synced to disk ({error}): stopping, so that nothing more is reported")
            raise
