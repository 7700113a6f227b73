"""Exhaustive check of a group's lease, promises and sync set: does any order of events lose an acknowledged message?

    python tests/unit/broker/failover/lease_model.py [--nodes 3] [--entries 2] [--break RULE] [--durability-only]

Time is counted in ticks; a lost message or answer is an event that does not happen; a frozen process is one that takes
no step while time passes. Each node is a master or a follower, with the epoch it believes in and a log of entries. The
lease store holds (holder, epoch, sync set, ticks since the last change); every change of it is a compare-and-set. The
property: whatever was acknowledged stands in the log of whoever holds the lease, and nobody else acts as master.

The rules have the names of `rocket_broker.failover.member`; each can be switched off, and then there is a
counterexample. Two events are more than the rules' own: a master releases the lease, and a member that restarts takes
its own lease back at once where it is the whole sync set, since nobody else may.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

#: Ticks: others wait LEASE; the master trusts a renewal for RENEW; a promise lasts PROMISE, and is relied on for RELY.
LEASE, RENEW, PROMISE = 3, 2, 3
RELY = PROMISE - 1
NOBODY = -1
RULES = ("deadline", "promise", "member", "record", "larger", "restart", "truncate")


class Lease(NamedTuple):
    """What the store records; `age` in ticks."""

    holder: int
    epoch: int
    sync: frozenset[int]
    age: int


class Node(NamedTuple):
    """What one member knows. Ticks that are left: of its deadline, of its promise, of waiting after a restart."""

    master: bool
    epoch: int
    log: tuple[int, ...]
    left: int
    promised: int
    wait: int
    relies: tuple[int, ...]
    known: frozenset[int] | None
    pending: frozenset[int] | None
    reported: tuple[int, ...]


class State(NamedTuple):
    """Everything at one moment; `acknowledged` is the log that senders were told of."""

    lease: Lease
    nodes: tuple[Node, ...]
    acknowledged: tuple[int, ...]


Step = tuple[str, State]


def start(count: int) -> State:
    everyone = frozenset(range(count))
    none = (0,) * count
    nodes = tuple(
        Node(i == 0, 1, (), RENEW if i == 0 else 0, 0, 0, none, everyone if i == 0 else None, None, none)
        for i in range(count)
    )
    return State(Lease(0, 1, everyone, 0), nodes, ())


class Model:
    """The steps from a state, by these rules."""

    def __init__(self, rules: frozenset[str], entries: int, epochs: int) -> None:
        self.rules = rules
        self.entries = entries
        self.epochs = epochs

    def steps(self, state: State) -> Iterator[Step]:
        yield "tick", _tick(state)
        for i, node in enumerate(state.nodes):
            none = (0,) * len(state.nodes)
            wait = LEASE if "restart" in self.rules else 0
            yield f"restart {i}", _put(state, i, node._replace(
                master=False, left=0, promised=0, wait=wait, relies=none, known=None, pending=None, reported=none,
            ))  # fmt: skip
            if node.master:
                yield from self._master(state, i, node)
            else:
                yield from self._acquire(state, i, node)

    def _master(self, state: State, i: int, node: Node) -> Iterator[Step]:
        mine = state.lease.holder == i and state.lease.epoch == node.epoch
        if mine:
            renewed = state._replace(lease=state.lease._replace(age=0))
            yield f"renew {i}", _put(renewed, i, node._replace(left=RENEW))
            yield f"renew {i}, answer lost", renewed
            yield from self._release(state, i, node)
        if len(node.log) < self.entries:
            newest = max((entry for other in state.nodes for entry in other.log), default=0)
            yield f"write {i}", _put(state, i, node._replace(log=(*node.log, newest + 1)))
        yield from self._acknowledge(state, i, node)
        if mine and node.pending is None:
            for j in range(len(state.nodes)):
                if j != i:
                    yield from self._change(state, i, node, j)
        if mine and node.pending is not None:  # it reads the lease again
            yield f"{i} learns the sync set", _put(state, i, node._replace(known=state.lease.sync, pending=None))
        for j in range(len(state.nodes)):
            if j != i:
                yield from self._lead(state, i, node, j)

    def _release(self, state: State, i: int, node: Node) -> Iterator[Step]:
        if node.pending is None:
            none = (0,) * len(state.nodes)
            given_up = node._replace(master=False, left=0, relies=none, known=None, pending=None, reported=none)
            released = _put(state, i, given_up)
            yield f"release {i}", released._replace(lease=state.lease._replace(holder=NOBODY, age=0))

    def _acknowledge(self, state: State, i: int, node: Node) -> Iterator[Step]:
        if len(state.acknowledged) >= len(node.log):
            return
        entry = node.log[: len(state.acknowledged) + 1]
        have = all(node.reported[j] >= len(entry) for j in self.needed(node) if j != i)
        if have and self.acts(i, node):
            yield f"acknowledge {entry[-1]} by {i}", state._replace(acknowledged=entry)

    def _change(self, state: State, i: int, node: Node, j: int) -> Iterator[Step]:
        """The sync set without `j`, or with it: sent, and the answer learnt or not."""
        assert node.known is not None
        if j in node.known:
            less = node.known - {j}
            if "record" not in self.rules:
                yield f"{i} shrinks to {set(less)} by itself", _put(state, i, node._replace(known=less))
                return
            wanted = less
        elif node.reported[j] == len(node.log) and state.nodes[j].epoch == node.epoch:
            wanted = node.known | {j}
        else:
            return
        recorded = state._replace(lease=state.lease._replace(sync=wanted, age=0))
        yield f"{i} records sync set {set(wanted)}", _put(recorded, i, node._replace(known=wanted))
        yield f"{i} records sync set {set(wanted)}, answer lost", _put(recorded, i, node._replace(pending=wanted))

    def _lead(self, state: State, i: int, node: Node, j: int) -> Iterator[Step]:
        """Entries to `j`, its report, its promise. One that still thinks itself master of an older epoch gives up."""
        other = state.nodes[j]
        if other.epoch > node.epoch or (other.master and other.epoch == node.epoch):
            return
        common = 0
        while common < min(len(other.log), len(node.log)) and other.log[common] == node.log[common]:
            common += 1
        log = node.log[:common] if "truncate" in self.rules else other.log
        if len(log) < len(node.log):
            log = (*log, node.log[len(log)])
        none = (0,) * len(state.nodes)
        follower = Node(False, node.epoch, log, 0, other.promised, other.wait, none, None, None, none)
        yield f"{i} replicates to {j}", _put(state, j, follower)
        if other.epoch != node.epoch or other.master:
            return
        if len(other.log) <= len(node.log):
            told = node._replace(reported=_with(node.reported, j, len(other.log)))
            yield f"{j} reports to {i}", _put(state, i, told)
        promised = _put(state, j, other._replace(left=0, promised=PROMISE, relies=none, known=None, pending=None))
        yield f"{j} promises {i}", _put(promised, i, node._replace(relies=_with(node.relies, j, RELY)))

    def _acquire(self, state: State, i: int, node: Node) -> Iterator[Step]:
        lease = state.lease
        is_member = i in lease.sync or "member" not in self.rules
        is_free = node.promised == 0 or "promise" not in self.rules
        ran_out = lease.age >= LEASE and is_free and node.wait == 0
        is_own = lease.holder == i and lease.sync == {i} and lease.epoch == node.epoch
        if is_member and lease.epoch < self.epochs and (ran_out or lease.holder == NOBODY or is_own):
            none, only = (0,) * len(state.nodes), frozenset({i})
            taken = state._replace(lease=Lease(i, lease.epoch + 1, only, 0))
            yield f"{i} acquires", _put(taken, i, node._replace(
                master=True, epoch=lease.epoch + 1, left=RENEW, promised=0, relies=none, known=only, pending=None,
                reported=none,
            ))  # fmt: skip

    def needed(self, node: Node) -> frozenset[int]:
        assert node.known is not None
        return node.known | node.pending if node.pending and "larger" in self.rules else node.known

    def acts(self, i: int, node: Node) -> bool:
        """Whether a node thinks that it may act as master."""
        if not node.master:
            return False
        is_relied = all(node.relies[j] > 0 for j in self.needed(node) if j != i)
        return node.left > 0 or is_relied or "deadline" not in self.rules

    def broken(self, state: State, *, single: bool) -> str | None:
        lease, nodes, acknowledged = state
        if lease.holder == NOBODY:
            lost = [i for i in lease.sync if nodes[i].log[: len(acknowledged)] != acknowledged]
            if lost:
                return f"LOST: {lost[0]} may take over with {nodes[lost[0]].log}, acknowledged was {acknowledged}"
        elif nodes[lease.holder].log[: len(acknowledged)] != acknowledged:
            return f"LOST: the holder {lease.holder} has {nodes[lease.holder].log}, acknowledged was {acknowledged}"
        if single:
            for i, node in enumerate(nodes):
                if i != lease.holder and self.acts(i, node):
                    return f"TWO MASTERS: {i} acts while {lease.holder} holds the lease"
        return None


def _tick(state: State) -> State:
    def less(ticks: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(max(each - 1, 0) for each in ticks)

    nodes = tuple(
        node._replace(
            left=max(node.left - 1, 0), promised=max(node.promised - 1, 0), wait=max(node.wait - 1, 0),
            relies=less(node.relies),
        )
        for node in state.nodes
    )  # fmt: skip
    return state._replace(lease=state.lease._replace(age=min(state.lease.age + 1, LEASE)), nodes=nodes)


def _with(values: tuple[Any, ...], i: int, value: Any) -> tuple[Any, ...]:
    return (*values[:i], value, *values[i + 1 :])


def _put(state: State, i: int, node: Node) -> State:
    return state._replace(nodes=_with(state.nodes, i, node))


def check(model: Model, count: int, limit: int, *, single: bool = True) -> tuple[int, list[str] | None]:
    """How many states there are, and the events that lead to a broken one, None where none does.

    Raises OverflowError where there are more than `limit`.
    """
    first = start(count)
    seen: dict[State, tuple[State, str] | None] = {first: None}
    queue = deque([first])
    while queue:
        state = queue.popleft()
        why = model.broken(state, single=single)
        if why is not None:
            path = [why]
            while (before := seen[state]) is not None:
                state, event = before
                path.append(event)
            return len(seen), path[::-1]
        for event, after in model.steps(state):
            if after not in seen:
                seen[after] = (state, event)
                queue.append(after)
        if len(seen) > limit:
            raise OverflowError(f"more than {limit} states: nothing found so far")
    return len(seen), None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--entries", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--limit", type=int, default=3_000_000)
    parser.add_argument("--break", dest="off", choices=RULES)
    parser.add_argument(
        "--durability-only", action="store_true", help="ask only whether acknowledged messages are kept"
    )
    options = parser.parse_args()
    model = Model(frozenset(RULES) - {options.off}, options.entries, options.epochs)
    states, path = check(model, options.nodes, options.limit, single=not options.durability_only)
    print(f"{states} states" + (f" without {options.off}" if options.off else ""))
    if path is None:
        print("nothing acknowledged is ever lost" + ("" if options.durability_only else ", and never two masters"))
    else:
        print(*path, sep="\n  ")
        sys.exit(1)


if __name__ == "__main__":
    main()
