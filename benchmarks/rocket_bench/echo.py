"""A server that does nothing but answer: each request gets a canned send answer with its own opaque.

What the generator reaches against it is the generator's ceiling, so that nobody reads that as a broker's.
Takes the port as its argument and prints a line when it listens.
"""

from __future__ import annotations

import asyncio
import sys
from functools import cache
from typing import cast

import uvloop
from rocket_bench.frames import frame_end, opaque_of

from rocket_wire import frame
from rocket_wire.command import answer
from rocket_wire.frame import SerializeType

_EXT = {
    "msgId": "7F00000100002A9F0000000000000000",
    "queueId": "0",
    "queueOffset": "1000000",
    "MSG_REGION": "DefaultRegion",
    "TRACE_ON": "true",
}


@cache
def canned(opaque: int) -> bytes:
    return frame.encode(answer(opaque, 0, ext=_EXT), SerializeType.JSON)


class Echo(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        received = self._rest + data if self._rest else data
        start, size, out = 0, len(received), []
        while size - start >= 8 and (end := frame_end(received, start)) <= size:
            out.append(canned(opaque_of(received, start)))
            start = end
        self._rest = received[start:]
        if out and self._transport is not None:
            self._transport.write(b"".join(out))


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
