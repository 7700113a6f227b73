"""Apache's broker 5.5 has a message's tag in the index, behind its keys: right is that, or no tag, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.index import keys_of
from rocket_broker.store.index_file import IndexFile
from rocket_broker.store.tools.findings import Verdict
from rocket_broker.store.tools.verify import verify


@pytest.mark.parametrize(("tag_key", "verdict"), [
    (b"T#Tag", Verdict.WHOLE),
    (b"T#Other", Verdict.DAMAGED),
    (b"Tag", Verdict.DAMAGED),
    (None, Verdict.WHOLE),
])  # fmt: skip
def test_a_tag_may_follow_the_keys(stores: Any, message: Any, tag_key: bytes | None, verdict: Verdict) -> None:
    store = stores.open(index_enable=False)
    content = b"UNIQ_KEY\x01U\x02TAGS\x01Tag\x02"
    puts = [store.put(message(properties=content)) for _ in range(3)]
    store.close()
    root = Path(stores.root)
    (root / "checkpoint").unlink()  # it says that there is no index
    (root / "index").mkdir()
    index = IndexFile(root / "index" / "20260101000000000", 64, 50)
    for put in puts:
        place = (put.position, put.store_timestamp, "T")
        index.put(keys_of([(*place, content)] + ([(*place, b"UNIQ_KEY\x01" + tag_key)] if tag_key else [])))
    report = verify(root).report
    assert (report.verdict, report.records) == (verdict, 3), report.findings
