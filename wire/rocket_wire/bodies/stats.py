"""How far queues and consumer groups are (protocol section 3.4)."""

from __future__ import annotations

from rocket_wire.bodies.body import Body, KeyedBody, MessageQueue, written, written_new
from rocket_wire.headers.numbers import Long


class TopicOffset(Body, frozen=True):
    """A queue's ends and when its last message was stored (milliseconds, 0 for never)."""

    min_offset: Long = written(0)
    max_offset: Long = written(0)
    last_update_timestamp: Long = written(0)


class TopicStatsTable(KeyedBody, frozen=True):
    """GET_TOPIC_STATS_INFO's answer. `topic_put_tps` is in messages a second."""

    offset_table: dict[MessageQueue, TopicOffset] = written_new(dict)
    topic_put_tps: float = written(0.0)


class OffsetWrapper(Body, frozen=True):
    """A group on one queue: the queue's end, what is committed, what is pulled, the store time of the last consumed."""

    broker_offset: Long = written(0)
    consumer_offset: Long = written(0)
    pull_offset: Long = written(0)
    last_timestamp: Long = written(0)

    @property
    def lag(self) -> int:
        """Messages that the group has not consumed yet."""
        return self.broker_offset - self.consumer_offset


class ConsumeStats(KeyedBody, frozen=True):
    """GET_CONSUME_STATS' answer. `consume_tps` is in messages a second."""

    offset_table: dict[MessageQueue, OffsetWrapper] = written_new(dict)
    consume_tps: float = written(0.0)


class ConsumeStatsList(KeyedBody, frozen=True):
    """GET_BROKER_CONSUME_STATS' answer: by consumer group, one ConsumeStats for each of its topics.

    `total_diff` is what all of them have yet to consume, `total_inflight_diff` what they were given and did not commit.
    """

    consume_stats_list: list[dict[str, list[ConsumeStats]]] = written_new(list)
    broker_addr: str | None = None
    total_diff: Long = written(0)
    total_inflight_diff: Long = written(0)
