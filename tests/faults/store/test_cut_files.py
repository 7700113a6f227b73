"""Every other file of a killed store cut at every byte, its checkpoint changed at every byte, or a file gone: every
message is there after the next start, and writing goes on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rocket_testing.small_store import check, filled
from rocket_testing.verified import assert_store_verifies

MESSAGES = 24
#: What the checkpoint says stands in its first bytes; nothing but zeros follows.
CHECKPOINT_BYTES = 96
#: The short form, which `make test` runs, does one in so many.
ONE_IN = 61

Harm = Callable[[Path], None]


def cut(file: str, size: int) -> Harm:
    return lambda root: os.truncate(one(root, file), size)


def flip(file: str, at: int) -> Harm:
    def harm(root: Path) -> None:
        content = bytearray(one(root, file).read_bytes())
        content[at] ^= 0xFF
        one(root, file).write_bytes(content)

    return harm


def remove(file: str) -> Harm:
    return lambda root: one(root, file).unlink()


def one(root: Path, file: str) -> Path:
    [found] = root.glob(file)
    return found


def harms(root: Path) -> Iterator[tuple[str, Harm]]:
    """Each harm that a file other than the log may suffer, with its name."""
    for file in ("checkpoint", "consumequeue/T/0/*", "consumequeue/T/1/*", "index/*"):
        yield f"{file} removed", remove(file)
        size = CHECKPOINT_BYTES if file == "checkpoint" else one(root, file).stat().st_size
        for left in range(size):
            yield f"{file} cut to {left} bytes", cut(file, left)
    for at in range(CHECKPOINT_BYTES):
        yield f"checkpoint changed at {at}", flip("checkpoint", at)
    yield "abort removed", remove("abort")
    yield "lock removed", remove("lock")


def suffer(tmp_path: Path, step: int) -> int:
    """How many harms were tried: every `step`-th of them."""
    filled(tmp_path, MESSAGES)
    chosen = list(harms(tmp_path / "killed"))[::step]
    for name, harm in chosen:
        root = tmp_path / "harmed"
        shutil.copytree(tmp_path / "killed", root)
        harm(root)
        try:
            check(root, list(range(MESSAGES)))
            assert_store_verifies(root)
        except BaseException as error:
            error.add_note(name)
            raise
        shutil.rmtree(root)
    return len(chosen)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_cut_of_a_queue_an_index_or_a_checkpoint_costs_a_message(tmp_path: Path) -> None:
    assert suffer(tmp_path, 1) > 1800


def test_one_cut_in_sixty_of_a_queue_an_index_or_a_checkpoint_costs_no_message(tmp_path: Path) -> None:
    assert suffer(tmp_path, ONE_IN) > 25
