"""Entries of Apache's brokers: 5.5 has a message's tag behind its keys; after a kill the last record may be twice; a
file's first entry counts its seconds from the end of the file before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.index import keys_of
from rocket_broker.store.index_file import IndexFile
from rocket_broker.store.tools.findings import Verdict
from rocket_broker.store.tools.verify import verify

UNIQUE, TAG, OTHER = b"U", b"T#Tag", b"T#Other"


@pytest.mark.parametrize(("keys", "verdict"), [
    ([UNIQUE], Verdict.WHOLE),
    ([UNIQUE, TAG], Verdict.WHOLE),
    ([UNIQUE, UNIQUE], Verdict.WHOLE),
    ([UNIQUE, UNIQUE, TAG], Verdict.WHOLE),
    ([UNIQUE, TAG, UNIQUE, TAG], Verdict.WHOLE),
    ([UNIQUE, OTHER], Verdict.DAMAGED),
    ([UNIQUE, TAG, TAG], Verdict.DAMAGED),
    ([TAG, UNIQUE], Verdict.DAMAGED),
    ([TAG], Verdict.DAMAGED),
    ([], Verdict.DAMAGED),
])  # fmt: skip
def test_which_entries_a_record_may_have(stores: Any, message: Any, keys: list[bytes], verdict: Verdict) -> None:
    store = stores.open(index_enable=False)
    content = b"UNIQ_KEY\x01U\x02TAGS\x01Tag\x02"
    puts = [store.put(message(properties=content)) for _ in range(3)]
    store.close()
    root = Path(stores.root)
    (root / "checkpoint").unlink()  # it says that there is no index
    (root / "index").mkdir()
    index = IndexFile(root / "index" / "20260101000000000", 64, 50)
    for put, found in zip(puts, ([UNIQUE], keys, [UNIQUE]), strict=True):
        place = (put.position, put.store_timestamp, "T")
        index.put(keys_of([(*place, b"UNIQ_KEY\x01" + key) for key in found]))
    index.sync(index.take_changed())
    report = verify(root).report
    assert (report.verdict, report.records) == (verdict, 3), report.findings


@pytest.mark.parametrize(
    ("files", "seconds", "verdict"),
    [(2, 0, Verdict.WHOLE), (2, 11, Verdict.WHOLE), (2, 12, Verdict.DAMAGED), (1, 11, Verdict.WHOLE)],
    ids=["as ours", "as Apache's", "as nobody's", "as Apache's, the file before has expired"],
)
def test_when_a_files_first_entry_may_say_that_it_was_stored(
    stores: Any, message: Any, clock: Any, files: int, seconds: int, verdict: Verdict
) -> None:
    store = stores.open(index_enable=False)
    puts = []
    for _ in range(files):
        puts.append(store.put(message(properties=b"UNIQ_KEY\x01U\x02")))
        clock.now += 11_500
    store.close()
    root = Path(stores.root)
    (root / "checkpoint").unlink()  # it says that there is no index
    (root / "index").mkdir()
    for number, put in enumerate(puts, 1):
        path = root / "index" / f"2026010100000000{number}"
        index = IndexFile(path, 64, 50)
        index.put(keys_of([(put.position, put.store_timestamp, "T", b"UNIQ_KEY\x01U")]))
        index.sync(index.take_changed())
    with path.open("r+b") as file:
        file.seek(40 + 64 * 4 + 20 + 12)  # behind header, slots, entry 0, and the first entry's hash and position
        file.write(seconds.to_bytes(4, "big"))
    report = verify(root).report
    assert (report.verdict, report.records) == (verdict, files), report.findings
