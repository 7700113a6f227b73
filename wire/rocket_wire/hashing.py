"""Java's String.hashCode, which RocketMQ writes into consume queues (tags), index files (keys) and subscriptions.

h = s[0]*31^(n-1) + s[1]*31^(n-2) + ... + s[n-1]     over UTF-16 units, in signed 32-bit arithmetic
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from struct import unpack
from typing import Final

_CHUNK: Final = 256
#: 31^255 ... 31^1, 31^0, so that a text of n units takes the last n of them.
_POWERS: Final = tuple(pow(31, exponent, 1 << 32) for exponent in reversed(range(_CHUNK)))


def string_hash(text: str) -> int:
    """The hash code of `text`, a signed 32-bit number."""
    if text.isascii():
        return signed(unsigned_hash(text.encode("ascii")))
    units = text.encode("utf-16-be", "surrogatepass")
    return signed(unsigned_hash(unpack(f">{len(units) // 2}H", units)))


def utf8_hash(text: bytes) -> int:
    """The hash code of a UTF-8 text. Malformed bytes count as U+FFFD, as Java's decoder has them."""
    if text.isascii():
        return signed(unsigned_hash(text))
    return string_hash(text.decode("utf-8", "replace"))


def tags_code(tag: str) -> int:
    """What a consume queue entry holds for a tag: its hash code, 0 without one (protocol section 4.4)."""
    return string_hash(tag)


def unsigned_hash(units: Sequence[int], start: int = 0) -> int:
    """The hash code of UTF-16 units (ASCII bytes are such) as a number below 2^32, continued from `start`."""
    count = len(units)
    if count <= _CHUNK:
        powers = _POWERS[_CHUNK - count :]
        return (start * powers[0] * 31 + sum(map(mul, units, powers))) & 0xFFFFFFFF if count else start
    for begin in range(0, count, _CHUNK):
        start = unsigned_hash(units[begin : begin + _CHUNK], start)
    return start


def signed(unsigned: int) -> int:
    """The signed 32-bit number with these bits."""
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned
