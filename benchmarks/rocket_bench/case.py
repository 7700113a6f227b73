"""What one measurement is given and what it finds. Both cross a process boundary as JSON."""

from __future__ import annotations

import msgspec


class SendCase(msgspec.Struct, frozen=True, kw_only=True):
    """Sends over `connections`, each with `in_flight` requests that wait for their answer.

    To one topic, or to `topics` of them, `topic`-0 and so on: together they go round all queues.

    Lasts `seconds`, or until `messages` are acknowledged where that is not 0. `pid` is the process whose CPU counts.
    """

    port: int
    pid: int
    topic: str = "BenchmarkTest"
    topics: int = 1
    queues: int = 8
    connections: int = 1
    in_flight: int = 1
    body_bytes: int = 128
    binary: bool = False
    warm_up_seconds: float = 0.5
    seconds: float = 3.0
    messages: int = 0


class PullCase(msgspec.Struct, frozen=True, kw_only=True):
    """Reads all that the queues of one topic hold, one pull under way for each queue, as a consumer catching up."""

    port: int
    pid: int
    topic: str = "BenchmarkTest"
    queues: int = 8
    seconds: float = 10.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. Latencies are milliseconds, `cpu` is microseconds of the server's CPU for each message."""

    messages: int
    seconds: float
    cpu: float
    p50: float = 0.0
    p99: float = 0.0
    p999: float = 0.0
    failures: int = 0
    #: The first answer that was not success, as it came.
    failure: str = ""

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds if self.seconds else 0.0
