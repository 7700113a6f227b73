"""Java's String.hashCode, against values that Java itself prints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire import hashing


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("a", 97),
        ("TagA", 2598919),
        ("hello", 99162322),
        ("polygenelubricants", -2147483648),
        ("中文", 646394),
        ("\U0001f600", 1772899),
    ],
)
def test_known_codes(text: str, code: int) -> None:
    assert hashing.string_hash(text) == code
    assert hashing.tags_code(text) == code
    assert hashing.utf8_hash(text.encode()) == code


@given(st.text(max_size=700))
def test_any_text_hashes_as_javas_loop_does(text: str) -> None:
    units = text.encode("utf-16-be", "surrogatepass")
    code = 0
    for at in range(0, len(units), 2):
        code = (31 * code + units[at] * 256 + units[at + 1]) & 0xFFFFFFFF
    assert hashing.string_hash(text) == code - ((code & 0x80000000) << 1)


@given(st.binary(max_size=600), st.binary(max_size=600))
def test_a_hash_can_be_continued(first: bytes, second: bytes) -> None:
    whole = hashing.unsigned_hash(first + second)
    assert hashing.unsigned_hash(second, hashing.unsigned_hash(first)) == whole


def test_malformed_utf8_counts_as_javas_replacement() -> None:
    assert hashing.utf8_hash(b"\xff") == 0xFFFD
