"""Bodies at their edges: what is left out, what is filled in, what is refused, and by which words."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire.bodies import connections, groups, heartbeat, offsets, registration, route, stats, topics
from rocket_wire.bodies.body import Body, KeyedBody, MessageQueue
from rocket_wire.bodies.heartbeat import ConsumeFromWhere, ConsumerData, HeartbeatData, MessageModel, SubscriptionData
from rocket_wire.bodies.offsets import ConsumerOffsetSerializeWrapper, LockBatchRequestBody, ResetOffsetBody
from rocket_wire.bodies.route import BrokerData, QueueData, TopicList, TopicRouteData
from rocket_wire.bodies.stats import ConsumeStats, ConsumeStatsList, OffsetWrapper
from rocket_wire.bodies.topics import TopicConfig, TopicConfigSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError

BODIES = sorted(
    {
        value
        for module in (connections, groups, heartbeat, offsets, registration, route, stats, topics)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Body) and value not in (Body, KeyedBody)
    },
    key=lambda body_type: body_type.__name__,
)


def test_what_is_absent_in_java_is_left_out_and_all_else_is_written() -> None:
    assert TopicList().encode() == b'{"topicList":[]}'
    assert TopicList(frozenset({"b", "a"}), "x:1").encode() == b'{"brokerAddr":"x:1","topicList":["a","b"]}'
    assert BrokerData("c", "b").encode() == (
        b'{"brokerAddrs":{},"brokerName":"b","cluster":"c","enableActingMaster":false}'
    )


def test_absent_and_null_members_have_javas_initial_values() -> None:
    assert TopicConfig.decode(b'{"topicName":"T","attributes":null,"perm":null}') == TopicConfig("T")
    assert TopicConfig("T").perm == 6
    assert TopicRouteData.decode(b"{}") == TopicRouteData()
    assert LockBatchRequestBody.decode(b'{"consumerGroup":"G","clientId":"c","mqSet":null}').mq_set == frozenset()


def test_defaults_are_not_shared_between_bodies() -> None:
    one, other = TopicConfigSerializeWrapper(), TopicConfigSerializeWrapper()
    one.topic_config_table["T"] = TopicConfig("T")
    assert other.topic_config_table == {}


def test_unknown_members_are_ignored() -> None:
    assert QueueData.decode(b'{"brokerName":"b","perm":6,"later":{"a":[1]}}') == QueueData("b", perm=6)
    assert ResetOffsetBody.decode(b'{"offsetTable":{},"x":1}') == ResetOffsetBody()


def test_numbers_as_text_are_read_as_java_does() -> None:
    assert QueueData.decode(b'{"brokerName":"b","perm":"6"}') == QueueData("b", perm=6)


def test_a_heartbeat_of_a_client_that_writes_null_for_none_is_read() -> None:
    content = (
        b'{"clientID":"10.0.0.1@go","producerDataSet":null,"consumerDataSet":[{"groupName":"G",'
        b'"consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET",'
        b'"subscriptionDataSet":[{"topic":"T","subString":"*","tagsSet":null,"codeSet":[-5],"subVersion":1}]}]}'
    )
    data = HeartbeatData.decode(content)
    (consumer,) = data.consumer_data_set
    assert consumer.message_model is MessageModel.CLUSTERING
    assert consumer.consume_from_where is ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET
    assert consumer.subscription_data_set == (SubscriptionData("T", "*", code_set=frozenset({-5}), sub_version=1),)


def test_subscriptions_are_compared_and_hashed_by_value() -> None:
    one, other = (SubscriptionData("T", tags_set=frozenset({"a", "b"})) for _ in range(2))
    assert {one, other} == {one}


@pytest.mark.parametrize(
    ("body_type", "content", "reason"),
    [
        (HeartbeatData, b"", "bad HeartbeatData body: expected a value, got 'the end'"),
        (HeartbeatData, b"{}", "bad HeartbeatData body: .*`clientID`"),
        (HeartbeatData, b"[]", "bad HeartbeatData body: .*array"),
        (HeartbeatData, b"\xff", "bad HeartbeatData body: not UTF-8"),
        (HeartbeatData, b'{"clientID":7}', r"bad HeartbeatData body: .*\$\.clientID"),
        (ConsumerData, b'{"groupName":"G","messageModel":"NEITHER"}', r"bad ConsumerData body: .*\$\.messageModel"),
        (TopicConfig, b'{"topicName":"T","perm":4294967296}', r"bad TopicConfig body: .*\$\.perm"),
        (TopicConfig, b'{"topicName":"T","attributes":{"a":1}}', r"bad TopicConfig body: .*\$\.attributes"),
        (ResetOffsetBody, b'{"offsetTable":{"T":5}}', r"bad ResetOffsetBody body: .*\$\.offsetTable"),
        (ResetOffsetBody, b'{"offsetTable":{{"topic":"T"}:5}}', "bad ResetOffsetBody body: .*`brokerName`"),
        (ResetOffsetBody, b'{"offsetTable":{{"$ref":"$"}:5}}', "bad ResetOffsetBody body: .*`topic`"),
        (TopicRouteData, b"[" * 100_000, "bad TopicRouteData body: nested deeper"),
        (TopicRouteData, b'{"unknown":' + b"[" * 100_000, "bad TopicRouteData body: nested deeper"),
    ],
)
def test_a_bad_body_is_refused_by_name(body_type: type[Body], content: bytes, reason: str) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        body_type.decode(content)
    assert caught.value.code == ResponseCode.SYSTEM_ERROR


def test_offsets_are_written_with_bare_queue_ids() -> None:
    table = ConsumerOffsetSerializeWrapper({"T@G": {0: 12, 1: 7}}, DataVersion(0, 9, 1))
    assert table.encode() == (
        b'{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":9},"offsetTable":{"T@G":{0:12,1:7}}}'
    )
    assert ConsumerOffsetSerializeWrapper.decode(table.encode()) == table


def test_offsets_with_quoted_queue_ids_are_read() -> None:
    read = ConsumerOffsetSerializeWrapper.decode(b'{"offsetTable":{"T@G":{"0":12}}}')
    assert read == ConsumerOffsetSerializeWrapper({"T@G": {0: 12}})


def test_a_table_by_queue_survives() -> None:
    stats_of_group = ConsumeStats({MessageQueue("T", "b", 0): OffsetWrapper(9, 5, 6, 1)}, 0.5)
    assert ConsumeStats.decode(stats_of_group.encode()) == stats_of_group


def test_tables_by_queue_within_a_list_survive() -> None:
    stats_of_group = ConsumeStats({MessageQueue("T", "b", 0): OffsetWrapper(9, 5, 6, 1)}, 0.5)
    stats_of_broker = ConsumeStatsList([{"G": [stats_of_group]}], "10.0.0.1:10911", 4, 1)
    assert ConsumeStatsList.decode(stats_of_broker.encode()) == stats_of_broker


def test_the_next_version_counts_and_tells_the_time() -> None:
    first = DataVersion(2, 1000, 7)
    assert first.next_version(1500) == DataVersion(0, 1500, 8)
    assert first.next_version(1500, state_version=3) == DataVersion(3, 1500, 8)


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        (DataVersion(1, 0, 0), DataVersion(0, 9, 9)),
        (DataVersion(0, 0, 2), DataVersion(0, 9, 1)),
        (DataVersion(0, 2, 1), DataVersion(0, 1, 1)),
    ],
)
def test_versions_are_ordered_by_state_then_counter_then_time(newer: DataVersion, older: DataVersion) -> None:
    assert newer.is_newer_than(older)
    assert not older.is_newer_than(newer)
    assert not newer.is_newer_than(newer)


KEYS = sorted({name for body_type in BODIES for name in body_type.__struct_encode_fields__})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(BODIES), st.data())
def test_any_json_object_is_a_body_or_a_request_error(body_type: type[Body], data: st.DataObject) -> None:
    members = dict.fromkeys(body_type.__struct_encode_fields__, VALUES)
    value: dict[str, Any] = data.draw(st.fixed_dictionaries({}, optional=members))
    with suppress(RequestError):
        body = body_type.decode(msgspec.json.encode(value))
        assert body_type.decode(body.encode()) == body


@given(st.sampled_from(BODIES), st.binary())
def test_any_bytes_are_a_body_or_a_request_error(body_type: type[Body], content: bytes) -> None:
    with suppress(RequestError):
        body_type.decode(content)


SUBSCRIPTIONS = st.builds(SubscriptionData, topic=st.text(), sub_string=st.text(), tags_set=st.frozensets(st.text()))
CONSUMERS = st.builds(ConsumerData, st.text(), subscription_data_set=st.lists(SUBSCRIPTIONS, max_size=3).map(tuple))


@given(st.builds(HeartbeatData, st.text(), consumer_data_set=st.lists(CONSUMERS, max_size=3).map(tuple)))
def test_any_heartbeat_survives_in_both_forms(data: HeartbeatData) -> None:
    assert HeartbeatData.decode(data.encode()) == data
    assert HeartbeatData.decode(data.encode_unquoted()) == data
