"""Rules about the tree itself: where packages lie, how long files may be, that documents name what exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPONENTS = ("wire", "net", "client", "namesrv", "broker", "operator", "cli")
SOURCES = sorted(path for folder in (*COMPONENTS, "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("folder", [*COMPONENTS, "tests"])
def test_a_top_level_folder_is_no_package(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()


def test_no_folder_of_tests_is_a_package() -> None:
    found = [path for path in (ROOT / "tests").rglob("__init__.py") if "support" not in path.parts]
    assert [path for path in found if "interop" not in path.parts] == []


def test_no_file_is_longer_than_400_lines() -> None:
    long = {str(path.relative_to(ROOT)): count for path in SOURCES if (count := _lines(path)) > 400}
    assert long == {}


def test_every_source_file_opens_with_its_idea() -> None:
    silent = [
        str(path) for path in SOURCES if path.stat().st_size and not path.read_text().startswith(('"""', "#!", "# "))
    ]
    assert silent == []


def test_every_name_in_the_architecture_page_exists() -> None:
    """Names stand there as `folder/file.py` or `folder/file.py: name`."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r"`([\w./-]+/[\w.-]*)(?:: ([\w.]+))?`", text)
    assert named
    missing = [f"{path}: {name}" for path, name in named if not _exists(path, name)]
    assert missing == []


def test_every_make_target_in_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"`?make ([a-z0-9-]+)", (ROOT / "README.md").read_text())
    assert targets
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_make_help_lists_every_target() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert [target for target in phony[1].split() if f"make {target} " not in listed] == []


def _lines(path: Path) -> int:
    with path.open() as file:
        return sum(1 for _ in file)


def _exists(path: str, name: str) -> bool:
    place = ROOT / path
    if not place.exists():
        return False
    if not name:
        return True
    text = place.read_text()
    return all(re.search(rf"\b{part}\b", text) for part in name.split("."))
