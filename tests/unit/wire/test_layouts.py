"""A header's pairs are what stands in it, whatever headers came before on the connection."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire.errors import ProtocolError
from rocket_wire.layouts import MAX_ALIKE, MAX_LAYOUT_BYTES, MAX_LAYOUTS, Layout, PairsReader

PAIRS = st.lists(st.tuples(st.sampled_from(["a", "b", "ab"]), st.text(max_size=3)), max_size=4)


def written(pairs: list[tuple[str, str]]) -> bytes:
    encoded = [(key.encode(), value.encode()) for key, value in pairs]
    return b"".join(pack(">H", len(key)) + key + pack(">i", len(value)) + value for key, value in encoded)


@given(st.lists(PAIRS, max_size=12))
def test_headers_of_the_same_size_are_not_mistaken_for_one_another(headers: list[list[tuple[str, str]]]) -> None:
    reader = PairsReader()
    for pairs in headers:
        content = written(pairs)
        assert reader.read(content, 0, len(content)) == {key: value for key, value in pairs if value}


@given(st.binary(max_size=40), st.lists(st.binary(max_size=40), max_size=4))
def test_any_bytes_give_pairs_or_one_error_with_or_without_a_remembered_layout(
    content: bytes, before: list[bytes]
) -> None:
    reader = PairsReader()
    for earlier in before:
        try_to_read(reader, earlier)
    assert try_to_read(reader, content) == try_to_read(PairsReader(), content)


def test_a_length_that_lies_within_a_known_size_is_refused() -> None:
    reader = PairsReader()
    good = written([("a", "1234")])
    assert reader.read(good, 0, len(good)) == {"a": "1234"}
    bad = good.replace(pack(">i", 4), pack(">i", 5))
    with pytest.raises(ProtocolError):
        reader.read(bad, 0, len(bad))


def test_a_peer_with_ever_new_layouts_does_not_grow_our_memory() -> None:
    reader = PairsReader()
    for size in range(1, 4 * MAX_LAYOUTS):
        content = written([("a", "x" * size)])
        assert reader.read(content, 0, len(content)) == {"a": "x" * size}
    assert len(learned(reader)) <= MAX_LAYOUTS


def test_a_huge_header_is_not_kept() -> None:
    reader = PairsReader()
    content = written([("a", "x" * MAX_LAYOUT_BYTES)])
    assert reader.read(content, 0, len(content)) == {"a": "x" * MAX_LAYOUT_BYTES}
    assert not reader._layouts


def test_values_that_vary_are_read_from_the_third_header_on_by_one_layout() -> None:
    reader = PairsReader()
    for number in range(10, 99):
        content = written([("topic", "orders"), ("queue", str(number)), ("default", "TBW102"), ("last", str(-number))])
        expected = {"topic": "orders", "queue": str(number), "default": "TBW102", "last": str(-number)}
        assert reader.read(content, 0, len(content)) == expected
        if number == 11:
            before = learned(reader)
    assert learned(reader) == before


def test_headers_of_one_size_that_are_laid_out_differently_do_not_drive_each_other_out() -> None:
    """Long topic and short queue id, or the other way round."""
    reader = PairsReader()
    for number in range(20):
        for topic, queue in (("orders", "10"), ("ordersX", "1"), ("order", "100")):
            pairs = [("topic", topic), ("queue", queue), ("number", f"{number:02}")]
            content = written(pairs)
            assert reader.read(content, 0, len(content)) == dict(pairs)
            if number == 1 and topic == "order":
                before = learned(reader)
    assert learned(reader) == before
    assert len(before) == 3


def test_more_ways_to_lay_out_one_size_than_are_kept_are_read_all_the_same() -> None:
    reader = PairsReader()
    for length in [*range(1, 30), *range(1, 30)]:
        pairs = [("a", "x" * length), ("b", "y" * (30 - length))]
        content = written(pairs)
        assert reader.read(content, 0, len(content)) == dict(pairs)
    assert len(learned(reader)) == MAX_ALIKE


def learned(reader: PairsReader) -> list[Layout]:
    return [layout for alike in reader._layouts.values() for layout in alike]


def try_to_read(reader: PairsReader, content: bytes) -> dict[str, str] | None:
    try:
        return reader.read(content, 0, len(content))
    except (ProtocolError, UnicodeDecodeError):
        return None
