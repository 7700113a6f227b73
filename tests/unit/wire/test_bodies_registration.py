"""Compressed registrations: what survives, and every way to cut or forge one."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire.bodies.registration import MAX_INFLATED, RegisterBrokerBody
from rocket_wire.bodies.route import TopicQueueMappingInfo
from rocket_wire.bodies.topics import TopicConfig, TopicConfigAndMappingSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.errors import RequestError

TOPICS = (TopicConfig("T", 4, 8, 6), TopicConfig("U", 1, 1, 4, attributes={"+message.type": "FIFO", "a b": "c d"}))
MAPPING = TopicQueueMappingInfo("S", total_queues=2, bname="broker-a", curr_id_map={0: 1})
REGISTRATION = RegisterBrokerBody(
    TopicConfigAndMappingSerializeWrapper(
        {topic.topic_name: topic for topic in TOPICS}, DataVersion(1, 1732400000000, 3), {"S": MAPPING}
    ),
    ("10.0.0.1:1",),
)


def prefixed(*pieces: bytes) -> bytes:
    return b"".join(struct.pack(">i", len(piece)) + piece for piece in pieces)


def compressed(*, version: bytes = b"{}", topics: tuple[bytes, ...] = (), rest: bytes | None = None) -> bytes:
    tail = prefixed(b"[]") if rest is None else rest
    return zlib.compress(prefixed(version) + struct.pack(">i", len(topics)) + prefixed(*topics) + tail)


def test_a_registration_survives_compression() -> None:
    assert RegisterBrokerBody.decode_compressed(REGISTRATION.encode_compressed()) == REGISTRATION


def test_a_registration_of_an_old_broker_ends_before_the_mappings() -> None:
    body = RegisterBrokerBody.decode_compressed(compressed(topics=(b"T 4 4 6 SINGLE_TAG",)))
    assert body.topic_config_serialize_wrapper.topic_config_table == {"T": TopicConfig("T", 4, 4, 6)}
    assert body.topic_config_serialize_wrapper.topic_queue_mapping_info_map == {}


@pytest.mark.parametrize("ending", [b" ", b" {}", b""])
def test_a_topic_without_attributes_is_read(ending: bytes) -> None:
    body = RegisterBrokerBody.decode_compressed(compressed(topics=(b"T 4 4 6 SINGLE_TAG" + ending,)))
    assert body.topic_config_serialize_wrapper.topic_config_table["T"].attributes == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not zlib",
        REGISTRATION.encode_compressed()[:-1],
        zlib.compress(b""),
        zlib.compress(bytes(MAX_INFLATED + 1), level=9),
        zlib.compress(struct.pack(">i", -1)),
        zlib.compress(struct.pack(">i", 2**31 - 1)),
        compressed(version=b"[]"),
        compressed(topics=(b"T 4 4",)),
        compressed(topics=(b"T four 4 6 SINGLE_TAG {}",)),
        compressed(topics=(b"T 4294967296 4 6 SINGLE_TAG {}",)),
        compressed(topics=(b"T 4 4 6 SINGLE_TAG {broken",)),
        zlib.compress(prefixed(b"{}") + struct.pack(">i", -1) + prefixed(b"[]")),
        compressed(topics=(b"\xff 4 4 6 SINGLE_TAG {}",)),
        compressed(rest=b""),
        compressed(rest=prefixed(b"{}")),
        compressed(rest=prefixed(b"[]") + struct.pack(">i", 2**31 - 1)),
        compressed(rest=prefixed(b"[]") + struct.pack(">i", 1) + prefixed(b"7")),
    ],
)
def test_what_is_no_registration_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(RequestError, match=r"bad (RegisterBrokerBody|DataVersion|TopicQueueMappingInfo) body"):
        RegisterBrokerBody.decode_compressed(content)


def test_a_registration_cut_anywhere_inside_is_refused_or_an_older_brokers() -> None:
    whole = zlib.decompress(REGISTRATION.encode_compressed())
    without_mappings = whole.rindex(struct.pack(">i", 1) + prefixed(MAPPING.encode()))
    for end in range(len(whole)):
        content = zlib.compress(whole[:end], level=1)
        if end == without_mappings:
            assert RegisterBrokerBody.decode_compressed(content)
        else:
            with pytest.raises(RequestError):
                RegisterBrokerBody.decode_compressed(content)


@given(st.binary())
def test_any_insides_are_a_registration_or_a_request_error(insides: bytes) -> None:
    with suppress(RequestError):
        RegisterBrokerBody.decode_compressed(zlib.compress(insides, level=1))
