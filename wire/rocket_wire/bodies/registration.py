"""What a broker tells the name servers: its topics (protocol section 3.7), plain or compressed.

The plain form is RegisterBrokerBody's JSON. The compressed one is a zlib stream of, big-endian:

    4 + n   DataVersion as JSON
    4       number of topics, then for each
    4 + n       "name readQueueNums writeQueueNums perm topicFilterType {attributes}"
    4 + n   filter servers, a JSON array of strings
    4       number of queue mappings (senders from 5.0 on), then for each
    4 + n       TopicQueueMappingInfo as JSON

A topic's `order` and `topicSysFlag` do not survive compression.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final

import msgspec

from rocket_wire.bodies.body import Body, written, written_new
from rocket_wire.bodies.route import TopicQueueMappingInfo
from rocket_wire.bodies.topics import TopicConfig, TopicConfigAndMappingSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError

MAX_INFLATED: Final = 64 * 1024 * 1024
"""Bytes that a compressed registration may unfold to: half a million topics."""


class RegisterBrokerBody(Body, frozen=True):
    """REGISTER_BROKER: a broker's topics. `filter_server_list` is of an abandoned feature and usually empty."""

    topic_config_serialize_wrapper: TopicConfigAndMappingSerializeWrapper = written_new(
        TopicConfigAndMappingSerializeWrapper
    )
    filter_server_list: tuple[str, ...] = written(())

    def encode_compressed(self) -> bytes:
        """The compressed form, with the mappings that receivers before 5.0 do not read."""
        wrapper = self.topic_config_serialize_wrapper
        topics = [_topic_line(topic) for topic in wrapper.topic_config_table.values()]
        mappings = [mapping.encode() for mapping in wrapper.topic_queue_mapping_info_map.values()]
        parts = [_prefixed(wrapper.data_version.encode()), _int(len(topics)), *map(_prefixed, topics)]
        parts.append(_prefixed(msgspec.json.encode(self.filter_server_list)))
        parts += [_int(len(mappings)), *map(_prefixed, mappings)]
        return zlib.compress(b"".join(parts), level=9)

    @classmethod
    def decode_compressed(cls, content: bytes) -> RegisterBrokerBody:
        """From the compressed form, with or without mappings. Raises RequestError."""
        try:
            return _read_registration(_Reader(_inflate(content)))
        except (zlib.error, ValueError, msgspec.MsgspecError, RecursionError) as error:
            reason = f"bad RegisterBrokerBody body: {error}"
            raise RequestError(ResponseCode.SYSTEM_ERROR, reason) from None


class KVTable(Body, frozen=True):
    """Text by text: a namespace of the name server, or a broker's run-time figures."""

    table: dict[str, str] = written_new(dict)


class _Reader:
    """Takes ints and length-prefixed pieces off the front of bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    @property
    def is_at_end(self) -> bool:
        return self._position == len(self._content)

    def integer(self) -> int:
        (value,) = struct.unpack(">i", self._take(4))
        if value < 0:
            raise ValueError(f"negative length or count {value}")
        return int(value)

    def piece(self) -> bytes:
        return self._take(self.integer())

    def _take(self, size: int) -> bytes:
        end = self._position + size
        if end > len(self._content):
            raise ValueError(f"{end - len(self._content)} bytes are missing at its end")
        taken = self._content[self._position : end]
        self._position = end
        return taken


def _read_registration(reader: _Reader) -> RegisterBrokerBody:
    version = DataVersion.decode(reader.piece())
    topics = [_topic(reader.piece().decode()) for _ in range(reader.integer())]
    filter_servers = msgspec.json.decode(reader.piece(), type=tuple[str, ...] | None)
    mappings = []
    if not reader.is_at_end:
        mappings = [TopicQueueMappingInfo.decode(reader.piece()) for _ in range(reader.integer())]
    wrapper = TopicConfigAndMappingSerializeWrapper(
        {topic.topic_name: topic for topic in topics},
        version,
        {mapping.topic: mapping for mapping in mappings if mapping.topic is not None},
    )
    return RegisterBrokerBody(wrapper, filter_servers or ())


def _inflate(content: bytes) -> bytes:
    inflator = zlib.decompressobj()
    inflated = inflator.decompress(content, MAX_INFLATED)
    if not inflator.eof:
        raise ValueError("the zlib stream is cut short or too large")
    return inflated


def _topic_line(topic: TopicConfig) -> bytes:
    attributes = msgspec.json.encode(topic.attributes, order="sorted").decode()
    numbers = f"{topic.read_queue_nums} {topic.write_queue_nums} {topic.perm}"
    return f"{topic.topic_name} {numbers} {topic.topic_filter_type} {attributes}".encode()


def _topic(line: str) -> TopicConfig:
    words = line.split(" ", 5)
    if len(words) < 5:
        raise ValueError(f"not a topic: {line[:100]!r}")
    names = ("topicName", "readQueueNums", "writeQueueNums", "perm", "topicFilterType")
    members: dict[str, Any] = dict(zip(names, words, strict=False))
    members["attributes"] = _attributes(words[5:])
    return msgspec.convert(members, TopicConfig, strict=False)


def _attributes(words: list[str]) -> dict[str, str]:
    if not words or not words[0]:
        return {}
    return msgspec.json.decode(words[0], type=dict[str, str])


def _prefixed(piece: bytes) -> bytes:
    return _int(len(piece)) + piece


def _int(value: int) -> bytes:
    return struct.pack(">i", value)
