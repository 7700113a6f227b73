"""Bodies against what Apache's own classes write: read as they are, written back byte for byte."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from rocket_wire.bodies import connections, groups, heartbeat, offsets, registration, route, stats, topics, version
from rocket_wire.bodies.body import Body
from rocket_wire.codes import V4_9_4, V5_3_3

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "golden" / "bodies" / "apache-5.3.3.json").read_text(encoding="utf-8")
)
BODIES: dict[str, str] = GOLDEN["bodies"]

TYPES: dict[str, type[Body]] = {
    "SubscriptionData": heartbeat.SubscriptionData,
    "HeartbeatData": heartbeat.HeartbeatData,
    "CheckClientRequestBody": heartbeat.CheckClientRequestBody,
    "ConsumerList": heartbeat.ConsumerList,
    "TopicRouteData": route.TopicRouteData,
    "TopicRouteDataMapped": route.TopicRouteData,
    "ClusterInfo": route.ClusterInfo,
    "TopicList": route.TopicList,
    "GetBrokerMemberGroupResponseBody": route.GetBrokerMemberGroupResponseBody,
    "TopicConfig": topics.TopicConfig,
    "TopicConfigSerializeWrapper": topics.TopicConfigSerializeWrapper,
    "TopicConfigAndMappingSerializeWrapper": topics.TopicConfigAndMappingSerializeWrapper,
    "TopicConfigAndQueueMapping": topics.TopicConfigAndQueueMapping,
    "TopicConfigAndQueueMappingPlain": topics.TopicConfigAndQueueMapping,
    "CreateTopicListRequestBody": topics.CreateTopicListRequestBody,
    "RegisterBrokerBody": registration.RegisterBrokerBody,
    "SubscriptionGroupConfig": groups.SubscriptionGroupConfig,
    "SubscriptionGroupConfigRich": groups.SubscriptionGroupConfig,
    "SubscriptionGroupList": groups.SubscriptionGroupList,
    "GroupList": groups.GroupList,
    "ConsumerOffsetSerializeWrapper": offsets.ConsumerOffsetSerializeWrapper,
    "DelayOffsetSerializeWrapper": offsets.DelayOffsetSerializeWrapper,
    "LockBatchRequestBody": offsets.LockBatchRequestBody,
    "UnlockBatchRequestBody": offsets.UnlockBatchRequestBody,
    "LockBatchResponseBody": offsets.LockBatchResponseBody,
    "ResetOffsetBody": offsets.ResetOffsetBody,
    "ResetOffsetBodyForC": offsets.ResetOffsetBodyForC,
    "GetConsumerStatusBody": offsets.GetConsumerStatusBody,
    "TopicStatsTable": stats.TopicStatsTable,
    "ConsumeStats": stats.ConsumeStats,
    "ConsumerConnection": connections.ConsumerConnection,
    "ProducerConnection": connections.ProducerConnection,
    "ProducerTable": connections.ProducerTable,
    "ConsumerRunningInfo": connections.ConsumerRunningInfo,
    "ConsumeMessageDirectlyResult": connections.ConsumeMessageDirectlyResult,
    "DataVersion": version.DataVersion,
}
DIFFERENT = {
    "HeartbeatDataEmpty": "has no client id, which ours insists on",
    "TopicRouteDataStandard": "the same route again, for newer clients",
    "KVTable": "escapes more characters than must be",
    "SubscriptionGroupWrapper": "5.3.3 does not know forbiddenTable, which we always write",
    "ConsumerOffsetManager": "the file holds a derived table too",
    "ConsumerOffsetManagerPretty": "the same, indented",
}


def test_every_golden_body_is_tried() -> None:
    assert BODIES.keys() == TYPES.keys() | DIFFERENT.keys()


@pytest.mark.parametrize("name", TYPES)
def test_a_body_of_apaches_is_read_and_written_back_byte_for_byte(name: str) -> None:
    body = TYPES[name].decode(BODIES[name].encode())
    assert body.encode_unquoted().decode() == BODIES[name]


@pytest.mark.parametrize("name", TYPES)
def test_a_body_survives_its_own_encoding(name: str) -> None:
    body = TYPES[name].decode(BODIES[name].encode())
    assert TYPES[name].decode(body.encode()) == body


@pytest.mark.parametrize(
    ("client_version", "standard_json_only", "golden"),
    [
        (V4_9_4 - 1, False, "TopicRouteData"),
        (V4_9_4 - 1, True, "TopicRouteDataStandard"),
        (V4_9_4, False, "TopicRouteDataStandard"),
        (V5_3_3, False, "TopicRouteDataStandard"),
    ],
)
def test_a_route_is_written_in_the_form_that_its_reader_knows(
    client_version: int, standard_json_only: bool, golden: str
) -> None:
    data = route.TopicRouteData.decode(BODIES["TopicRouteData"].encode())
    assert data.encode_for(client_version, standard_json_only).decode() == BODIES[golden]


def test_both_forms_of_a_route_are_read_alike() -> None:
    unquoted, standard = (
        route.TopicRouteData.decode(BODIES[name].encode()) for name in ("TopicRouteData", "TopicRouteDataStandard")
    )
    assert unquoted == standard
    assert unquoted.broker_datas[0].broker_addrs == {0: "10.0.0.1:10911", 1: "10.0.0.2:10911"}


@pytest.mark.parametrize("name", ["ConsumerOffsetManager", "ConsumerOffsetManagerPretty"])
def test_an_offset_file_of_apaches_is_read(name: str) -> None:
    wrapper = offsets.ConsumerOffsetSerializeWrapper.decode(BODIES[name].encode())
    assert wrapper.offset_table == {"T@G": {0: 12, 1: 7}}
    assert wrapper.data_version == version.DataVersion(0, 1732400000000, 3)


def test_every_character_of_a_key_value_table_is_read() -> None:
    table = registration.KVTable.decode(BODIES["KVTable"].encode())
    assert table.table == {"k": 'v\x01\x02\x0b\x7f"\\/\n中\u2028<>'}


def test_a_group_table_without_forbidden_topics_is_read() -> None:
    wrapper = groups.SubscriptionGroupWrapper.decode(BODIES["SubscriptionGroupWrapper"].encode())
    assert wrapper.subscription_group_table == {"G": groups.SubscriptionGroupConfig("G")}
    assert wrapper.forbidden_table == {}


def test_a_compressed_registration_of_apaches_is_read() -> None:
    content = base64.b64decode(GOLDEN["compressedRegistrationBase64"])
    body = registration.RegisterBrokerBody.decode_compressed(content)
    plain = registration.RegisterBrokerBody.decode(BODIES["RegisterBrokerBody"].encode())
    wrapper, expected = body.topic_config_serialize_wrapper, plain.topic_config_serialize_wrapper
    assert wrapper.topic_config_table == expected.topic_config_table
    assert wrapper.topic_queue_mapping_info_map == expected.topic_queue_mapping_info_map
    assert wrapper.data_version == expected.data_version
