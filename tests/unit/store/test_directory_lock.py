"""One broker to a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rocket_broker.store.directory_lock import DirectoryLock
from rocket_broker.store.errors import StoreLocked

_ASK_AS_APACHE_DOES = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
    except BlockingIOError:
        sys.exit(3)
"""


def apache_is_refused(path: Path) -> bool:
    return subprocess.run([sys.executable, "-c", _ASK_AS_APACHE_DOES, path], timeout=30, check=False).returncode == 3


def test_a_second_store_on_a_folder_is_refused_and_told_by_whom(stores: Any) -> None:
    stores.open()
    with pytest.raises(StoreLocked, match=rf"in use by process {os.getpid()} on"):
        stores.open()


def test_a_closed_store_lets_the_next_one_in(stores: Any) -> None:
    stores.open().close()
    stores.open()


def test_a_store_that_cannot_start_does_not_keep_the_lock(stores: Any) -> None:
    stores.root.mkdir()
    (stores.root / "commitlog").mkdir()
    (stores.root / "commitlog" / "00000000000000000001").write_bytes(b"x")
    with pytest.raises(Exception, match="does not follow"):
        stores.open()
    (stores.root / "commitlog" / "00000000000000000001").unlink()
    stores.open()


def test_a_lock_that_apache_asks_for_is_refused_while_ours_is_held(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path, 0)
    with pytest.raises(StoreLocked):
        DirectoryLock(tmp_path, 0)
    assert apache_is_refused(tmp_path / "lock")
    lock.release()
    assert not apache_is_refused(tmp_path / "lock")


def test_a_lock_that_apache_holds_is_respected(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"lock")
    code = _ASK_AS_APACHE_DOES + "    print('held', flush=True)\n    sys.stdin.read()\n"
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreLocked, match="in use by another process"):
            DirectoryLock(tmp_path, 0)
        holder.communicate(timeout=30)
    DirectoryLock(tmp_path, 0).release()
