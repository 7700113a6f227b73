"""The other end of a connection, played by the test: raw bytes out, commands in, and only when the test asks.

Nothing reads in the background, so a test decides byte by byte what its peer sends and when it reads.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable

from rocket_wire import frame
from rocket_wire.command import Command
from rocket_wire.frame import FrameBuffer, SerializeType

#: Seconds. Every wait of a test ends by then; none comes near it unless something is broken.
DEADLINE = 10.0


class Peer:
    """A client's socket in the hands of a test."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._frames = FrameBuffer()
        self._received: deque[Command] = deque()

    @classmethod
    async def connect(cls, port: int, receive_buffer: int | None = None) -> Peer:
        """Connects to a port of this machine. A small receive buffer (bytes) makes a reader that is soon full."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    @property
    def address(self) -> str:
        host, port = self._socket.getsockname()
        return f"{host}:{port}"

    async def send(self, *commands: Command, serialize: SerializeType = SerializeType.JSON) -> None:
        await self.send_bytes(b"".join(frame.encode(command, serialize) for command in commands))

    async def send_bytes(self, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def receive(self) -> Command:
        """The next command that the server sends. Raises ConnectionError when it closes instead."""
        while not self._received:
            if not (data := await self.receive_bytes()):
                raise ConnectionError("closed by the server")
            self._received.extend(self._frames.feed(data))
        return self._received.popleft()

    async def receive_bytes(self) -> bytes:
        async with asyncio.timeout(DEADLINE):
            return await asyncio.get_running_loop().sock_recv(self._socket, 65536)

    async def until_closed(self) -> list[Command]:
        """What still comes until the server closes, which it must do in time."""
        commands = []
        try:
            while True:
                commands.append(await self.receive())
        except ConnectionError:
            return commands

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Goes away without a farewell: what the server writes next is answered by a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


async def until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds. Raises TimeoutError when it does not in time."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - the condition is the state of the code under test, it has no event
            await asyncio.sleep(0.005)
