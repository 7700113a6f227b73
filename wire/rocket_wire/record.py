"""The message record: what the commit log holds, what a pull answers, what replication copies (protocol section 4.1).

Byte for byte the same everywhere, all numbers big-endian; offsets as with IPv4 hosts:

     0  4  size of the whole record           48  8 or 20  born host: address 4 or 16, port 4
     4  4  magic, v1 or v2                    56  8        store timestamp, ms
     8  4  CRC of the body & 0x7FFFFFFF       64  8 or 20  store host
    12  4  queue id                           72  4        reconsume times
    16  4  flag, the user's                   76  8        prepared transaction offset (bytes)
    20  8  queue offset (messages)            84  4 + n    body, compressed if sysFlag bit 0
    28  8  position in the log (bytes)            1 + n    topic (v1) or 2 + n (v2, a topic above 127 bytes)
    36  4  sysFlag                                2 + n    properties
    40  8  born timestamp, ms

sysFlag bits 0x10 and 0x20 say that the born and the store host are IPv6; 0x40 and 0x80, both, that the body is that of
a batch send: INNER_NUM messages, whose offsets follow each other from the record's on (`inner_batch.py`).

A segment of the log whose last bytes hold no record ends with a blank: 4 bytes of its length, 4 of BLANK_MAGIC.

The body of a batch send is a simpler thing: 4 size, 4 zero, 4 zero, 4 flag, 4 + n body, 2 + n properties, repeated.
"""

from __future__ import annotations

import ipaddress
from struct import Struct
from struct import error as struct_error
from typing import Final
from zlib import crc32

import msgspec

from rocket_wire.errors import ProtocolError

MAGIC_V1: Final = 0xDAA320A7 - (1 << 32)
MAGIC_V2: Final = 0xDAA320AB - (1 << 32)
#: Where in a record its magic is.
MAGIC_AT: Final = 4
BLANK_MAGIC: Final = 0xCBD43194 - (1 << 32)
BLANK_BYTES: Final = 8
MAX_TOPIC_BYTES_V1: Final = 127
MAX_PROPERTIES_BYTES: Final = 32_767

BORN_HOST_V6: Final = 0x10
STORE_HOST_V6: Final = 0x20
#: Both together: the record holds several messages, and its reader takes them apart.
NEED_UNWRAP: Final = 0x40
INNER_BATCH: Final = 0x80
#: The field before the topic, by (sysFlag >> 4) & 3: how long the two hosts are.
HEADERS: Final = tuple(Struct(f">iiiiiqqiq{born}sq{store}siqi") for born, store in ((8, 8), (20, 8), (8, 20), (20, 20)))
_SIZE_AND_MAGIC: Final = Struct(">ii")
_BLANK_MAGIC_BYTES: Final = BLANK_MAGIC.to_bytes(4, "big", signed=True)
_SHORT: Final = Struct(">h")
_BATCH_ITEM: Final = Struct(">iiiii")


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One stored message. Timestamps in ms; hosts are address (4 or 16 bytes) and port (4); body as stored.

    `size` is the record's length in bytes; 0 before it is known. `crc` is the record's own, which need not be right.
    """

    topic: str
    queue_id: int
    body: bytes
    properties: bytes = b""
    flag: int = 0
    queue_offset: int = 0
    position: int = 0
    sys_flag: int = 0
    born_timestamp: int = 0
    born_host: bytes = bytes(8)
    store_timestamp: int = 0
    store_host: bytes = bytes(8)
    reconsume_times: int = 0
    prepared_transaction_offset: int = 0
    crc: int = 0
    size: int = 0


class BatchItem(msgspec.Struct, frozen=True, gc=False):
    """One message of a batch send."""

    body: bytes
    properties: bytes
    flag: int = 0


def topic_field(topic: str) -> bytes:
    """The topic with its length before it: 1 byte in a v1 record, 2 in a v2 one. Raises ProtocolError if too long."""
    name = topic.encode("utf-8", "surrogatepass")
    if len(name) <= MAX_TOPIC_BYTES_V1:
        return bytes((len(name),)) + name
    if len(name) > 0x7FFF:
        raise ProtocolError(f"topic of {len(name)} bytes: a record holds 32767")
    return _SHORT.pack(len(name)) + name


def magic_for(topic_field: bytes) -> int:
    """The record version that goes with a topic field."""
    return MAGIC_V1 if len(topic_field) <= MAX_TOPIC_BYTES_V1 + 1 else MAGIC_V2


def host_flags(born_host: bytes, store_host: bytes) -> int:
    """The sysFlag bits that say how long the hosts are. Raises ProtocolError for hosts that are not 8 or 20 bytes."""
    flags = 0
    for host, flag in ((born_host, BORN_HOST_V6), (store_host, STORE_HOST_V6)):
        if len(host) == 20:
            flags |= flag
        elif len(host) != 8:
            raise ProtocolError(f"host of {len(host)} bytes: a record holds 8 or 20")
    return flags


def encode(message: Message) -> bytes:
    """The record of `message`; its size, CRC and the sysFlag's host bits are computed, not taken from it."""
    topic = topic_field(message.topic)
    if len(message.properties) > MAX_PROPERTIES_BYTES:
        raise ProtocolError(f"properties of {len(message.properties)} bytes: a record holds {MAX_PROPERTIES_BYTES}")
    flags = host_flags(message.born_host, message.store_host)
    header = HEADERS[flags >> 4]
    fixed = header.pack(
        header.size + len(message.body) + len(topic) + 2 + len(message.properties), magic_for(topic),
        crc32(message.body) & 0x7FFFFFFF, message.queue_id, message.flag, message.queue_offset, message.position,
        message.sys_flag & ~(BORN_HOST_V6 | STORE_HOST_V6) | flags, message.born_timestamp, message.born_host,
        message.store_timestamp, message.store_host, message.reconsume_times, message.prepared_transaction_offset,
        len(message.body),
    )  # fmt: skip
    return b"".join((fixed, message.body, topic, _SHORT.pack(len(message.properties)), message.properties))


