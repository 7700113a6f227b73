"""Sends beside a consumer that reads what the page cache no longer holds: what the one costs the other.

Three measurements in turn, several rounds, on one broker: the sends alone, beside a consumer whose messages are in the
page cache, and beside one that has the disk read every one of them. The second says what a consumer costs by its CPU
alone, on cores that broker, sender and consumer share.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import msgspec
from rocket_bench import measurement
from rocket_bench.case import Figures, PullCase, SendCase
from rocket_bench.servers import ServerFailed, Target

_BODY_BYTES = 1024
#: Both begin together; the consumer goes on for so much longer, until the sends are surely measured.
_LONGER_SECONDS = 2.0
READERS = ("nobody", "a warm consumer", "a cold consumer")


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of the rounds: the sends' latencies in milliseconds, and what the consumer got a second."""

    p50: float
    p99: float
    sends: float
    pulled: float


def measure(target: Target, messages: int, connections: int, rounds: int, seconds: float) -> dict[str, Beside]:
    """What sends meet beside each of READERS. `messages` of 1 KiB are stored first.

    Raises ServerFailed when a consumer came to the end before the sends were measured: store more, then.
    """
    stock = SendCase(
        port=target.port, pid=target.pid, topic="Stock", connections=8, in_flight=32, body_bytes=_BODY_BYTES,
        messages=messages,
    )  # fmt: skip
    measurement.run(stock)
    found: dict[str, list[tuple[Figures, Figures | None]]] = {reader: [] for reader in READERS}
    for _ in range(rounds):
        for reader in READERS:
            _prepare(target, reader)
            found[reader].append(_round(target, messages, connections, seconds, reads=reader != "nobody"))
    return {reader: _medians(figures) for reader, figures in found.items()}


def _round(
    target: Target, stored: int, connections: int, seconds: float, *, reads: bool
) -> tuple[Figures, Figures | None]:
    sends = SendCase(port=target.port, pid=target.pid, topic="Sends", connections=connections, seconds=seconds)
    if not reads:
        return measurement.run(sends), None
    pulls = PullCase(port=target.port, pid=target.pid, topic="Stock", seconds=seconds + _LONGER_SECONDS)
    with ThreadPoolExecutor(1) as pool:
        consumer = pool.submit(measurement.run, pulls)
        figures = measurement.run(sends)
        pulled = consumer.result()
    if pulled.messages >= stored:
        raise ServerFailed(f"a consumer read {stored:,} messages in {pulled.seconds:.1f} s: store more (--messages)")
    return figures, pulled


def _prepare(target: Target, reader: str) -> None:
    """Brings the log's files into the page cache, or out of it."""
    for file in (target.folder / "store" / "commitlog").iterdir():
        descriptor = os.open(file, os.O_RDONLY)
        try:
            if reader == "a cold consumer":
                os.fsync(descriptor)  # a page that is not written yet stays in the cache
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            elif reader == "a warm consumer":
                while os.read(descriptor, 1 << 20):
                    pass
        finally:
            os.close(descriptor)


def _medians(rounds: list[tuple[Figures, Figures | None]]) -> Beside:
    return Beside(
        p50=median(sends.p50 for sends, _ in rounds),
        p99=median(sends.p99 for sends, _ in rounds),
        sends=median(sends.rate for sends, _ in rounds),
        pulled=median(pulled.rate if pulled else 0.0 for _, pulled in rounds),
    )
