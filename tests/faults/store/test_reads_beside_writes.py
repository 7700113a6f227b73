"""Readers in threads, a flusher in another, a writer: every read is whole and in order, whatever the moment."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import MessageStore, Outgoing
from rocket_wire import record

MESSAGES = 30_000
QUEUES = 3


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_readers_see_every_message_once_while_it_is_written(tmp_path: Path) -> None:
    settings = StoreSettings(
        root=tmp_path, commitlog_path=tmp_path / "commitlog", segment_size=1 << 20, queue_file_size=2000,
        max_hash_slots=1000, max_index_entries=5000, checkpoint_interval=10, open_files=4,
    )  # fmt: skip
    store = MessageStore.open(settings, now_ms=lambda: time.time_ns() // 1_000_000, log=logging.getLogger("store"))
    is_over = threading.Event()
    with ThreadPoolExecutor() as threads:
        flusher = threads.submit(flush_until, store, is_over)
        readers = [threads.submit(read_all, store, queue) for queue in range(QUEUES)]
        for number in range(MESSAGES):
            queue = number % QUEUES
            store.put(Outgoing(topic="T", queue_id=queue, body=b"%d" % number, properties=b"KEYS\x01K\x02"))
        read = [reader.result(60) for reader in readers]
        is_over.set()
        flusher.result(60)
    assert [bodies == list(range(queue, MESSAGES, QUEUES)) for queue, bodies in enumerate(read)] == [True] * QUEUES
    store.close()


def flush_until(store: MessageStore, is_over: threading.Event) -> None:
    while not is_over.wait(0.001):
        store.flush()


def read_all(store: MessageStore, queue: int) -> list[int]:
    """The numbers of a queue's messages, read as they come."""
    numbers: list[int] = []
    deadline = time.monotonic() + 50
    while len(numbers) < MESSAGES // QUEUES:
        assert time.monotonic() < deadline, f"queue {queue} is read up to {len(numbers)}"
        got = store.get("T", queue, len(numbers), max_messages=32, max_bytes=1 << 20, tags=None, may_block=True)
        if got is None or not got.count:
            time.sleep(0.0005)  # nothing there yet
            continue
        messages = record.decode_all(got.body)
        assert [message.queue_offset for message in messages] == list(range(len(numbers), got.next_offset))
        numbers += [int(message.body) for message in messages]
    return numbers
