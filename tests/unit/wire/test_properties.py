"""The properties string, in both dialects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire import properties

NAMES = st.text(st.characters(exclude_characters="\x01\x02", exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = st.text(st.characters(exclude_characters="\x02", exclude_categories=["Cs"]), min_size=1, max_size=8)
PIECES = st.lists(st.sampled_from([b"TAGS", b"KEYS", b"x", b"\x01", b"\x02", b"TAG", b"S"]), max_size=24).map(b"".join)


def test_pairs_are_written_in_order_and_closed() -> None:
    assert properties.encode({"b": "1", "a": "2"}) == b"b\x011\x02a\x012\x02"
    assert properties.encode({}) == b""


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (b"", {}),
        (b"a\x01b\x02", {"a": "b"}),
        (b"a\x01b", {"a": "b"}),
        (b"a\x01b\x02c\x01d", {"a": "b", "c": "d"}),
        (b"a\x01b\x02a\x01c\x02", {"a": "c"}),
        (b"a\x01\x02\x01b\x02\x02\x01\x02ab\x02", {}),
        (b"a\x01b\x01c\x02", {"a": "b\x01c"}),
        ("名\x01值\x02".encode(), {"名": "值"}),
    ],
)
def test_both_dialects_are_read_and_what_is_no_pair_is_dropped(text: bytes, pairs: dict[str, str]) -> None:
    assert properties.decode(text) == pairs


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_any_pairs_come_back(pairs: dict[str, str]) -> None:
    assert properties.decode(properties.encode(pairs)) == pairs
    assert properties.decode(properties.encode(pairs)[:-1]) == pairs


@pytest.mark.parametrize("pairs", [{"a\x01": "b"}, {"a\x02": "b"}, {"a": "b\x02"}])
def test_separators_inside_names_and_values_are_refused(pairs: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="separates properties"):
        properties.encode(pairs)


@given(PIECES | st.binary(max_size=30))
def test_finding_one_agrees_with_decoding_all(text: bytes) -> None:
    for name in ("TAGS", "KEYS", "TAG", "S"):
        found = properties.find(text, name.encode())
        decoded = properties.decode(text).get(name)
        assert (None if found is None else found.decode("utf-8", "replace")) == decoded


def test_thousands_of_empty_values_of_a_name_are_passed_over() -> None:
    assert properties.find(b"KEYS\x01k\x02" + b"KEYS\x01\x02" * 6000, b"KEYS") == b"k"
    assert properties.find(b"KEYS\x01\x02" * 6000, b"KEYS") is None
