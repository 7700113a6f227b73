"""Where the time of a send goes, function by function: our broker's own code in this process, without a socket.

    python benchmarks/profile_send.py              JSON headers
    python benchmarks/profile_send.py --binary
    python benchmarks/profile_send.py --at-once 1

A real Connection with a real store is given prepared frames, 32 at a time, as the event loop would; what it writes is
dropped. A timer of CPU time (SIGPROF) looks at the stack a thousand times a second: unlike a tracing profiler it does
not make functions dearer than they are. Time inside the kernel (the log's write) counts for the function that asked.
The event loop and the socket are missing here: `make bench` has them, so its CPU figure is larger.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from types import FrameType
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table
from rocket_bench.frames import SendFrame, frame_end, is_success

from rocket_broker import config
from rocket_broker.opening import Opening
from rocket_broker.processors import table
from rocket_broker.server import BrokerServer
from rocket_net.connection import Connection
from rocket_net.limits import Limits

_SAMPLE_SECONDS = 0.001
_SHOWN = 40


class Sink(asyncio.Transport):
    """Takes what a connection writes, and keeps the last of it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 10911)})
        self.last = b""

    def write(self, data: Any) -> None:
        self.last = data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False


class Samples:
    """How often each function was running (own), and was running or waiting for one that it called (in all)."""

    def __init__(self) -> None:
        self.count = 0
        self.own: Counter[str] = Counter()
        self.in_all: Counter[str] = Counter()

    def take(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        names = []
        while frame is not None:
            code = frame.f_code
            names.append(f"{Path(code.co_filename).stem}.{code.co_qualname}")
            frame = frame.f_back
        self.own[names[0]] += 1
        self.in_all.update(set(names))


def main(
    binary: Annotated[bool, typer.Option(help="ROCKETMQ headers instead of JSON")] = False,
    seconds: Annotated[float, typer.Option(help="how long to measure")] = 10.0,
    body_bytes: Annotated[int, typer.Option(help="size of each message's body")] = 128,
    at_once: Annotated[int, typer.Option(help="frames that arrive together")] = 32,
) -> None:
    """Prints microseconds for each message by function."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        samples, cost = runner.run(profile(binary, seconds, body_bytes, at_once))
    show(samples, cost)


async def profile(binary: bool, seconds: float, body_bytes: int, at_once: int) -> tuple[Samples, float]:
    """The samples, and microseconds for each message in all."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "broker.conf"
        file.write_text(f"storePathRootDir={folder}/store\nbrokerIP1=127.0.0.1\n")
        settings = config.read(config.Source(file))
        server = BrokerServer(settings, Opening(settings).open())
        sink, connection = Sink(), Connection(table(server.broker), Limits())
        connection.connection_made(sink)
        chunks = list(prepared(binary, body_bytes, at_once))
        await feed(connection, chunks, at_once, 0.5)
        assert is_success(sink.last, 0), sink.last
        assert at_once == 1 or frame_end(sink.last, 0) < len(sink.last), "the answers of one turn leave in one write"
        samples = Samples()
        with sampling(samples):
            sent, took = await feed(connection, chunks, at_once, seconds)
        server.store.close()
    return samples, took / sent * 1e6


def prepared(binary: bool, body_bytes: int, at_once: int) -> Iterator[bytes]:
    """What arrives in each turn of the loop."""
    frames = [SendFrame(slot, "BenchmarkTest", slot % 8, body_bytes, binary=binary) for slot in range(at_once)]
    for turn in range(8):
        yield b"".join(frame.numbered(turn * at_once + slot) for slot, frame in enumerate(frames))


async def feed(connection: Connection, chunks: list[bytes], at_once: int, seconds: float) -> tuple[int, float]:
    """How many messages were taken, each chunk in a turn of the loop, and in how many seconds of CPU."""
    begin = process_time()
    for turn, chunk in enumerate(itertools.cycle(chunks), 1):
        connection.data_received(chunk)
        await asyncio.sleep(0)
        if not turn % 32 and (took := process_time() - begin) > seconds:
            return turn * at_once, took
    raise AssertionError("unreachable")


@contextmanager
def sampling(samples: Samples) -> Iterator[None]:
    previous = signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, _SAMPLE_SECONDS, _SAMPLE_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def show(samples: Samples, cost: float) -> None:
    shown = Table("function", title=f"{cost:.2f} us for each message, {samples.count} samples", title_justify="left")
    shown.add_column("own us", justify="right")
    shown.add_column("in all us", justify="right")
    for name, count in samples.own.most_common(_SHOWN):
        in_all = samples.in_all[name]
        shown.add_row(name, f"{cost * count / samples.count:.2f}", f"{cost * in_all / samples.count:.2f}")
    Console().print(shown)


if __name__ == "__main__":
    typer.run(main)
