"""What the broker counts, bounded, and the rates between samples."""

from __future__ import annotations

import pytest

from rocket_broker.statistics import MAX_TOPICS, OTHER, PUT_BUCKETS, Statistics


class Monotonic:
    """Seconds that stand until a test moves them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


@pytest.fixture
def statistics(monotonic: Monotonic) -> Statistics:
    return Statistics(monotonic, started_ms=0)


def test_messages_and_bytes_are_counted_by_topic(statistics: Statistics) -> None:
    for size in (100, 200):
        statistics.stored("T", size)
    statistics.stored("U", 5)
    counts = {topic: (count.messages, count.size) for topic, count in statistics.stored_by_topic.items()}
    assert counts == {"T": (2, 300), "U": (1, 5)}


def test_deliveries_are_counted_by_topic_and_group(statistics: Statistics) -> None:
    statistics.delivered("T", "G", 3, 300)
    statistics.delivered("T", "G", 1, 10)
    statistics.delivered("T", "H", 1, 10)
    counts = {key: (count.messages, count.size) for key, count in statistics.delivered_by_group.items()}
    assert counts == {("T", "G"): (4, 310), ("T", "H"): (1, 10)}


def test_no_client_can_make_the_tables_grow_for_ever(statistics: Statistics) -> None:
    for number in range(MAX_TOPICS + 50):
        statistics.stored(f"T{number}", 1)
        statistics.delivered(f"T{number}", f"G{number}", 1, 1)
    assert len(statistics.stored_by_topic) == MAX_TOPICS + 1
    assert statistics.stored_by_topic[OTHER].messages == 50
    assert len(statistics.delivered_by_group) == MAX_TOPICS + 1
    assert statistics.delivered_by_group[OTHER, OTHER].messages == 50
    statistics.stored("T0", 1)
    assert statistics.stored_by_topic["T0"].messages == 2


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.0001, 0), (0.00011, 1), (1.0, 10), (5.0, 11), (60.0, len(PUT_BUCKETS))]
)
def test_a_put_falls_into_the_first_bucket_that_holds_it(statistics: Statistics, seconds: float, bucket: int) -> None:
    statistics.put_took(seconds)
    assert [index for index, count in enumerate(statistics.put_buckets) if count] == [bucket]


def test_the_sum_and_the_slowest_put_are_kept(statistics: Statistics) -> None:
    for seconds in (0.25, 0.5, 0.125):
        statistics.put_took(seconds)
    assert (statistics.put_seconds, statistics.put_seconds_max) == (0.875, 0.5)


def test_a_rate_is_taken_over_the_time_asked_for(statistics: Statistics, monotonic: Monotonic) -> None:
    for minute in range(3):
        for _ in range(6):
            statistics.sample()
            for _ in range(10 * (minute + 1)):
                statistics.stored("T", 1)
            monotonic.now += 10
    assert statistics.put_rate("T", 60) == pytest.approx(3.0)
    assert statistics.put_rate(None, 120) == pytest.approx(2.5)
    assert statistics.put_rate("Absent") == 0.0


def test_rates_of_deliveries_are_by_group(statistics: Statistics, monotonic: Monotonic) -> None:
    statistics.sample()
    statistics.delivered("T", "G", 30, 1)
    statistics.delivered("U", "G", 30, 1)
    statistics.delivered("T", "H", 60, 1)
    monotonic.now += 60
    assert statistics.get_rate("G") == pytest.approx(1.0)
    assert statistics.get_rate() == pytest.approx(2.0)


def test_without_a_sample_there_is_no_rate(statistics: Statistics) -> None:
    statistics.stored("T", 1)
    assert statistics.put_rate() == 0.0
