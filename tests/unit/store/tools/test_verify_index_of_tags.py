"""Entries of Apache's brokers: 5.5 has a message's tag behind its keys; after a kill the last record may be twice."""

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
    report = verify(root).report
    assert (report.verdict, report.records) == (verdict, 3), report.findings
