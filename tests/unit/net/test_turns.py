"""Requests that have a share of each turn: those of a client that does not read wait until it does."""

from __future__ import annotations

import asyncio

from rocket_net.connection import Connection
from rocket_net.limits import Limits
from rocket_net.server import Server
from rocket_net.turns import InTurn
from rocket_testing.peer import Peer
from rocket_testing.waiting import eventually
from rocket_wire import frame
from rocket_wire.command import Command, request

CODE = 11
ANSWER = bytes(256 * 1024)


class Busy:
    """Others that were heard just now, always."""

    @property
    def last(self) -> float:
        return asyncio.get_running_loop().time()


async def test_a_client_that_does_not_read_is_not_worked_for() -> None:
    carried_out = 0

    def handler(request: Command, _: Connection) -> Command:
        nonlocal carried_out
        carried_out += 1
        return request.reply(body=ANSWER)

    server = Server({CODE: InTurn(handler, Busy())}, Limits(write_buffer_bytes=1024 * 1024))  # type: ignore[arg-type]
    peer = await Peer.connect(await server.start("127.0.0.1", 0))
    asked = 500
    await peer.send_bytes(b"".join(frame.encode(request(CODE)) for _ in range(asked)))
    await eventually(lambda: any(connection.is_full for connection in server.connections), 10)
    for _ in range(20):
        await asyncio.sleep(0)
    assert carried_out < asked // 4
    for _ in range(asked):
        assert len((await asyncio.wait_for(peer.receive(), 30)).body) == len(ANSWER)
    assert carried_out == asked
    peer.close()
    await server.stop()
