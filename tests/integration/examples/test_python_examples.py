"""Every program in examples/python is run as a reader would run it, against a cluster of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocket_testing.cluster import Cluster

FOLDER = Path(__file__).parents[3] / "examples" / "python"
PROGRAMS = sorted(path.name for path in FOLDER.glob("*.py"))
EXPECTED = {
    "first_steps.py": ["received order 0", "received order 1", "received order 2"],
    "in_order.py": ["order-1 created -> paid -> packed -> sent", "order-2 created -> paid -> packed -> sent"],
    "retries.py": ["try 1 of a hard one", "try 2 of a hard one"],
    "pulling.py": ["line 0", "line 4"],
    "synchronous.py": ["sent 10 at once"],
}
PATIENCE_SECONDS = 40


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A name server and a broker for all the programs."""
    with Cluster(tmp_path_factory.mktemp("examples")) as running:
        running.add_namesrv()
        running.add_broker()
        yield running


def test_every_program_says_what_it_should_print() -> None:
    assert sorted(EXPECTED) == PROGRAMS


def test_every_program_is_listed_for_readers() -> None:
    text = (FOLDER / "README.md").read_text()
    assert [name for name in PROGRAMS if f"[{name}]({name})" not in text] == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_example_program_does_what_it_says(program: str, cluster: Cluster) -> None:
    run = subprocess.run(
        [sys.executable, FOLDER / program],
        env={**os.environ, "NAMESRV_ADDR": cluster.namesrv},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert [line for line in EXPECTED[program] if line not in run.stdout] == []
