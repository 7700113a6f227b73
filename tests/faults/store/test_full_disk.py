"""A disk that is really full: a small file system of its own, in a namespace of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = '''
import logging, os, sys
from pathlib import Path
from rocket_broker.store.errors import StoreFull
from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import MessageStore, Outgoing

root = Path(sys.argv[1]) / "store"
settings = StoreSettings(
    root=root, commitlog_path=root / "commitlog", segment_size=262144, queue_file_size=6000, max_hash_slots=1000,
    max_index_entries=100_000, checkpoint_interval=0,
)

def opened():
    return MessageStore.open(settings, now_ms=lambda: 1_700_000_000_000, log=logging.getLogger("store"))

def fill(store, count):
    """Puts until the disk is full; returns how many went in. Queues are written out now and then."""
    while True:
        message = Outgoing(
            topic="T", queue_id=0, body=b"%d" % count * 20, properties=b"UNIQ_KEY\\x01U%d\\x02" % count
        )
        try:
            put = store.put(message)
        except StoreFull:
            return count
        assert put.queue_offset == count
        count += 1
        if count % 200 == 0:
            store.flush()

def check(store, count):
    offset = 0
    while offset < count:
        got = store.get("T", 0, offset, max_messages=500, max_bytes=1 << 20, tags=None, may_block=True)
        assert got.count, got
        offset = got.next_offset
    assert store.max_offset("T", 0) == count
    assert len(store.query("T", f"U{count - 1}", 9, 0, 1 << 60)) == 1

ballast = Path(sys.argv[1]) / "ballast"
ballast.write_bytes(bytes(700_000))
store = opened()
full = fill(store, 0)
assert full > 500, full
for _ in range(3):
    assert fill(store, full) == full
check(store, full)
print("full with", full)
ballast.unlink()
more = fill(store, full)
assert more > full
store.flush()
check(store, more)
print("then with", more)
if os.fork() == 0:
    os._exit(0)  # a process that dies without closing anything
os.wait()
store.close()
check(opened(), more)
print("again with", more)
'''


@pytest.mark.timeout(120)
def test_a_full_disk_refuses_puts_and_a_disk_with_room_takes_them_again(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small file system")
    mount = f"mount -t tmpfs -o size=2m tmpfs {tmp_path}"
    if subprocess.run(["unshare", "-Urm", "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("may not mount a small file system here")
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", f'{mount} && exec "$0" -c "$1" {tmp_path}', sys.executable, SCRIPT],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert "again with" in done.stdout
