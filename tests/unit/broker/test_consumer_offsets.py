"""How far consumer groups have come, and the file that tells of it after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_broker.offsets import ConsumerOffsets
from rocket_testing.clock import Clock
from rocket_wire.bodies.offsets import ConsumerOffsetSerializeWrapper
from rocket_wire.bodies.version import DataVersion

GOLDEN = Path(__file__).parents[2] / "golden" / "broker-config" / "consumerOffset.json"


@pytest.fixture
def offsets(clock: Clock) -> ConsumerOffsets:
    return ConsumerOffsets(clock)


def test_a_commit_is_what_a_query_finds(offsets: ConsumerOffsets) -> None:
    assert offsets.query("G", "T", 0) is None
    offsets.commit("G", "T", 0, 7)
    offsets.commit("G", "T", 1, 9)
    offsets.commit("Other", "T", 0, 1)
    assert [offsets.query("G", "T", queue) for queue in range(3)] == [7, 9, None]
    assert offsets.query("Other", "T", 0) == 1


def test_an_offset_may_go_back(offsets: ConsumerOffsets) -> None:
    offsets.commit("G", "T", 0, 7)
    offsets.commit("G", "T", 0, 3)
    assert offsets.query("G", "T", 0) == 3


def test_a_reset_stands_against_commits_until_a_consumer_took_it(offsets: ConsumerOffsets) -> None:
    offsets.commit("G", "T", 0, 7)
    offsets.reset("G", "T", 0, 2)
    offsets.commit("G", "T", 0, 8)
    offsets.commit("G", "T", 1, 8)
    assert [offsets.query("G", "T", queue) for queue in range(2)] == [2, 8]
    assert offsets.take_reset("Other", "T", 0) is None
    assert offsets.take_reset("G", "T", 0) == 2
    assert offsets.take_reset("G", "T", 0) is None
    offsets.commit("G", "T", 0, 3)
    assert offsets.query("G", "T", 0) == 3


def test_groups_and_topics_are_found_by_each_other(offsets: ConsumerOffsets) -> None:
    for group, topic in (("G", "T"), ("G", "U"), ("H", "T"), ("GG", "TT")):
        offsets.commit(group, topic, 0, 1)
    assert offsets.topics_of("G") == ["T", "U"]
    assert offsets.groups_of("T") == ["G", "H"]


def test_a_deleted_group_takes_only_its_own_offsets_along(offsets: ConsumerOffsets) -> None:
    for group, topic in (("G", "T"), ("G", "U"), ("H", "T"), ("GG", "T")):
        offsets.commit(group, topic, 0, 1)
    offsets.delete_group("G")
    assert sorted(offsets.table) == ["T@GG", "T@H"]


def test_a_deleted_topic_takes_only_its_own_offsets_along(offsets: ConsumerOffsets) -> None:
    for group, topic in (("G", "T"), ("G", "TT"), ("H", "T")):
        offsets.commit(group, topic, 0, 1)
    offsets.delete_topic("T")
    assert sorted(offsets.table) == ["TT@G"]


def test_only_what_changed_needs_saving_and_has_a_new_version(offsets: ConsumerOffsets, clock: Clock) -> None:
    assert not offsets.changed
    offsets.commit("G", "T", 0, 7)
    assert offsets.changed
    offsets.encode()
    assert not offsets.changed
    assert offsets.version == DataVersion(0, clock(), 1)
    offsets.encode()
    assert offsets.version.counter == 1
    offsets.delete_topic("Absent")
    assert not offsets.changed
    offsets.delete_topic("T")
    assert offsets.changed


def test_the_file_that_apache_wrote_is_read(offsets: ConsumerOffsets) -> None:
    offsets.restore(ConsumerOffsetSerializeWrapper.decode(GOLDEN.read_bytes()))
    assert offsets.table == {"Orders@Group": {0: 2, 1: 1}}


def test_the_file_has_apaches_bare_queue_ids(offsets: ConsumerOffsets, clock: Clock) -> None:
    offsets.commit("Group", "Orders", 0, 2)
    offsets.commit("Group", "Orders", 1, 1)
    version = f'{{"counter":1,"stateVersion":0,"timestamp":{clock()}}}'
    assert offsets.encode().decode() == f'{{"dataVersion":{version},"offsetTable":{{"Orders@Group":{{0:2,1:1}}}}}}'


names = st.text(min_size=1, max_size=10).filter(lambda text: "@" not in text)
tables = st.dictionaries(
    st.builds("{}@{}".format, names, names),
    st.dictionaries(st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1), min_size=1, max_size=4),
    max_size=4,
)


@given(tables)
def test_every_table_comes_back_from_its_file(table: dict[str, dict[int, int]]) -> None:
    offsets = ConsumerOffsets(Clock())
    for key, queues in table.items():
        topic, _, group = key.partition("@")
        for queue, offset in queues.items():
            offsets.commit(group, topic, queue, offset)
    again = ConsumerOffsets(Clock())
    again.restore(ConsumerOffsetSerializeWrapper.decode(offsets.encode()))
    assert again.table == table
