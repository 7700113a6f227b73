"""What the broker counts: messages and bytes in and out, how long storing took. Plain numbers, read by `metrics`.

A topic beyond the first `MAX_TOPICS` is counted under one name, so that no client can make the table grow for ever.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Final

MAX_TOPICS: Final = 1000
OTHER: Final = "(other)"
#: Upper bounds of the put latency histogram, in seconds.
PUT_BUCKETS: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
_SAMPLE_SECONDS: Final = 10.0
_SAMPLES: Final = 61  # ten minutes


class Count:
    """Messages and bytes."""

    __slots__ = ("messages", "size")

    def __init__(self) -> None:
        self.messages = 0
        self.size = 0


class Statistics:
    """Counters since `started_ms` (wall clock). `now` is a monotonic clock in seconds."""

    def __init__(self, now: Callable[[], float], started_ms: int) -> None:
        self.started_ms = started_ms
        self.put_failures = 0
        self.stored_by_topic: dict[str, Count] = {}
        self.delivered_by_group: dict[tuple[str, str], Count] = {}
        self.put_buckets = [0] * (len(PUT_BUCKETS) + 1)
        self.put_seconds = 0.0
        self.put_seconds_max = 0.0
        self.pulls_empty = 0
        self._now = now
        self._samples: deque[tuple[float, dict[str, int], dict[tuple[str, str], int]]] = deque(maxlen=_SAMPLES)

    def stored(self, topic: str, size: int, messages: int = 1) -> None:
        """A record went into the store, which is so many messages."""
        count = self.stored_by_topic.get(topic)
        if count is None:
            name = topic if len(self.stored_by_topic) < MAX_TOPICS else OTHER
            count = self.stored_by_topic.setdefault(name, Count())
        count.messages += messages
        count.size += size

    def put_took(self, seconds: float, messages: int = 1) -> None:
        """Storing so many messages, together, took so long."""
        self.put_buckets[bisect_left(PUT_BUCKETS, seconds)] += messages
        self.put_seconds += seconds * messages
        if messages and seconds > self.put_seconds_max:
            self.put_seconds_max = seconds

    def delivered(self, topic: str, group: str, messages: int, size: int) -> None:
        """Messages went out to a consumer group."""
        key = (topic, group)
        count = self.delivered_by_group.get(key)
        if count is None:
            key = key if len(self.delivered_by_group) < MAX_TOPICS else (OTHER, OTHER)
            count = self.delivered_by_group.setdefault(key, Count())
        count.messages += messages
        count.size += size

    def sample(self) -> None:
        """Remembers the counters as they are now; rates are taken between samples. Call every 10 s."""
        stored = {topic: count.messages for topic, count in self.stored_by_topic.items()}
        delivered = {key: count.messages for key, count in self.delivered_by_group.items()}
        self._samples.append((self._now(), stored, delivered))

    def put_rate(self, topic: str | None = None, seconds: float = 60.0) -> float:
        """Messages stored per second over about the last `seconds`, of one topic or of all."""
        total = sum(count.messages for name, count in self.stored_by_topic.items() if topic in (None, name))
        return self._rate(total, seconds, lambda sample: _sum(sample[1], lambda name: topic in (None, name)))

    def get_rate(self, group: str | None = None, seconds: float = 60.0) -> float:
        """Messages delivered per second over about the last `seconds`, to one consumer group or to all."""
        total = sum(count.messages for key, count in self.delivered_by_group.items() if group in (None, key[1]))
        return self._rate(total, seconds, lambda sample: _sum(sample[2], lambda key: group in (None, key[1])))

    def _rate(self, total: int, seconds: float, before: Callable[..., int]) -> float:
        now = self._now()
        for sample in self._samples:
            if now - sample[0] <= seconds + _SAMPLE_SECONDS / 2 and now > sample[0]:
                return (total - before(sample)) / (now - sample[0])
        return 0.0


def _sum(counts: dict[object, int], wanted: Callable[..., bool]) -> int:
    return sum(count for key, count in counts.items() if wanted(key))
