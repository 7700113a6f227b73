"""Whether a record is what a query asked for: the index only knows hashes, seconds and positions."""

from __future__ import annotations

from rocket_wire import properties, record
from rocket_wire.errors import ProtocolError


def matches(content: bytes, topic: str, key: str, begin: int, end: int) -> bool:
    """Whether a record of `topic` has `key` as unique key or in its KEYS, and was stored from `begin` to `end`, ms."""
    try:
        message = record.decode(content, check_crc=False)
    except ProtocolError:
        return False
    if message.topic != topic or not begin <= message.store_timestamp <= end:
        return False
    wanted = key.encode()
    if properties.find(message.properties, b"UNIQ_KEY") == wanted:
        return True
    return wanted in (properties.find(message.properties, b"KEYS") or b"").split(b" ")
