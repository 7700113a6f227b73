"""From a pull's answer to messages.

A retried message was stored under another topic; it is shown under the one that it was sent to (protocol section 6.4).
"""

from __future__ import annotations

import logging
from zlib import crc32

from rocket_client.message import ReceivedMessage, queue_text
from rocket_net.connection import address_text
from rocket_wire import inner_batch, properties, record
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.compression import decompress
from rocket_wire.errors import ProtocolError
from rocket_wire.message_id import offset_message_id

log = logging.getLogger("rocket.client")


def read_messages(content: bytes, queue: MessageQueue) -> list[ReceivedMessage]:
    """The messages of a pull's answer. Raises ProtocolError where the bytes are no records."""
    stored = record.decode_all(content, check_crc=False)
    return [read_message(message, queue) for each in stored for message in _unwrapped(each, queue)]


def _unwrapped(stored: record.Message, queue: MessageQueue) -> list[record.Message]:
    """The messages of a record; the record itself where it is no batch, or one that cannot be taken apart."""
    try:
        return inner_batch.unwrapped(stored)
    except ProtocolError as error:
        log.error("%s offset %d: the batch is given as it came: %s", queue_text(queue), stored.queue_offset, error)
        return [stored]


def read_message(stored: record.Message, queue: MessageQueue) -> ReceivedMessage:
    """One record as a message of `queue`."""
    pairs = properties.decode(stored.properties)
    body, is_intact = _body(stored, queue)
    offset_id = offset_message_id(stored.store_host, stored.position)
    return ReceivedMessage(
        topic=pairs.get("RETRY_TOPIC") or stored.topic,
        body=body,
        queue=queue,
        queue_offset=stored.queue_offset,
        message_id=pairs.get("UNIQ_KEY") or offset_id,
        offset_message_id=offset_id,
        properties=pairs,
        reconsume_times=stored.reconsume_times,
        born_timestamp=stored.born_timestamp,
        born_host=address_text(record.decode_host(stored.born_host)),
        store_timestamp=stored.store_timestamp,
        store_host=address_text(record.decode_host(stored.store_host)),
        flag=stored.flag,
        position=stored.position,
        stored_bytes=stored.size,
        is_intact=is_intact,
    )


def _body(stored: record.Message, queue: MessageQueue) -> tuple[bytes, bool]:
    if crc32(stored.body) & 0x7FFFFFFF != stored.crc & 0x7FFFFFFF:
        log.error("%s offset %d: the body is not what was stored", queue_text(queue), stored.queue_offset)
        return stored.body, False
    try:
        return decompress(stored.body, stored.sys_flag), True
    except ProtocolError as error:
        log.error("%s offset %d: %s", queue_text(queue), stored.queue_offset, error)
        return stored.body, False
