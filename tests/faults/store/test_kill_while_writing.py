"""A writer killed at a random moment, again and again: the ledger of what it was told is stored is the oracle.

`make faults KILLS=500` kills it that often.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import MessageStore
from rocket_wire import record

WRITER = """
import logging, sys, threading, time
from pathlib import Path
from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import MessageStore, Outgoing

root, first = Path(sys.argv[1]), int(sys.argv[2])
settings = StoreSettings(
    root=root, commitlog_path=root / "commitlog", segment_size=262144, queue_file_size=2000, max_hash_slots=1000,
    max_index_entries=500, checkpoint_interval=20,
)
store = MessageStore.open(settings, now_ms=lambda: time.time_ns() // 1_000_000, log=logging.getLogger("store"))

def flush():
    while True:
        store.flush()
        time.sleep(0.003)

threading.Thread(target=flush, daemon=True).start()
number = first
while True:
    messages = [
        Outgoing(topic=f"T{n % 2}", queue_id=n % 3, body=b"%d" % n, properties=b"UNIQ_KEY\\x01U%d\\x02" % n)
        for n in range(number, number + 1 + number % 4)
    ]
    puts = store.put_many(messages) if len(messages) > 1 else [store.put(messages[0])]
    for put in puts:
        sys.stdout.write(f"{number} {put.position} {put.queue_offset}\\n")
        number += 1
    sys.stdout.flush()
"""


def write_until_killed(root: Path, first: int, seconds: float) -> list[tuple[int, int, int]]:
    """Runs the writer and kills it; returns (number, position, offset) of all that it had been told is stored."""
    with subprocess.Popen([sys.executable, "-c", WRITER, root, str(first)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline()]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            lines.append(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait(timeout=30)
    whole = [line.split() for line in lines if line.endswith(b"\n")]
    return [(int(number), int(position), int(offset)) for number, position, offset in whole]


def test_nothing_acknowledged_is_missing_after_a_kill(tmp_path: Path) -> None:
    kill_and_check(tmp_path, kills=2, seed=2)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_missing_after_any_kill(tmp_path: Path) -> None:
    kill_and_check(tmp_path, kills=int(os.environ.get("KILLS", "25")), seed=1)


def kill_and_check(root: Path, kills: int, seed: int) -> None:
    ledger: list[tuple[int, int, int]] = []
    chance = random.Random(seed)
    first = 0
    for _ in range(kills):
        ledger += write_until_killed(root, first, chance.uniform(0.01, 0.3))
        first = check(root, ledger) + 1


def check(root: Path, ledger: list[tuple[int, int, int]]) -> int:
    """Opens the store and compares it with the ledger; returns the highest number in it."""
    settings = StoreSettings(
        root=root, commitlog_path=root / "commitlog", segment_size=262144, queue_file_size=2000,
        max_hash_slots=1000, max_index_entries=500,
    )  # fmt: skip
    store = MessageStore.open(settings, now_ms=lambda: time.time_ns() // 1_000_000, log=logging.getLogger("store"))
    found: dict[int, tuple[int, int]] = {}
    for topic, queue_id in store.queues():
        messages = whole_queue(store, topic, queue_id)
        assert [message.queue_offset for message in messages] == list(range(len(messages)))
        for message in messages:
            number = int(message.body)
            assert number not in found, "stored twice"
            assert (topic, queue_id) == (f"T{number % 2}", number % 3)
            found[number] = (message.position, message.queue_offset)
    assert {number: (position, offset) for number, position, offset in ledger}.items() <= found.items()
    for number, position, _ in ledger[-100:]:
        (content,) = store.query(f"T{number % 2}", f"U{number}", 9, 0, 1 << 60)
        assert record.decode(content).position == position
    store.close()
    return max(found, default=-1)


def whole_queue(store: MessageStore, topic: str, queue_id: int) -> list[record.Message]:
    messages: list[record.Message] = []
    while len(messages) < store.max_offset(topic, queue_id):
        got = store.get(topic, queue_id, len(messages), max_messages=500, max_bytes=1 << 20, tags=None, may_block=True)
        assert got is not None
        assert got.count
        messages += record.decode_all(got.body)
    return messages
