"""helm, promtool and an API server are built from Go modules: minutes once, then at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocket_testing.alerts import write_rules
from rocket_testing.e2e import kubernetes as real
from rocket_testing.e2e.kubernetes import BINARIES, FOLDER, Kubernetes


@pytest.fixture(scope="session")
def built() -> None:
    real.build()


@pytest.fixture(scope="session")
def rules(built: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all alerts as rule files, rendered."""
    return write_rules(tmp_path_factory.mktemp("rules"))


@pytest.fixture(scope="session")
def api_server(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """An API server without a node."""
    state = tmp_path_factory.mktemp("control-plane")
    command = [sys.executable, str(FOLDER / "control_plane.py"), "--state", str(state), "--bin", str(BINARIES)]
    log = state.with_suffix(".log")
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        found = Kubernetes(state)
        try:
            found.until(lambda: "KUBECONFIG=" in log.read_text(), 120)
            (state / "kubeconfig").symlink_to(log.read_text().partition("KUBECONFIG=")[2].split()[0])
            yield found
        finally:
            process.terminate()
            process.wait(60)
