"""The store directories that Apache's own broker wrote (tests/golden/apache), and what is in them."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

#: Of another run of `make golden`, where the environment names its folder.
FOLDER: Final = Path(os.environ.get("GOLDEN") or Path(__file__).resolve().parents[2] / "golden" / "apache")


def unpack(name: str, root: Path, is_wanted: Callable[[str], bool] = lambda member: True) -> Path:
    """The directory `name`, or those files of it that are wanted, as `root`."""
    with tarfile.open(FOLDER / f"{name}.tar.gz") as archive:
        archive.extractall(root, [each for each in archive.getmembers() if is_wanted(each.name)], filter="data")
    return root


def listing(name: str) -> dict[str, Any]:
    """What Apache's own code read in it."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def _version() -> tuple[int, ...]:
    """Of the broker that wrote them: 5, 3, 3."""
    return tuple(map(int, listing("store-clean")["broker"].split()[-1].split(".")))


#: From 5.4.0 on a record is found by `topic#T#tag` as well.
INDEXES_TAGS: Final = _version() >= (5, 4)
