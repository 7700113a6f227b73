"""A small store's life, step by step, that goes on after any failure; and the oracle of what it must still hold.

    scenario = Scenario(tmp_path / "store")
    scenario.play()          a step that fails is tried again, after a new start where the failure ended the process
    scenario.check()         everything acknowledged is where its answer said, and nothing is there that nobody sent

It does what a broker does: an OSError of a sync ends the process, a StoreError is an answer with code 1.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from rocket_broker.store.errors import StoreError
from rocket_broker.store.settings import Retention, StoreSettings
from rocket_broker.store.store import GetStatus, MessageStore, Outgoing, Put
from rocket_wire import record
from rocket_wire.inner_batch import unwrapped
from rocket_wire.record import BatchItem, join_batch

BEGIN = 1_700_000_000_000
HOUR = 3_600_000
END = 1 << 60
#: A topic whose queues are of batches.
WHOLE = "Whole"
#: How often a step may fail before it counts as one that never succeeds.
PATIENCE = 3


class Died(BaseException):
    """The process ended in the middle of something."""


class Place(NamedTuple):
    """Where an answer said that a message is."""

    topic: str
    queue_id: int
    offset: int


class Acknowledged(NamedTuple):
    """A message that was called stored."""

    body: bytes
    position: int


@dataclass
class Scenario:
    """One store. With `is_sync` a message counts as acknowledged when the log is synced behind it."""

    root: Path
    is_sync: bool = False
    acknowledged: dict[Place, Acknowledged] = field(default_factory=dict)
    sent: set[bytes] = field(default_factory=set)
    deleted: set[bytes] = field(default_factory=set)
    #: Inside of batches: the index knows only the first message's key, which is the batch's.
    keyless: set[bytes] = field(default_factory=set)
    #: Steps that were answered with an error, and starts and runs that ended with one.
    refusals: list[str] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    store: MessageStore | None = None
    now: int = BEGIN
    #: Called when the process has ended in the middle, before the next start; may change `root`.
    after_death: Callable[[], None] = lambda: None

    def settings(self) -> StoreSettings:
        return StoreSettings(
            root=self.root, commitlog_path=self.root / "commitlog", segment_size=4096, queue_file_size=200,
            batch_queue_file_size=230, max_hash_slots=16, max_index_entries=20, checkpoint_interval=2, open_files=8,
            retention=Retention(delete_when=tuple(range(24)), reserved_hours=24),
        )  # fmt: skip

    def start(self) -> MessageStore:
        """The running store, started if it is not."""
        if self.store is None:
            self.store = MessageStore.open(
                self.settings(), now_ms=lambda: self.now, log=logging.getLogger("scenario"), is_batch=WHOLE.__eq__
            )
        return self.store

    def die(self) -> None:
        """The process is gone: what it held in memory is lost, and its lock with it."""
        store, self.store = self.store, None
        if store is not None and store._lock is not None:
            store._lock.release()

    # -- the steps --------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """All steps, in order."""
        for step in self.steps():
            self.attempt(step)

    def steps(self) -> Iterator[Callable[[], None]]:
        """Three segments and more, with everything that a broker does to a store."""
        for round_number in range(3):
            yield lambda: self.put("A", 0, 40)
            yield lambda: self.put("A", 1, 3)
            yield lambda: self.put_many("A", 0, 7)
            yield lambda: self.put_batch(WHOLE, 0, 3)
            yield lambda: self.put(WHOLE, 0, 10)
            yield self.flush
            yield lambda: self.put_batch(WHOLE, 0, 4)
            for queue_id in range(3):
                yield lambda queue_id=queue_id: self.put("Gone", queue_id, 200)  # type: ignore[misc]
            yield self.flush
            yield lambda: self.put("B", 0, 1500)
            yield lambda: self.put("B", 0, 900)
            yield self.read
            if round_number == 1:
                yield lambda: self.delete("Gone")
                yield lambda: self.put("Gone", 0, 20)
                yield self.stop
                yield self.damage_a_queue
                yield lambda: self.put("A", 1, 10)
            if round_number == 2:
                yield self.expire
            yield self.die
            yield lambda: self.put_many("A", 1, 4)
        yield self.flush
        yield self.stop
        yield lambda: self.put("A", 0, 10)

    def attempt(self, step: Callable[[], None]) -> None:
        """Does a step until it succeeds. A disk that fails once must not fail it for ever."""
        for _ in range(PATIENCE):
            try:
                self.start()
                step()
                return
            except StoreError as error:
                (self.refusals if self.store else self.deaths).append(str(error))
            except (OSError, Died) as error:
                self.deaths.append(str(error))
                self.die()
                self.after_death()
        raise AssertionError(f"never succeeds: {[*self.refusals, *self.deaths]}")

    def put(self, topic: str, queue_id: int, size: int) -> None:
        self._acknowledge(
            topic, queue_id, [body := self._body(size)], [self.start().put(outgoing(topic, queue_id, body))]
        )

    def put_many(self, topic: str, queue_id: int, count: int) -> None:
        bodies = [self._body(20) for _ in range(count)]
        puts = self.start().put_many([outgoing(topic, queue_id, body) for body in bodies])
        self._acknowledge(topic, queue_id, bodies, puts)

    def put_batch(self, topic: str, queue_id: int, count: int) -> None:
        bodies = [self._body(20) for _ in range(count)]
        self.keyless |= set(bodies[1:])
        whole = join_batch([BatchItem(body, b"") for body in bodies])
        message = msgspec.structs.replace(outgoing(topic, queue_id, bodies[0]), body=whole)
        put = self.start().put_batch(message, count)
        puts = [msgspec.structs.replace(put, queue_offset=put.queue_offset + part) for part in range(count)]
        self._acknowledge(topic, queue_id, bodies, puts)

    def _body(self, size: int) -> bytes:
        self.now += 1
        body = b"%d." % len(self.sent) + b"x" * size
        self.sent.add(body)
        return body

    def _acknowledge(self, topic: str, queue_id: int, bodies: list[bytes], puts: list[Put]) -> None:
        if self.is_sync:
            end = puts[-1].position + puts[-1].size
            assert self.start().sync_log() >= end
        for body, put in zip(bodies, puts, strict=True):
            self.acknowledged[Place(topic, queue_id, put.queue_offset)] = Acknowledged(body, put.position)

    def flush(self) -> None:
        self.now += 1
        self.start().flush()

    def read(self) -> None:
        """A read may fail with an error, but never gives what is not there, and leaves out nothing."""
        self._check_queues()

    def delete(self, topic: str) -> None:
        places = [place for place in self.acknowledged if place.topic == topic]
        self.start().delete_topic(topic)
        self.deleted |= {self.acknowledged.pop(place).body for place in places}
        self.start().flush()

    def expire(self) -> None:
        """Everything but the active segment goes, sooner or later."""
        self.start().delete_expired(self.now + 1000 * HOUR)

    def stop(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None

    def damage_a_queue(self) -> None:
        """A kill behind a checkpoint, and a start that makes all queues again."""
        self.now += 10
        self.start().flush()
        self.die()
        min((self.root / "consumequeue" / "A" / "0").iterdir()).unlink()

    # -- the oracle -------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """What is there now, after a kill, and after a stop in order."""
        self._check_now()
        self.die()
        self._check_now()
        end = self.start().max_position
        self.stop()
        self._check_now()
        assert self.start().max_position == end
        for topic, queue_id in self.start().queues():
            before = self.start().max_offset(topic, queue_id)
            self.put(topic, queue_id, 10)
            assert Place(topic, queue_id, before) in self.acknowledged
        self._check_now()

    def _check_now(self) -> None:
        self._check_queues()
        store = self.start()
        for place, (body, position) in self.acknowledged.items():
            if position >= store.min_position and body not in self.keyless:
                assert len(store.query(place.topic, key(body), 9, 0, END)) == 1, f"{place} is not in the index once"

    def _check_queues(self) -> None:
        store, found = self.start(), {}
        for topic, queue_id in store.queues():
            for message in stored(store, topic, queue_id):
                found[Place(topic, queue_id, message.queue_offset)] = message.body
        bodies = list(found.values())
        assert set(bodies) <= self.sent, "something is there that nobody sent"
        assert len(set(bodies)) == len(bodies), "something is there twice"
        for place, (body, position) in self.acknowledged.items():
            if position >= store.min_position:
                assert found.get(place) == body, f"{place} holds {found.get(place)!r} instead of {body!r}"


def key(body: bytes) -> str:
    return f"K{body.partition(b'.')[0].decode()}"


def outgoing(topic: str, queue_id: int, body: bytes) -> Outgoing:
    return Outgoing(topic=topic, queue_id=queue_id, body=body, properties=f"UNIQ_KEY\x01{key(body)}\x02".encode())


def stored(store: MessageStore, topic: str, queue_id: int) -> Iterator[record.Message]:
    """A whole queue, which must have no holes."""
    offset = store.min_offset(topic, queue_id)
    while offset < store.max_offset(topic, queue_id):
        got = store.get(topic, queue_id, offset, max_messages=5, max_bytes=1 << 20, tags=None, may_block=True)
        assert got is not None
        assert got.status is GetStatus.FOUND, f"{topic}/{queue_id} at offset {offset}: {got}"
        messages = [part for whole in record.decode_all(got.body) for part in unwrapped(whole)]
        assert [message.queue_offset for message in messages] == list(range(offset, got.next_offset))
        yield from messages
        offset = got.next_offset
