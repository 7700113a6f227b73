"""mappedFileSizeCommitLog is another than the log was made with: the start is refused, and nothing is changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.errors import StoreError

MADE_WITH = 8192


def contents(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "commitlog").iterdir())}


@pytest.mark.parametrize("has_checkpoint", [True, False])
@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("count", [3, 200])
@pytest.mark.parametrize("says", [MADE_WITH * 16, MADE_WITH // 2, MADE_WITH + 4096])
def test_another_size_is_refused_with_the_one_to_set_and_setting_it_back_is_all_it_takes(
    stores: Any, message: Any, says: int, count: int, is_clean: bool, has_checkpoint: bool
) -> None:
    store = stores.open(segment_size=MADE_WITH)
    for number in range(count):
        store.put(message(number))
    store.flush()
    root = stores.killed()
    if is_clean:
        stores.open(root).close()
    if not has_checkpoint:
        (root / "checkpoint").unlink()
    before = contents(root)
    for _ in range(2):
        with pytest.raises(StoreError, match=f"segments of {MADE_WITH} bytes.*says {says}: set it to {MADE_WITH}"):
            stores.open(root, segment_size=says)
    assert contents(root) == before
    again = stores.open(root, segment_size=MADE_WITH)
    assert len(stores.reader(again)()) == count
    assert again.put(message(count)).queue_offset == count


def test_a_first_segment_that_was_being_made_has_no_size_yet(stores: Any, message: Any) -> None:
    (stores.root / "commitlog").mkdir(parents=True)
    with open(stores.root / "commitlog" / f"{0:020d}", "wb") as file:
        file.truncate(4096)
    store = stores.open()
    assert store.put(message()).position == 0
    assert os.path.getsize(stores.root / "commitlog" / f"{0:020d}") == MADE_WITH


def test_a_log_that_was_cut_in_its_only_segment_goes_on(stores: Any, message: Any) -> None:
    store = stores.open()
    puts = [store.put(message(number)) for number in range(50)]
    store.flush()
    for size in (4096, puts[20].position + 7):
        root = stores.killed()
        os.truncate(root / "commitlog" / f"{0:020d}", size)
        again = stores.open(root)
        whole = sum(put.position + put.size <= size for put in puts)
        assert len(stores.reader(again)()) == whole
        assert again.put(message(50)).queue_offset == whole
