"""Each command of docs/store-tools.md, run as it stands there, prints what stands there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from rocket_testing.cluster import console_script

PROJECT = Path(__file__).resolve().parents[3]


def examples() -> list[tuple[str, str]]:
    """Commands of the page, and what comes after each."""
    page = (PROJECT / "docs" / "store-tools.md").read_text()
    blocks = re.findall(r"(?:^    .*\n)+", page, re.MULTILINE)
    pieces = [piece for block in blocks for piece in re.sub(r"^    ", "", block, flags=re.MULTILINE).split("$ ")[1:]]
    return [(command, output) for command, _, output in (piece.partition("\n") for piece in pieces)]


@pytest.mark.timeout(300)  # ten programs, one after the other
def test_every_command_of_the_page_prints_what_stands_there(tmp_path: Path) -> None:
    path = f"{Path(console_script('rocketctl')).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PROJECT": str(PROJECT), "TZ": "UTC"}
    assert len(examples()) == 10
    for command, output in examples():
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout, done.stderr) == (output, ""), command
