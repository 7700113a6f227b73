"""The log cut at every byte of its last records: the whole records before the cut are kept, and writing goes on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rocket_broker.store import checkpoint
from rocket_testing.small_store import SEGMENT, check, check_remade, filled, open_store, queue
from rocket_testing.verified import assert_store_verifies


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [6, 100])
def test_every_cut_keeps_the_whole_records_before_it(tmp_path: Path, count: int) -> None:
    puts = filled(tmp_path, count)
    end = puts[-1].position + puts[-1].size
    base = end - end % SEGMENT
    trusted = checkpoint.load(tmp_path / "killed" / "checkpoint").position
    assert trusted
    for cut in range(max(base, puts[-4].position), end + 1):
        root = tmp_path / "cut"
        shutil.copytree(tmp_path / "killed", root)
        os.truncate(root / "commitlog" / f"{base:020d}", cut - base)
        whole = [number for number, put in enumerate(puts) if put.position + put.size <= cut]
        check(root, whole)
        check_remade(root, whole)
        if cut >= trusted:  # else something is lost that was on the disk, and verify says so
            assert_store_verifies(root)
        shutil.rmtree(root)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_flipped_byte_of_the_last_record_ends_the_log_there_or_does_no_harm(tmp_path: Path) -> None:
    puts = filled(tmp_path, 20)
    last = puts[-1]
    for at in range(last.position, last.position + last.size + 8):
        root = tmp_path / "flipped"
        shutil.copytree(tmp_path / "killed", root)
        with open(root / "commitlog" / f"{0:020d}", "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes((byte ^ 0xFF,)))
        store = open_store(root)
        kept = queue(store, 0)
        assert kept == [b"body %d" % number for number in range(0, 20, 2)]
        assert queue(store, 1)[:9] == [b"body %d" % number for number in range(1, 19, 2)]
        store.close()
        shutil.rmtree(root)