def decode(data: bytes, start: int = 0, *, check_crc: bool = True) -> Message:
    """The record that begins at `start`; bytes after it do not matter.

    Raises ProtocolError where there is no whole record, its lengths disagree, or its CRC is wrong.
    """
    size, magic = _size_and_magic(data, start)
    if magic not in (MAGIC_V1, MAGIC_V2):
        raise ProtocolError(f"record at {start} has magic {magic & 0xFFFFFFFF:#010x}")
    if size > len(data) - start:
        raise ProtocolError(f"record at {start} claims {size} bytes, {len(data) - start} are there")
    try:
        return _decode(data, start, size, magic, check_crc)
    except struct_error as error:
        raise ProtocolError(f"record at {start} is cut off: {error}") from None


def decode_all(data: bytes, *, check_crc: bool = True) -> list[Message]:
    """The records of a pull answer, one after the other. Raises ProtocolError; then none is to be trusted."""
    messages = []
    start = 0
    while start < len(data):
        message = decode(data, start, check_crc=check_crc)
        messages.append(message)
        start += message.size
    return messages


def _size_and_magic(data: bytes, start: int) -> tuple[int, int]:
    if len(data) - start < BLANK_BYTES:
        raise ProtocolError(f"record at {start} is cut off after {len(data) - start} bytes")
    size, magic = _SIZE_AND_MAGIC.unpack_from(data, start)
    return size, magic


def _decode(data: bytes, start: int, size: int, magic: int, check_crc: bool) -> Message:
    sys_flag = int.from_bytes(data[start + 36 : start + 40], "big")
    header = HEADERS[sys_flag >> 4 & 3]
    (
        _, _, crc, queue_id, flag, queue_offset, position, sys_flag, born_timestamp, born_host, store_timestamp,
        store_host, reconsume_times, prepared_transaction_offset, body_bytes,
    ) = header.unpack_from(data, start)  # fmt: skip
    body_start = start + header.size
    topic_start = body_start + body_bytes + (1 if magic == MAGIC_V1 else 2)
    if body_bytes < 0 or topic_start > start + size:
        raise ProtocolError(f"record at {start} of {size} bytes claims a body of {body_bytes}")
    topic_end = topic_start + int.from_bytes(data[body_start + body_bytes : topic_start], "big")
    if topic_end + 2 > start + size:
        raise ProtocolError(f"record at {start} of {size} bytes claims a topic of {topic_end - topic_start}")
    properties_bytes = int.from_bytes(data[topic_end : topic_end + 2], "big")
    if topic_end + 2 + properties_bytes != start + size or properties_bytes > MAX_PROPERTIES_BYTES:
        raise ProtocolError(
            f"record at {start} of {size} bytes: its parts have {topic_end + 2 + properties_bytes - start}"
        )
    body = data[body_start : body_start + body_bytes]
    if check_crc and crc32(body) & 0x7FFFFFFF != crc & 0x7FFFFFFF:
        raise ProtocolError(f"record at {start}: the body's CRC is not the one it was stored with")
    return Message(
        topic=data[topic_start:topic_end].decode("utf-8", "replace"), queue_id=queue_id, body=body,
        properties=data[topic_end + 2 : start + size], flag=flag, queue_offset=queue_offset, position=position,
        sys_flag=sys_flag, born_timestamp=born_timestamp, born_host=born_host, store_timestamp=store_timestamp,
        store_host=store_host, reconsume_times=reconsume_times,
        prepared_transaction_offset=prepared_transaction_offset, crc=crc, size=size,
    )  # fmt: skip


