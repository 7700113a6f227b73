"""Topics: which names are legal, what a send makes of the template, and when the table has a new version."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from rocket_broker.processors.topics import changed_attributes
from rocket_broker.settings import BrokerSettings
from rocket_broker.topics import NOT_SENDABLE, Topics, check_name
from rocket_testing.clock import Clock
from rocket_wire.bodies.topics import TopicConfig, TopicConfigSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError
from rocket_wire.topic_names import AUTO_CREATE_TOPIC, DLQ_PREFIX, RETRY_PREFIX

GOLDEN = Path(__file__).parents[2] / "golden" / "broker-config" / "topics.json"


def topics_of(clock: Clock, **settings: object) -> Topics:
    chosen = {"broker_cluster_name": "DefaultCluster", "broker_name": "broker-a"} | settings
    fixed = BrokerSettings(**chosen)  # type: ignore[arg-type] # names of fields and their values
    return Topics(lambda: fixed, 18, clock)


@pytest.fixture
def topics(clock: Clock) -> Topics:
    return topics_of(clock)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["T", "Topic-1_a", "a|b", "%RETRY%group", "123", "x" * 127, RETRY_PREFIX + "g" * 248, DLQ_PREFIX + "g" * 250],
)
def test_a_name_that_rocketmq_allows_passes(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", " ", "\t", "a b", "a.b", "../x", "a/b", "a\x00b", "tést", "主题", "a\n", "\n", "x@y", "x" * 128,
     RETRY_PREFIX + "g" * 249, DLQ_PREFIX + "g" * 251],
)  # fmt: skip
def test_a_name_that_rocketmq_forbids_is_an_invalid_parameter(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_name(name)
    assert caught.value.code == ResponseCode.INVALID_PARAMETER
    assert caught.value.remark


def test_a_huge_name_is_not_repeated_in_the_answer() -> None:
    with pytest.raises(RequestError) as caught:
        check_name("." * 1_000_000)
    assert len(caught.value.remark) < 300


# -- the table ---------------------------------------------------------------------------------------------------------


def test_a_broker_has_rocketmqs_topics_from_its_start(topics: Topics) -> None:
    found = {
        name: (config.read_queue_nums, config.write_queue_nums, config.perm) for name, config in topics.table.items()
    }
    assert found == {
        "TBW102": (8, 8, 7),
        "DefaultCluster": (16, 16, 7),
        "broker-a": (1, 1, 7),
        "SELF_TEST_TOPIC": (1, 1, 6),
        "OFFSET_MOVED_EVENT": (1, 1, 6),
        "BenchmarkTest": (1024, 1024, 6),
        "SCHEDULE_TOPIC_XXXX": (18, 18, 6),
        "DefaultCluster_REPLY_TOPIC": (1, 1, 6),
        "rmq_sys_SYNC_BROKER_MEMBER_broker-a": (1, 1, 1),
        "RMQ_SYS_TRANS_HALF_TOPIC": (1, 1, 6),
        "RMQ_SYS_TRANS_OP_HALF_TOPIC": (1, 1, 6),
    }


def test_settings_decide_about_some_of_them(clock: Clock) -> None:
    table = topics_of(
        clock,
        auto_create_topic_enable=False,
        cluster_topic_enable=False,
        broker_topic_enable=False,
        trace_topic_enable=True,
    ).table
    assert AUTO_CREATE_TOPIC not in table
    assert table["DefaultCluster"].perm == 1
    assert table["broker-a"].perm == 1
    assert table["RMQ_SYS_TRACE_TOPIC"].read_queue_nums == 1


@pytest.mark.parametrize("name", ["TBW102", "SCHEDULE_TOPIC_XXXX", "rmq_sys_anything", "DefaultCluster", "broker-a"])
def test_the_brokers_own_topics_are_system_topics(topics: Topics, name: str) -> None:
    assert topics.is_system(name)


def test_what_is_not_sendable_is_a_system_topic_or_absent(topics: Topics) -> None:
    assert {name for name in NOT_SENDABLE if not topics.is_system(name)} <= {"TRANS_CHECK_MAX_TIME_TOPIC"}


@pytest.mark.parametrize(("asked", "made"), [(4, 4), (8, 8), (16, 8), (1, 1), (0, 1), (-3, 1)])
def test_a_topic_made_by_a_send_has_the_fewer_queues_and_drops_the_inherit_bit(
    topics: Topics, asked: int, made: int
) -> None:
    config = topics.create_on_send("New", AUTO_CREATE_TOPIC, asked)
    assert config == TopicConfig("New", read_queue_nums=made, write_queue_nums=made, perm=6)
    assert topics.get("New") == config


def test_another_topic_with_the_inherit_bit_is_a_template_too(topics: Topics) -> None:
    topics.put(TopicConfig("Template", 2, 2, perm=5))
    config = topics.create_on_send("New", "Template", 4)
    assert config is not None
    assert (config.write_queue_nums, config.perm) == (2, 4)


@pytest.mark.parametrize("template", ["BenchmarkTest", "Absent", ""])
def test_no_topic_is_made_in_the_image_of_one_that_has_no_inherit_bit(topics: Topics, template: str) -> None:
    assert topics.create_on_send("New", template, 4) is None
    assert topics.get("New") is None


def test_no_topic_is_made_where_that_is_switched_off_even_if_an_old_file_has_the_template(clock: Clock) -> None:
    topics = topics_of(clock, auto_create_topic_enable=False)
    topics.restore(TopicConfigSerializeWrapper({AUTO_CREATE_TOPIC: TopicConfig(AUTO_CREATE_TOPIC, 8, 8, perm=7)}))
    assert topics.create_on_send("New", AUTO_CREATE_TOPIC, 4) is None


def test_what_a_live_change_switches_off_is_off(clock: Clock) -> None:
    settings = [BrokerSettings()]
    topics = Topics(lambda: settings[-1], 18, clock)
    assert topics.create_on_send("Before", AUTO_CREATE_TOPIC, 4) is not None
    settings.append(BrokerSettings(auto_create_topic_enable=False))
    assert topics.create_on_send("After", AUTO_CREATE_TOPIC, 4) is None


def test_only_a_change_makes_a_new_version(topics: Topics, clock: Clock) -> None:
    told: list[list[str]] = []
    topics.on_change = lambda changed: told.append([config.topic_name for config in changed])
    clock.advance(1)
    assert topics.put(TopicConfig("T", 4, 4))
    first = topics.version
    assert first == DataVersion(0, clock(), 1)
    clock.advance(1)
    assert not topics.put(TopicConfig("T", 4, 4))
    topics.ensure("T", 9)
    assert topics.version == first
    assert topics.put(TopicConfig("T", 4, 4, perm=4))
    assert topics.version == DataVersion(0, clock(), 2)
    assert told == [["T"], ["T"]]


def test_a_renewed_table_is_told_whole_under_a_new_version(topics: Topics) -> None:
    told: list[list[TopicConfig]] = []
    topics.on_change = told.append
    before = topics.version
    topics.renew()
    assert topics.version.counter == before.counter + 1
    assert told == [list(topics.table.values())]


def test_a_deleted_topic_is_gone_with_a_new_version(topics: Topics) -> None:
    topics.put(TopicConfig("T"))
    before = topics.version
    assert topics.delete("T")
    assert topics.get("T") is None
    assert topics.version.counter == before.counter + 1
    assert not topics.delete("T")
    assert topics.version.counter == before.counter + 1


def test_a_retry_topic_is_made_once_and_then_left_alone(topics: Topics) -> None:
    made = topics.ensure("%RETRY%g", 3)
    assert (made.read_queue_nums, made.write_queue_nums, made.perm) == (3, 3, 6)
    assert topics.ensure("%RETRY%g", 5, perm=4) == made


def test_a_slave_learns_topics_from_the_messages_that_it_copies(topics: Topics) -> None:
    """Its master may die before it is asked for its topics again."""
    topics.learn("New", 2)
    topics.learn("New", 1)
    new = topics.get("New")
    assert new == TopicConfig("New", read_queue_nums=3, write_queue_nums=3, perm=6)
    topics.put(TopicConfig("Known", 4, 4, perm=4))
    version = topics.version
    topics.learn("Known", 3)
    assert topics.version == version
    topics.learn("Known", 5)
    known = topics.get("Known")
    assert known == TopicConfig("Known", read_queue_nums=6, write_queue_nums=4, perm=4)


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_file_that_apache_wrote_is_read_whole(topics: Topics) -> None:
    topics.restore(TopicConfigSerializeWrapper.decode(GOLDEN.read_bytes()))
    orders = topics.get("Orders")
    assert orders is not None
    assert (orders.read_queue_nums, orders.write_queue_nums, orders.order) == (3, 5, True)
    assert orders.attributes == {"message.type": "NORMAL"}
    assert topics.version == DataVersion(0, 1795488078041, 2)


def test_the_file_has_the_shape_of_apaches(topics: Topics) -> None:
    golden = json.loads(GOLDEN.read_bytes())
    topics.restore(TopicConfigSerializeWrapper.decode(GOLDEN.read_bytes()))
    written = json.loads(topics.encode())
    assert written["dataVersion"] == golden["dataVersion"]
    for name, config in golden["topicConfigTable"].items():
        assert written["topicConfigTable"][name] == config
    assert set(written) == set(golden)


def test_a_saved_table_wins_over_the_topics_of_the_start(topics: Topics, clock: Clock) -> None:
    topics.put(TopicConfig("Mine", 2, 3, perm=4, attributes={"message.type": "FIFO"}))
    topics.put(TopicConfig(AUTO_CREATE_TOPIC, 4, 4, perm=7))
    again = topics_of(clock)
    again.restore(TopicConfigSerializeWrapper.decode(topics.encode()))
    assert again.table == topics.table
    assert again.version == topics.version


def test_a_slave_takes_its_masters_table_for_its_own(topics: Topics, clock: Clock) -> None:
    topics.put(TopicConfig("Gone"))
    master = topics_of(clock)
    master.put(TopicConfig("New"))
    assert topics.replace_all(master.table, master.version) == ["Gone"]
    assert (topics.table, topics.version) == (master.table, master.version)
    topics.put(TopicConfig("Later"))
    assert "Later" not in master.table


# -- attributes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ({}, "", {}),
        ({}, "+message.type=FIFO", {"message.type": "FIFO"}),
        ({"a": "1"}, "+a=2,+b=3", {"a": "2", "b": "3"}),
        ({"a": "1", "b": "2"}, "-a", {"b": "2"}),
        ({"a": "1"}, "-b", {"a": "1"}),
        ({"a": "1"}, " +b=x=y , ,-a ", {"b": "x=y"}),
    ],
)
def test_attributes_change_by_plus_and_minus(before: dict[str, str], changes: str, after: dict[str, str]) -> None:
    kept = dict(before)
    assert changed_attributes(before, changes) == after
    assert before == kept


@pytest.mark.parametrize("changes", ["message.type=FIFO", "+a", "+a=", "-a=1", "+", "-", "+=b", "a"])
def test_a_change_of_attributes_that_says_nothing_is_refused(changes: str) -> None:
    with pytest.raises(RequestError) as caught:
        changed_attributes({}, changes)
    assert caught.value.code == ResponseCode.INVALID_PARAMETER


def test_topic_configs_cannot_be_changed_behind_the_tables_back(topics: Topics) -> None:
    config = topics.ensure("T", 1)
    with pytest.raises(AttributeError):
        config.perm = 2  # type: ignore[misc] # that is the point
    assert topics.get("T") == msgspec.structs.replace(config)
