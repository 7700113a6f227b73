"""Requests that came in one turn of the loop: answered in one call, each with an answer of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from rocket_net.connection import Connection
from rocket_net.gathering import Answered, Answers, Asked, together
from rocket_net.limits import Limits
from rocket_net.server import Server
from rocket_testing.peer import Peer
from rocket_testing.sink import opened
from rocket_testing.waiting import eventually
from rocket_wire import frame
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers.header import Header

Listen = Callable[[Server], Awaitable[int]]
Dial = Callable[[int], Awaitable[Peer]]

TOGETHER, ALONE, BROKEN = 1, 2, 3


class Name(Header, frozen=True):
    name: str


class Handlers:
    """Notes what was answered together. Names that begin with `later` are answered when `release` is set."""

    def __init__(self) -> None:
        self.runs: list[list[str]] = []
        self.release = asyncio.Event()
        names, broken = together({TOGETHER: Name}, self.names), together({BROKEN: Name}, self.broken)
        self.table = {TOGETHER: names, ALONE: self.alone, BROKEN: broken}

    def names(self, requests: Sequence[tuple[Name, Command, Connection]]) -> Answers:
        self.runs.append([header.name for header, _, _ in requests])
        now: list[Answered] = []
        later: list[Asked] = []
        for header, request, connection in requests:
            if header.name.startswith("later"):
                later.append((request, connection))
            else:
                now.append((request, connection, request.reply()))
        return Answers(now, later, self.later(later)) if later else Answers(now)

    async def later(self, requests: list[Asked]) -> list[Answered]:
        await self.release.wait()
        return [(request, connection, request.reply()) for request, connection in requests]

    def alone(self, request: Command, connection: Connection) -> Command:
        self.runs.append(["alone"])
        return request.reply()

    def broken(self, requests: Sequence[tuple[Name, Command, Connection]]) -> Answers:
        raise RequestError(9, "none of them")


@pytest.fixture
async def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
async def peer(handlers: Handlers, listen: Listen, dial: Dial) -> Peer:
    return await dial(await listen(Server(handlers.table, Limits(max_in_flight=5))))


def asked(code: int, opaque: int, name: str | None = "n") -> Command:
    return Command(code, opaque=opaque, ext={} if name is None else {"name": name})


async def answers(peer: Peer, count: int) -> dict[int, int]:
    """The codes of so many answers by opaque."""
    received = [await peer.receive() for _ in range(count)]
    assert len({reply.opaque for reply in received}) == count
    return {reply.opaque: reply.code for reply in received}


async def test_requests_that_come_at_once_are_carried_out_in_one_call(peer: Peer, handlers: Handlers) -> None:
    await peer.send(*(asked(TOGETHER, number, f"{number}") for number in range(4)))
    assert await answers(peer, 4) == dict.fromkeys(range(4), 0)
    assert handlers.runs == [["0", "1", "2", "3"]]


async def test_another_request_between_them_is_carried_out_between_them(peer: Peer, handlers: Handlers) -> None:
    await peer.send(asked(TOGETHER, 0, "a"), asked(TOGETHER, 1, "b"), asked(ALONE, 2), asked(TOGETHER, 3, "c"))
    await answers(peer, 4)
    assert handlers.runs == [["a", "b"], ["alone"], ["c"]]


async def test_a_header_of_the_wrong_type_costs_only_its_request(peer: Peer, handlers: Handlers) -> None:
    await peer.send(asked(TOGETHER, 0), asked(TOGETHER, 1, None), asked(TOGETHER, 2))
    assert await answers(peer, 3) == {0: 0, 1: 1, 2: 0}


async def test_what_is_refused_together_is_refused_one_by_one(peer: Peer) -> None:
    await peer.send(asked(BROKEN, 0), asked(BROKEN, 1))
    assert await answers(peer, 2) == {0: 9, 1: 9}


async def test_those_that_must_wait_hold_up_no_other(peer: Peer, handlers: Handlers) -> None:
    await peer.send(asked(TOGETHER, 0, "later a"), asked(TOGETHER, 1, "at once"), asked(TOGETHER, 2, "later b"))
    assert await answers(peer, 1) == {1: 0}
    handlers.release.set()
    assert await answers(peer, 2) == {0: 0, 2: 0}


async def test_those_that_wait_count_as_under_way(peer: Peer, handlers: Handlers) -> None:
    await peer.send(*(asked(TOGETHER, number, "later") for number in range(7)))
    assert await answers(peer, 2) == {5: 2, 6: 2}
    handlers.release.set()
    assert await answers(peer, 5) == dict.fromkeys(range(5), 0)


async def test_more_than_may_be_under_way_are_carried_out_where_none_has_to_wait(peer: Peer) -> None:
    await peer.send(*(asked(TOGETHER, number) for number in range(23)))
    assert await answers(peer, 23) == dict.fromkeys(range(23), 0)


async def test_what_came_before_bytes_that_are_no_frame_is_carried_out(peer: Peer, handlers: Handlers) -> None:
    await peer.send_bytes(frame.encode(asked(TOGETHER, 0, "before")) + b"\xff" * 16)
    assert await answers(peer, 1) == {0: 0}
    assert handlers.runs == [["before"]]


async def test_requests_of_several_connections_are_carried_out_in_one_call(handlers: Handlers) -> None:
    connections = [opened(handlers.table) for _ in range(3)]
    for number, (connection, _) in enumerate(connections):
        connection.data_received(frame.encode(asked(TOGETHER, 7, f"{number}")))
    assert handlers.runs == []
    await asyncio.sleep(0)  # the turn ends
    assert handlers.runs == [["0", "1", "2"]]
    assert [sink.opaques() for _, sink in connections] == [[7], [7], [7]]


async def test_more_than_are_answered_together_do_not_wait_for_the_end_of_the_turn(handlers: Handlers) -> None:
    connection, sink = opened(handlers.table)
    connection.data_received(b"".join(frame.encode(asked(TOGETHER, number)) for number in range(130)))
    assert [len(run) for run in handlers.runs] == [128]
    await asyncio.sleep(0)  # the turn ends
    assert sink.opaques() == list(range(130))


async def test_a_client_of_old_is_answered_in_order_while_the_server_stops(handlers: Handlers) -> None:
    """It does not know GO_AWAY."""
    connection, sink = opened(handlers.table)
    connection.draining = True
    connection.data_received(frame.encode(asked(TOGETHER, 0, "a")) + frame.encode(asked(ALONE, 1)))
    assert handlers.runs == [["a"], ["alone"]]
    assert sink.opaques() == [0, 1]


async def test_large_ones_are_not_gathered_until_they_fill_the_memory(handlers: Handlers) -> None:
    connections = [opened(handlers.table) for _ in range(3)]
    large = asked(TOGETHER, 1, "large")
    large.body = bytes(600_000)
    for connection, _ in connections:
        connection.data_received(frame.encode(large))
    assert handlers.runs == [["large"] * 2]


async def test_a_peer_that_goes_before_its_requests_are_answered_costs_no_other_one(handlers: Handlers) -> None:
    (gone, _), (staying, sink) = opened(handlers.table), opened(handlers.table)
    for connection in (gone, staying):
        connection.data_received(frame.encode(asked(TOGETHER, 1)) + frame.encode(asked(TOGETHER, 2, "later")))
    gone.connection_lost(None)
    handlers.release.set()
    await eventually(lambda: sink.opaques() == [1, 2])
    assert not gone.in_flight
    assert not staying.in_flight
