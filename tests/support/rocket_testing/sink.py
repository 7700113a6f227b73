"""A connection without a socket: what is written stays in a `Sink`. For what happens within one turn of the loop."""

from __future__ import annotations

import asyncio

from rocket_net.connection import Connection
from rocket_net.dispatch import Table
from rocket_net.limits import Limits
from rocket_wire.command import Command
from rocket_wire.frame import FrameBuffer


class Sink(asyncio.Transport):
    """Takes what a connection writes."""

    def __init__(self) -> None:
        super().__init__()
        self.received = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.received += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def answers(self) -> list[Command]:
        return list(FrameBuffer().feed(self.received))

    def opaques(self) -> list[int]:
        return [command.opaque for command in self.answers()]


def opened(table: Table) -> tuple[Connection, Sink]:
    """A connection that answers by `table`; `data_received` hands it what a peer would send."""
    connection, sink = Connection(table, Limits()), Sink()
    connection.connection_made(sink)
    return connection, sink
