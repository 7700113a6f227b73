"""The first part of a file, changed in memory: what was changed is written, and not before it is asked for."""

from __future__ import annotations

import os
from pathlib import Path
from struct import Struct

import pytest

from rocket_broker.store.files import File
from rocket_broker.store.pages import Pages

INT = Struct(">i")
SIZE = 3 * 4096 + 100


@pytest.fixture
def file(tmp_path: Path) -> File:
    (tmp_path / "file").write_bytes(b"".join(INT.pack(at) for at in range(0, SIZE + 400, 4)))
    return File(tmp_path / "file", os.O_RDWR)


def content(file: File) -> bytes:
    return Path(file.path).read_bytes()


def test_what_is_changed_is_read_at_once_and_written_when_asked_for(file: File) -> None:
    pages, before = Pages(file, SIZE), content(file)
    pages.keep(INT, 8192)
    pages.change(INT, 8192, 7)
    assert (pages.get(INT, 8192), pages.get(INT, 8196)) == ((7,), (8196,))
    assert content(file) == before
    assert pages.take_changed() == {2}
    pages.write({2})
    assert content(file) == before[:8192] + INT.pack(7) + before[8196:]


def test_pages_side_by_side_leave_in_one_call_and_unread_ones_between_them_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 200 * 4096
    (tmp_path / "large").write_bytes(bytes(size))
    file = File(tmp_path / "large", os.O_RDWR)
    pages = Pages(file, size)
    for number in (*range(70), 75, 80, 82):
        pages.keep(INT, number * 4096)
    pages.keep(INT, 81 * 4096)
    for number in (0, *range(2, 70), 75, 80, 82):
        pages.change(INT, number * 4096, number + 1)
    written: list[tuple[int, int]] = []
    write = File.write
    monkeypatch.setattr(
        File, "write", lambda self, at, data: (written.append((at // 4096, len(data) // 4096)), write(self, at, data))
    )
    pages.write(pages.take_changed())
    assert written == [(2, 64), (66, 4), (75, 1), (80, 3), (0, 1)]
    found = content(file)
    assert [INT.unpack_from(found, number * 4096)[0] for number in (0, 1, 2, 69, 74, 75, 80, 81, 82)] == [
        1, 0, 3, 70, 0, 76, 81, 0, 83,
    ]  # fmt: skip


def test_what_lies_behind_the_pages_is_never_written(file: File) -> None:
    pages = Pages(file, SIZE)
    pages.keep(INT, SIZE - 4)
    pages.change(INT, SIZE - 4, 7)
    file.write(SIZE, b"entry")
    pages.write(pages.take_changed())
    assert content(file)[SIZE - 4 : SIZE + 5] == INT.pack(7) + b"entry"


def test_a_page_that_is_changed_after_it_was_taken_is_taken_again(file: File) -> None:
    pages = Pages(file, SIZE)
    pages.keep(INT, 0)
    pages.change(INT, 0, 1)
    taken = pages.take_changed()
    pages.change(INT, 0, 2)
    pages.write(taken)
    assert pages.take_changed() == {0}


def test_changed_pages_are_not_forgotten(file: File) -> None:
    pages = Pages(file, SIZE)
    pages.keep(INT, 0)
    pages.change(INT, 0, 1)
    pages.keep(INT, 4096)
    pages.forget()
    assert pages.get(INT, 0) == (1,)
    assert list(pages._pages) == [0]


def test_a_file_that_is_too_short_reads_as_zeros(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"")
    pages = Pages(File(tmp_path / "short", os.O_RDWR), SIZE)
    assert pages.get(INT, 4096) == (0,)
    assert pages.keep(INT, 4096) == (0,)
