"""Who of a consumer group reads which queues. Every member computes it alone, and all must come to the same result.

Pure. The rule is that of RocketMQ's AllocateMessageQueueAveragely: sorted queues are cut into consecutive runs, one a
member in order of client id; the first members get one more where it does not divide. Members of any language may
share a group, so the order and the cut are part of the protocol (protocol section 6.6):

    queues 0 1 2 3 4 5 6 7, members a b c      a: 0 1 2    b: 3 4 5    c: 6 7
"""

from __future__ import annotations

from collections.abc import Iterable

from rocket_wire.bodies.body import MessageQueue


def allocate(queues: Iterable[MessageQueue], members: Iterable[str], member: str) -> list[MessageQueue]:
    """The queues that `member` reads. None, where it is not among the members or there are more members than queues."""
    ordered = sorted(set(queues))
    ranks = sorted(set(members), key=_java_order)
    if member not in ranks:
        return []
    rank = ranks.index(member)
    share, rest = divmod(len(ordered), len(ranks))
    begin = rank * share + min(rank, rest)
    return ordered[begin : begin + share + (1 if rank < rest else 0)]


def _java_order(text: str) -> bytes:
    """Java sorts strings by UTF-16 units, which differs from Python's order only beyond the basic plane."""
    return text.encode("utf-16-be", "surrogatepass")
