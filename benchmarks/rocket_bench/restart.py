"""How long a store takes to open by its size: after a clean stop, after a kill, and from its commit log alone.

    python -m rocket_bench.restart fill FOLDER COUNT      COUNT messages of 128 bytes, then the process kills itself
    python -m rocket_bench.restart open FOLDER            seconds and MiB (anonymous), as JSON

Each opening has a process of its own, for its memory, and closes the store.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from rocket_bench import processes
from rocket_bench.servers import BENCHMARKS

from rocket_broker.store.settings import StoreSettings
from rocket_broker.store.store import MessageStore, Outgoing

_FLUSH_EVERY = 50_000  # about what a busy broker takes between two flushes
_QUEUES = 8
_HOST = bytes([127, 0, 0, 1]) + (10911).to_bytes(4)


def measure(folder: Path, count: int) -> dict[str, tuple[float, float]]:
    """Kind of start → seconds and MiB. `folder` is taken and left to the caller."""
    root = folder / f"store-{count}"
    subprocess.run(_command("fill", root, str(count)), check=False, env=_environment())  # it dies by SIGKILL
    found = {"after a kill": _open(root), "after a clean stop": _open(root)}
    for name in ("consumequeue", "index"):
        shutil.rmtree(root / name)
    (root / "checkpoint").unlink()
    found["from the commit log alone"] = _open(root)
    shutil.rmtree(root)
    return found


def _open(root: Path) -> tuple[float, float]:
    said = subprocess.run(_command("open", root), check=True, capture_output=True, text=True, env=_environment()).stdout
    seconds, mebibytes = json.loads(said)
    return seconds, mebibytes


def _command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "rocket_bench.restart", *map(str, words)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(BENCHMARKS)}


def _store(root: Path) -> MessageStore:
    settings = StoreSettings(root=root, commitlog_path=root / "commitlog")
    return MessageStore.open(settings, now_ms=lambda: time.time_ns() // 1_000_000, log=logging.getLogger("store"))


def _fill(root: Path, count: int) -> None:
    store = _store(root)
    for number in range(count):
        store.put(
            Outgoing(
                topic="T", queue_id=number % _QUEUES, body=bytes(128), properties=b"UNIQ_KEY\x01%032d\x02" % number,
                born_timestamp=0, born_host=_HOST, store_host=_HOST,
            )
        )  # fmt: skip
        if number % _FLUSH_EVERY == 0:
            store.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    if sys.argv[1] == "fill":
        _fill(Path(sys.argv[2]), int(sys.argv[3]))
    begin = time.perf_counter()
    store = _store(Path(sys.argv[2]))
    seconds = time.perf_counter() - begin
    print(json.dumps([seconds, processes.memory(os.getpid()).anonymous]))
    store.close()


if __name__ == "__main__":
    main()
