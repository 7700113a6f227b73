"""What is in a store directory, told without our broker's code: the `.json` beside a golden archive.

The log's records are read by Apache's decoder (`role=records`), the other files here, by the layout that Apache's
sources give them: ConsumeQueue.java, BatchConsumeQueue.java, IndexHeader.java, StoreCheckpoint.java.
"""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_QUEUE_ENTRY = struct.Struct(">qiq")
_BATCH_ENTRY = struct.Struct(">qiqqqhii")
_INDEX_HEADER = struct.Struct(">qqqqii")
_INDEX_NAMES = ("beginTimestamp", "endTimestamp", "beginPhyOffset", "endPhyOffset", "hashSlotCount", "indexCount")
_CHECKPOINT = struct.Struct(">qqqqq")
_CHECKPOINT_NAMES = (
    "physicMsgTimestamp", "logicsMsgTimestamp", "indexMsgTimestamp", "masterFlushedOffset", "confirmPhyOffset",
)  # fmt: skip
_RECORD_SECONDS = 60

Queues = dict[str, dict[str, list[tuple[int, ...]]]]


class ListingError(Exception):
    """A store directory contradicts itself, or cannot be read."""


def listing(store: Path, name: str, version: str, program: Sequence[str]) -> dict[str, Any]:
    """The listing of a store that no broker has open; `program` is the Java client's. Raises ListingError."""
    found = {
        "store": f"{name}.tar.gz",
        "broker": f"Apache RocketMQ {version}",
        "clean": not (store / "abort").exists(),
        "checkpoint": dict(
            zip(_CHECKPOINT_NAMES, _CHECKPOINT.unpack_from((store / "checkpoint").read_bytes()), strict=True)
        ),
        "index": index_headers(store),
        **({"batchConsumeQueues": batches} if (batches := batch_queues(store)) else {}),
        "consumeQueues": queues(store),
        "records": _records(store, program),
    }
    _check(found["consumeQueues"], batches, found["records"])
    return found


def text(found: dict[str, Any]) -> str:
    """A listing as JSON, a line for each record, queue and other part, so that two can be compared."""
    records = ",\n".join(f"  {json.dumps(record, ensure_ascii=False)}" for record in found["records"])
    topics = ",\n".join(
        f"  {json.dumps(topic)}: {json.dumps(entries, separators=(',', ':'))}"
        for topic, entries in found["consumeQueues"].items()
    )
    parts = [f' "{name}": {json.dumps(part)}' for name, part in found.items()][:-2]
    parts += [f' "consumeQueues": {{\n{topics}\n }}', f' "records": [\n{records}\n ]']
    return "{\n" + ",\n".join(parts) + "\n}\n"


def index_headers(store: Path) -> dict[str, dict[str, int]]:
    """By file name, oldest first. `indexCount` is one more than the entries."""
    return {
        file.name: dict(zip(_INDEX_NAMES, _INDEX_HEADER.unpack_from(file.read_bytes()), strict=True))
        for file in sorted((store / "index").iterdir())
    }


def queues(store: Path) -> Queues:
    """[commit log offset, size, tagsCode] by topic and queue id, also while a broker writes."""
    return _entries(store / "consumequeue", _QUEUE_ENTRY)


def batch_queues(store: Path) -> Queues:
    """Of topics with queue.type=BatchCQ: the same, and store time, first offset, messages, two numbers not used."""
    return _entries(store / "batchconsumequeue", _BATCH_ENTRY)


def _entries(kind: Path, entry: struct.Struct) -> Queues:
    found: Queues = {}
    for folder in sorted(kind.glob("*/*"), key=lambda path: (path.parent.name, int(path.name))):
        content = b"".join(file.read_bytes() for file in sorted(folder.iterdir()))
        entries = [each for each in entry.iter_unpack(content) if each[1]]  # the rest of a file is zeros
        found.setdefault(folder.parent.name, {})[folder.name] = entries
    return found


def _records(store: Path, program: Sequence[str]) -> list[dict[str, Any]]:
    command = [*program, "role=records", f"folder={store / 'commitlog'}"]
    done = subprocess.run(command, capture_output=True, timeout=_RECORD_SECONDS, check=False)
    if done.returncode:
        raise ListingError(f"Apache's decoder cannot read the log: {done.stderr.decode(errors='replace')}")
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b'{"event":"record"')]
    return [{name: value for name, value in event.items() if name not in ("event", "at")} for event in events]


def _check(found: Queues, batches: Queues, records: list[dict[str, Any]]) -> None:
    """Every record has the one entry in its place, and there are no others. Raises ListingError."""
    entries = {
        (topic, int(queue_id), offset): entry[:2]
        for topic, ids in found.items()
        for queue_id, listed in ids.items()
        for offset, entry in enumerate(listed)
    } | {
        (topic, int(queue_id), entry[4]): entry[:2]
        for topic, ids in batches.items()
        for queue_id, listed in ids.items()
        for entry in listed
    }
    wanted = {(r["topic"], r["queueId"], r["queueOffset"]): (r["commitLogOffset"], r["size"]) for r in records}
    if entries != wanted:
        raise ListingError(f"queues and log differ in {sorted(set(entries.items()) ^ set(wanted.items()))[:3]}")
