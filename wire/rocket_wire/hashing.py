"""Java's String.hashCode, which RocketMQ writes into consume queues (tags), index files (keys) and subscriptions.

h = s[0]*31^(n-1) + s[1]*31^(n-2) + ... + s[n-1]     over UTF-16 units, in signed 32-bit arithmetic

Many texts at once cost a sixth of one after the other (`unsigned_hashes`; docs/decisions/0002-send-path.md): their
bytes stand side by side in one big number, and neighbours are folded into each other, a*31 + b, in all texts with the
same few operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from struct import Struct, unpack
from typing import Final

_CHUNK: Final = 256
#: 31^255 ... 31^1, 31^0, so that a text of n units takes the last n of them.
_POWERS: Final = tuple(pow(31, exponent, 1 << 32) for exponent in reversed(range(_CHUNK)))

#: How many texts `unsigned_hashes` takes, and of how many bytes.
MANY: Final = 128
MANY_BYTES: Final = 32
_LAST_INT: Final = Struct(">28xI")


def _lane_mask(kept: int, lane: int) -> int:
    """The last `kept` bytes of each lane of `lane` bytes."""
    return int.from_bytes((bytes(lane - kept) + b"\xff" * kept) * (MANY * MANY_BYTES // lane), "big")


#: How far to shift, what to keep of the shifted and of the other half of each lane, by how much to multiply. Three
#: folds grow with their lanes (8, 16, 32 to 64 bits); from then on only the last 32 bits count.
_FOLDS: Final = (
    (8, _lane_mask(1, 2), _lane_mask(1, 2), 31),
    (16, _lane_mask(2, 4), _lane_mask(2, 4), 31**2),
    (32, _lane_mask(4, 8), _lane_mask(4, 8), 31**4),
    (64, _lane_mask(4, 16), _lane_mask(8, 16), pow(31, 8, 1 << 32)),
    (128, _lane_mask(4, 32), _lane_mask(4, 32), pow(31, 16, 1 << 32)),
)


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


def unsigned_hashes(texts: Sequence[bytes]) -> list[int]:
    """`unsigned_hash` of each text: at most `MANY` of them, each of at most `MANY_BYTES` ASCII bytes."""
    joined = b"".join([text.rjust(MANY_BYTES, b"\0") for text in texts])  # leading zeros do not count
    lanes = int.from_bytes(joined, "big")
    for bits, odd, even, power in _FOLDS:
        lanes = (lanes >> bits & odd) * power + (lanes & even)
    folded = lanes.to_bytes(len(joined) + MANY_BYTES, "big")  # the first text's sum may be longer than its lane
    return [code for (code,) in _LAST_INT.iter_unpack(folded[MANY_BYTES:])]


def signed(unsigned: int) -> int:
    """The signed 32-bit number with these bits."""
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned
