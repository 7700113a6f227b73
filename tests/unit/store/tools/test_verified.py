"""The oracle of the fault tests finds each store below a folder, and fails for one that has lost something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rocket_testing.verified import assert_store_verifies, stores_below


def test_a_store_that_lost_a_record_fails_the_test_that_left_it(stores: Any, message: Any, tmp_path: Path) -> None:
    store = stores.open()
    first = store.put(message())
    store.put(message(1))
    store.close()
    (root,) = stores_below(tmp_path)
    assert assert_store_verifies(root).records == 2
    with (root / "commitlog" / f"{0:020d}").open("r+b") as file:
        file.seek(first.position)
        file.write(b"\xff")
    with pytest.raises(AssertionError, match="hold no record"):
        assert_store_verifies(root)
