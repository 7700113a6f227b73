"""The load generator: one process that keeps requests under way over some connections, and counts their answers.

It takes a SendCase (JSON) as its argument and prints Figures (JSON). Its own ceiling is measured against `echo.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from array import array
from time import perf_counter
from typing import cast

import msgspec
import uvloop
from rocket_bench.case import Figures, SendCase
from rocket_bench.frames import SendFrame, frame_end, is_success, opaque_of
from rocket_bench.processes import cpu_seconds

#: Seconds that the last answers may take once nothing more is sent.
_DRAIN_SECONDS = 10.0


class Tally:
    """What all connections together sent and heard."""

    def __init__(self, case: SendCase) -> None:
        self.case = case
        self.sent = 0
        self.sending = True
        self.latencies = array("d")
        self.failures = 0
        self.failure = ""
        self.finished = asyncio.Event()

    @property
    def under_way(self) -> int:
        return self.sent - len(self.latencies) - self.failures

    def may_send(self) -> bool:
        return self.sending and (not self.case.messages or self.sent < self.case.messages)

    def fail(self, answer: bytes) -> None:
        self.failures += 1
        self.failure = self.failure or answer[8:].decode(errors="replace")


class Sender(asyncio.Protocol):
    """One connection. Each answer makes its slot free, and a free slot sends the next message."""

    def __init__(self, tally: Tally, number: int) -> None:
        case = tally.case
        self._tally = tally
        self._frames = [itertools.cycle(frames_of(case, number, slot)) for slot in range(case.in_flight)]
        self._sent_at = [0.0] * case.in_flight
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._tally.under_way:
            self._tally.fail(b"        connection lost: " + str(exc).encode())
        self._tally.finished.set()

    def start(self) -> None:
        self._send(list(range(self._tally.case.in_flight)))

    def data_received(self, data: bytes) -> None:
        now = perf_counter()
        received = self._rest + data if self._rest else data
        tally, sent_at, free = self._tally, self._sent_at, []
        start, size = 0, len(received)
        while size - start >= 8 and (end := frame_end(received, start)) <= size:
            slot = opaque_of(received, start)
            if is_success(received, start):
                tally.latencies.append(now - sent_at[slot])
            else:
                tally.fail(received[start:end])
            free.append(slot)
            start = end
        self._rest = received[start:]
        self._send(free)
        if not tally.under_way:
            tally.finished.set()

    def _send(self, slots: list[int]) -> None:
        tally, frames, sent_at, now, out = self._tally, self._frames, self._sent_at, perf_counter(), []
        for slot in slots:
            if not tally.may_send():
                break
            out.append(next(frames[slot]).numbered(tally.sent))
            sent_at[slot] = now
            tally.sent += 1
        if out and self._transport is not None:
            self._transport.write(b"".join(out))


def frames_of(case: SendCase, connection: int, slot: int) -> list[SendFrame]:
    """What one slot sends, one after the other: its share of all queues."""
    queues, slots = case.topics * case.queues, case.connections * case.in_flight
    first = (connection * case.in_flight + slot) % queues
    return [
        SendFrame(
            slot, topic_name(case, number // case.queues), number % case.queues, case.body_bytes, binary=case.binary
        )
        for number in range(first, queues, slots)
    ]


def topic_name(case: SendCase, number: int) -> str:
    return case.topic if case.topics == 1 else f"{case.topic}-{number}"


async def measure(case: SendCase) -> Figures:
    """Connects, warms up, and measures until the time is over or all messages are acknowledged."""
    tally = Tally(case)
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(lambda number=number: Sender(tally, number), "127.0.0.1", case.port)
        for number in range(case.connections)
    ]
    for _, sender in pairs:
        sender.start()
    if not case.messages:
        await asyncio.sleep(case.warm_up_seconds)
    first, cpu, begin = len(tally.latencies), cpu_seconds(case.pid), perf_counter()
    if case.messages:
        await tally.finished.wait()
    else:
        await asyncio.sleep(case.seconds)
    last, cpu, seconds = len(tally.latencies), cpu_seconds(case.pid) - cpu, perf_counter() - begin
    tally.sending = False
    if tally.under_way:
        async with asyncio.timeout(_DRAIN_SECONDS):
            await tally.finished.wait()
    for transport, _ in pairs:
        transport.close()
    return figures(tally, tally.latencies[first:last], seconds, cpu)


def figures(tally: Tally, latencies: array[float], seconds: float, cpu: float) -> Figures:
    ordered = sorted(latencies) or [0.0]
    p50, p99, p999 = (1000 * ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99, 0.999))
    return Figures(
        messages=len(latencies),
        seconds=seconds,
        cpu=cpu * 1e6 / max(1, len(latencies)),
        p50=p50,
        p99=p99,
        p999=p999,
        failures=tally.failures,
        failure=tally.failure[:300],
    )


def main() -> None:
    case = msgspec.json.decode(sys.argv[1], type=SendCase)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(msgspec.json.encode(runner.run(measure(case))).decode())


if __name__ == "__main__":
    main()
