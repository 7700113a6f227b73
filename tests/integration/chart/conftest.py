"""helm, promtool and an API server are built from Go modules: minutes once, then at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocket_testing.alerts import write_rules
from rocket_testing.e2e import kubernetes as real


@pytest.fixture(scope="session")
def built() -> None:
    real.build()


@pytest.fixture(scope="session")
def rules(built: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all alerts as rule files, rendered."""
    return write_rules(tmp_path_factory.mktemp("rules"))
