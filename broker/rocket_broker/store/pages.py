"""The first part of a file, changed in memory and written page by page.

What a map would be, but for two things: a disk that fails is an OSError, not a signal that ends the process, and
nothing is written before it is asked for. A page that is to be changed is read before, and kept until `forget`.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any, Final

from rocket_broker.store.files import File

_PAGE_BYTES: Final = 4096
_RUN_PAGES: Final = 64


class Pages:
    """The first `size` bytes of `file`. No value may lie across two pages. Raises OSError."""

    def __init__(self, file: File, size: int) -> None:
        self._file = file
        self._size = size
        self._pages: dict[int, bytearray] = {}
        self._changed: set[int] = set()

    def get(self, struct: Struct, at: int) -> tuple[Any, ...]:
        """The values at byte `at`."""
        number, within = divmod(at, _PAGE_BYTES)
        page = self._pages.get(number)
        if page is None:
            return struct.unpack(bytes(self._file.read(at, struct.size) or b"").ljust(struct.size, b"\0"))
        return struct.unpack_from(page, within)

    def keep(self, struct: Struct, at: int) -> tuple[Any, ...]:
        """The same, and keeps their page in memory: then they can be changed whatever the disk does."""
        number, within = divmod(at, _PAGE_BYTES)
        page = self._pages.get(number)
        if page is None:
            start = number * _PAGE_BYTES
            size = min(_PAGE_BYTES, self._size - start)
            page = self._pages[number] = (self._file.read(start, size) or bytearray()).ljust(size, b"\0")
        return struct.unpack_from(page, within)

    def change(self, struct: Struct, at: int, *values: int) -> None:
        """Changes the values at byte `at`, in memory. Their page is kept already."""
        number, within = divmod(at, _PAGE_BYTES)
        struct.pack_into(self._pages[number], within, *values)
        self._changed.add(number)

    def take_changed(self) -> set[int]:
        """The pages to `write`: changed and not taken yet. Not while another thread changes some."""
        taken, self._changed = self._changed, set()
        return taken

    def write(self, numbers: set[int]) -> None:
        """Writes these pages as they are now, the first one last. Another thread may change them meanwhile."""
        for run in self._runs(numbers - {0}):
            self._file.write(run[0] * _PAGE_BYTES, b"".join([self._pages[number] for number in run]))
        if 0 in numbers:
            self._file.write(0, bytes(self._pages[0]))

    def _runs(self, numbers: set[int]) -> Iterator[list[int]]:
        """Pages that lie one behind the other, these among them, to be written at once: a call costs more than a page.

        Each call lets go of the interpreter, and under load gets it back after milliseconds.
        """
        run: list[int] = []
        for number in sorted(numbers):
            between = range(run[-1] + 1, number) if run else range(0)
            if run and (number - run[0] >= _RUN_PAGES or any(each not in self._pages for each in between)):
                yield run
                run = []
            run += [*(between if run else ()), number]
        if run:
            yield run

    def forget(self) -> None:
        """Lets go of pages that are not changed."""
        self._pages = {number: page for number, page in self._pages.items() if number in self._changed}
