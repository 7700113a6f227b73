"""What the entries of queues are made of: every kind begins with position, size (both bytes) and tag code.

A number of a queue's entry counts from the queue's first file on; byte `number * layout.size` of the queue is where it
begins.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

#: 8 position, 4 size, 8 tag code. An entry's number is its message's offset.
PLAIN: Final = Struct(">qiq")
#: 8 position, 4 size, 8 tag code, 8 store time, 8 offset of the first message, 2 messages, 4 and 4 that are not used.
BATCH: Final = Struct(">qiqqqhii")

#: The size that an entry claims which stands for no record.
BLANK_SIZE: Final = 0x7FFFFFFF
#: As many messages as a batch's entry can count.
MAX_BATCH: Final = 0x7FFF

Unpacked = tuple[int, ...]


def is_of_record(entry: Unpacked) -> bool:
    """Whether it is of a record, or at least says so."""
    return 0 != entry[1] != BLANK_SIZE


def is_plausible(entry: Unpacked) -> bool:
    """Whether it can be of a record: that has bytes, and a batch's holds a message."""
    return entry[1] > 0 and entry[5:6] != (0,)


def store_time(entry: Unpacked) -> int:
    """When the record of a batch's entry was stored, ms."""
    return entry[3]


def first_offset(entry: Unpacked) -> int:
    """The offset of the first message of a batch's entry."""
    return entry[4]


def count_of(entry: Unpacked) -> int:
    """How many messages a batch's entry is of."""
    return entry[5]


def end_offset(entry: Unpacked) -> int:
    """The offset behind the last message of a batch's entry."""
    return entry[4] + entry[5]
