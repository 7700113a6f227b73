"""A store beside a model of it, which is a dictionary of lists, with stops and kills between any two operations."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import GetStatus, MessageStore, Outgoing
from rocket_wire import record
from rocket_wire.inner_batch import unwrapped
from rocket_wire.record import BatchItem, join_batch

#: The queues of the last one are of batches.
TOPICS = st.sampled_from(["A", "AB", "Whole"])
QUEUES = st.integers(0, 1)
BODIES = st.integers(0, 900).map(lambda size: b"%d" % size * (size // 3))


class StoreAgainstModel(RuleBasedStateMachine):
    """Every queue of the store holds what the model holds, at the same offsets."""

    @initialize(interval=st.sampled_from([0, 1 << 40]))
    def begin(self, interval: int) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.interval = interval
        self.now = 1_700_000_000_000
        self.model: dict[tuple[str, int], list[bytes]] = {}
        #: Where each message of the model begins, and its queue, in the log's order.
        self.places: list[tuple[int, tuple[str, int]]] = []
        self.store = self.open(self.root / "0")
        self.generation = 0

    def open(self, root: Path) -> MessageStore:
        return MessageStore.open(
            StoreSettings(
                root=root, commitlog_path=root / "commitlog", segment_size=2048, queue_file_size=100,
                batch_queue_file_size=138, max_hash_slots=16, max_index_entries=10, checkpoint_interval=self.interval,
            ),
            now_ms=lambda: self.now, log=logging.getLogger("store"), is_batch="Whole".__eq__,
        )  # fmt: skip

    @rule(topic=TOPICS, queue=QUEUES, body=BODIES)
    def put(self, topic: str, queue: int, body: bytes) -> None:
        put = self.store.put(self.message(topic, queue, body))
        bodies = self.model.setdefault((topic, queue), [])
        assert put.queue_offset == len(bodies)
        bodies.append(body)
        self.places.append((put.position, (topic, queue)))

    @rule(topic=TOPICS, queue=QUEUES, bodies=st.lists(st.binary(max_size=100), min_size=1, max_size=6))
    def put_many(self, topic: str, queue: int, bodies: list[bytes]) -> None:
        puts = self.store.put_many([self.message(topic, queue, body) for body in bodies])
        self.places += [(put.position, (topic, queue)) for put in puts]
        self.model.setdefault((topic, queue), []).extend(bodies)

    @rule(topic=TOPICS, queue=QUEUES, bodies=st.lists(st.binary(max_size=100), min_size=1, max_size=6))
    def put_batch(self, topic: str, queue: int, bodies: list[bytes]) -> None:
        """The first one turns plain queues of its topic into queues of batches."""
        whole = join_batch([BatchItem(body, b"") for body in bodies])
        put = self.store.put_batch(self.message(topic, queue, whole), len(bodies))
        before = self.model.setdefault((topic, queue), [])
        assert (put.queue_offset, put.count) == (len(before), len(bodies))
        before.extend(bodies)
        self.places += [(put.position, (topic, queue))] * len(bodies)

    def message(self, topic: str, queue: int, body: bytes) -> Outgoing:
        self.now += 1
        return Outgoing(topic=topic, queue_id=queue, body=body, properties=b"UNIQ_KEY\x01U%d\x02" % self.now)

    @rule()
    def flush(self) -> None:
        self.store.flush()

    @rule(topic=TOPICS)
    def delete_topic(self, topic: str) -> None:
        if self.interval:  # deleted topics come back when the log is read again, so only where it is not
            return
        self.store.flush()
        self.store.delete_topic(topic)
        self.model = {key: bodies for key, bodies in self.model.items() if key[0] != topic}
        self.places = [place for place in self.places if place[1][0] != topic]
        self.store.flush()

    @rule(keep=st.floats(0, 1))
    def truncate(self, keep: float) -> None:
        """As a slave does whose new master never had what it has."""
        kept = int(keep * len(self.places))
        while 0 < kept < len(self.places) and self.places[kept - 1][0] == self.places[kept][0]:
            kept -= 1  # a batch goes as a whole
        gone = self.places[kept:]
        if not gone:
            return
        self.store.truncate(gone[0][0])
        assert self.store.max_position == gone[0][0]
        self.places = self.places[: -len(gone)]
        for _, key in gone:
            self.model[key].pop()

    @rule()
    def stop_and_start(self) -> None:
        self.store.close()
        self.store = self.open(self.root / str(self.generation))

    @rule(cut=st.integers(0, 40))
    def kill_and_start(self, cut: int) -> None:
        """Half a record more than was acknowledged may be in the file."""
        old, self.generation = self.generation, self.generation + 1
        shutil.copytree(self.root / str(old), self.root / str(self.generation))
        end = self.store.max_position
        path = self.root / str(self.generation) / "commitlog" / f"{end - end % 2048:020d}"
        if path.exists():
            with open(path, "r+b") as file:
                file.seek(end % 2048)
                torn = record.encode(record.Message(topic="A", queue_id=0, body=b"torn", position=end))
                file.write(torn[: min(cut, 2048 - end % 2048)])
        self.store.close()
        self.store = self.open(self.root / str(self.generation))

    @invariant()
    def every_queue_is_as_the_model(self) -> None:
        for (topic, queue), bodies in self.model.items():
            assert self.store.max_offset(topic, queue) == len(bodies)
            read: list[bytes] = []
            while len(read) < len(bodies):
                got = self.store.get(topic, queue, len(read), max_messages=5, max_bytes=2000, tags=None, may_block=True)
                assert got is not None
                assert got.status is GetStatus.FOUND
                read += [part.body for whole in record.decode_all(got.body) for part in unwrapped(whole)]
            assert read == bodies

    @rule()
    def the_newest_message_is_found_by_its_key(self) -> None:
        for content in self.store.query("A", f"U{self.now}", 9, 0, 1 << 60):
            assert record.decode(content).topic == "A"

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.root)


StoreAgainstModel.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
test_any_order_of_operations = StoreAgainstModel.TestCase


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_any_order_of_operations_for_long() -> None:
    run_state_machine_as_test(
        StoreAgainstModel, settings=settings(max_examples=200, stateful_step_count=50, deadline=None)
    )
