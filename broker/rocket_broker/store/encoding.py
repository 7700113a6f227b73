"""A message to store, as the bytes of its record. The format itself is rocket_wire.record's."""

from __future__ import annotations

from struct import Struct
from struct import error as struct_error
from typing import Final
from zlib import crc32

import msgspec

from rocket_broker.store.entry_queue import EntryQueue
from rocket_broker.store.errors import StoreError
from rocket_broker.store.values import Outgoing, Put
from rocket_wire import inner_batch, record
from rocket_wire.errors import ProtocolError

_LENGTH: Final = Struct(">h")
#: What only the store says of a record, whatever a message claims.
_OWN_BITS: Final = record.BORN_HOST_V6 | record.STORE_HOST_V6 | inner_batch.BITS
_IPV4_HOSTS: Final = 16


def record_sys_flag(message: Outgoing) -> int:
    """The message's sysFlag as that of one message, with the bits for how long its hosts are. Raises StoreError."""
    flags = message.sys_flag & ~_OWN_BITS
    if len(message.born_host) + len(message.store_host) != _IPV4_HOSTS:
        try:
            flags |= record.host_flags(message.born_host, message.store_host)
        except ProtocolError as error:
            raise StoreError(str(error)) from None
    return flags


def batched(message: Outgoing, count: int, offset: int) -> Outgoing:
    """The message as what holds `count` messages, the first at `offset` of their queue: so its properties say."""
    said = b"INNER_NUM\x01%d\x02INNER_BASE\x01%d\x02" % (count, offset)
    return msgspec.structs.replace(message, properties=message.properties + said)


def record_size(message: Outgoing, queue: EntryQueue, sys_flag: int) -> int:
    """How many bytes the record takes."""
    return (
        record.HEADERS[sys_flag >> 4 & 3].size
        + len(message.body)
        + len(queue.topic_field)
        + _LENGTH.size
        + len(message.properties)
    )


def encode(message: Outgoing, queue: EntryQueue, put: Put, sys_flag: int) -> bytes:
    """The record. Raises StoreError for a number that does not fit its field, or properties above 32767 bytes."""
    body, content = message.body, message.properties
    try:
        fixed = record.HEADERS[sys_flag >> 4 & 3].pack(
            put.size, queue.magic, crc32(body) & 0x7FFFFFFF, message.queue_id, message.flag, put.queue_offset,
            put.position, sys_flag, message.born_timestamp, message.born_host, put.store_timestamp,
            message.store_host, message.reconsume_times, message.prepared_transaction_offset, len(body),
        )  # fmt: skip
        return b"".join((fixed, body, queue.topic_field, _LENGTH.pack(len(content)), content))
    except struct_error as error:
        raise StoreError(f"a field of the message, or its {len(content)} bytes of properties: {error}") from None
