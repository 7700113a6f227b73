"""One request to a server from a test that has no event loop."""

from __future__ import annotations

import socket

from rocket_wire import frame
from rocket_wire.command import Command


def ask(address: str, request: Command, timeout: float = 2.0) -> Command:
    """The answer, over a connection of its own. Raises OSError where there is none in time."""
    host, _, port = address.rpartition(":")
    frames = frame.FrameBuffer()
    with socket.create_connection((host, int(port)), timeout) as connection:
        connection.sendall(frame.encode(request))
        while content := connection.recv(65536):
            for answer in frames.feed(content):
                return answer
    raise ConnectionError(f"{address} closed the connection without an answer")
