"""Which records of those that a queue's entries name are read for one pull. Decides only; reads nothing."""

from __future__ import annotations

from collections.abc import Iterable

from rocket_broker.store.queue_entries import BLANK_SIZE, Unpacked


class Wish:
    """How much of a queue is wanted: so many messages, so many bytes (the first message counts always), which tags."""

    __slots__ = ("max_bytes", "max_messages", "tags")

    def __init__(self, max_messages: int, max_bytes: int, tags: frozenset[int] | None) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.tags = tags


Choice = tuple[list[tuple[int, int]], int, int, int]
"""(position, size) of what to read, neighbours made one; how many records and messages that is; where to go on."""


def choose(entries: Iterable[Unpacked], wish: Wish, first: int) -> tuple[list[tuple[int, int]], int, int]:
    """What to read, how many records that is, and how many entries that takes. The log begins at `first`.

    Of each entry only position, size and tag code: this loop is what a pull of many messages spends its time in.
    """
    wanted: list[tuple[int, int]] = []
    tags, room, limit = wish.tags, wish.max_bytes, wish.max_messages
    count = start = end = taken = 0
    for position, size, tags_code in entries:
        if (tags is None or tags_code in tags) and position >= first and 0 < size != BLANK_SIZE:
            room -= size
            if count and (room < 0 or count == limit):
                break
            count += 1
            if position != end:
                if end:
                    wanted.append((start, end - start))
                start = position
            end = position + size
        taken += 1
    if count:
        wanted.append((start, end - start))
    return wanted, count, taken


def is_wanted(entry: Unpacked, wish: Wish, first: int) -> bool:
    """Whether `choose` takes this entry, as long as there is room."""
    position, size, tags_code = entry[:3]
    return (wish.tags is None or tags_code in wish.tags) and position >= first and 0 < size != BLANK_SIZE