def next_size(data: bytes | bytearray, limit: int) -> int | None:
    """The size that the record or blank at the beginning of `data` claims; None while that cannot be told.

    `limit` is how far the segment's end is away: a record leaves room for a blank before it, a blank reaches it.
    Raises ProtocolError where neither begins.
    """
    if len(data) < BLANK_BYTES:
        return None
    size, magic = _SIZE_AND_MAGIC.unpack_from(data)
    if magic == BLANK_MAGIC and size == limit:
        return limit
    if magic in (MAGIC_V1, MAGIC_V2) and 0 < size <= limit - BLANK_BYTES:
        return int(size)
    raise ProtocolError(f"no record: magic {magic & 0xFFFFFFFF:#010x}, size {size}, {limit} bytes are left")


def is_blank(data: bytes) -> bool:
    """Whether what begins here fills a segment's end."""
    return data[4:8] == _BLANK_MAGIC_BYTES


def blank(size: int) -> bytes:
    """The first bytes of a filler of `size` bytes at a segment's end; the rest of it may hold anything."""
    return _SIZE_AND_MAGIC.pack(size, BLANK_MAGIC)


def join_batch(items: list[BatchItem]) -> bytes:
    """The body of a batch send."""
    parts: list[bytes] = []
    for item in items:
        if len(item.properties) > MAX_PROPERTIES_BYTES:
            raise ProtocolError(f"properties of {len(item.properties)} bytes: a record holds {MAX_PROPERTIES_BYTES}")
        size = _BATCH_ITEM.size + len(item.body) + 2 + len(item.properties)
        parts += (_BATCH_ITEM.pack(size, 0, 0, item.flag, len(item.body)), item.body)
        parts += (_SHORT.pack(len(item.properties)), item.properties)
    return b"".join(parts)


def split_batch(body: bytes) -> list[BatchItem]:
    """The messages of a batch send's body. Raises ProtocolError; an empty body is one, too."""
    items = []
    start = 0
    try:
        while start < len(body):
            size, _, _, flag, body_bytes = _BATCH_ITEM.unpack_from(body, start)
            body_end = start + _BATCH_ITEM.size + body_bytes
            (properties_bytes,) = _SHORT.unpack_from(body, body_end) if body_bytes >= 0 else (-1,)
            end = body_end + 2 + properties_bytes
            if properties_bytes < 0 or end != start + size or end > len(body):
                raise ProtocolError(f"batch item at {start} of {size} bytes: its parts have {end - start}")
            items.append(BatchItem(body[start + _BATCH_ITEM.size : body_end], body[body_end + 2 : end], flag))
            start = end
    except struct_error as error:
        raise ProtocolError(f"batch item at {start} is cut off: {error}") from None
    if not items:
        raise ProtocolError("an empty batch")
    return items


def encode_host(address: str, port: int) -> bytes:
    """A numeric address and a port as records hold them: 8 or 20 bytes. Raises ValueError for a host name."""
    return ipaddress.ip_address(address.partition("%")[0]).packed + port.to_bytes(4, "big")


def decode_host(host: bytes) -> tuple[str, int]:
    """Numeric address and port of a record's host."""
    return str(ipaddress.ip_address(host[:-4])), int.from_bytes(host[-4:], "big")
