"""Records that hold several messages: what a batch send becomes in a topic with queue.type=BatchCQ.

sysFlag bits 0x40 and 0x80 say so. The body is the batch's as it was sent; the properties are those of the batch as a
whole, with INNER_NUM, how many messages it holds, and INNER_BASE, the queue offset of the first. Readers take it apart.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

import msgspec

from rocket_wire import record
from rocket_wire.compression import decompress

BITS: Final = record.INNER_BATCH | record.NEED_UNWRAP
_COMPRESSION_BITS: Final = 0x701
_ITEM_BYTES: Final = 22
_CRC_MASK: Final = 0x7FFFFFFF


def unwrapped(message: record.Message) -> list[record.Message]:
    """The messages that a record holds; the record itself where it is no batch. Raises ProtocolError.

    They have their record's position, times and hosts; offsets follow each other; keys, tags and flag are their own.
    `size` is what each takes of the record, and `crc` is wrong where the record's is.
    """
    if message.sys_flag & BITS != BITS:
        return [message]
    damage = (crc32(message.body) ^ message.crc) & _CRC_MASK
    return [
        msgspec.structs.replace(
            message,
            body=item.body,
            properties=item.properties,
            flag=item.flag,
            queue_offset=message.queue_offset + number,
            sys_flag=message.sys_flag & ~(BITS | _COMPRESSION_BITS),
            reconsume_times=0,
            crc=crc32(item.body) & _CRC_MASK ^ damage,
            size=_ITEM_BYTES + len(item.body) + len(item.properties),
        )
        for number, item in enumerate(record.split_batch(decompress(message.body, message.sys_flag)))
    ]
