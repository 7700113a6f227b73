"""Hash codes of many texts at once are those of each by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rocket_wire.hashing import MANY, MANY_BYTES, unsigned_hash, unsigned_hashes

TEXT = st.text(st.characters(max_codepoint=127), max_size=MANY_BYTES).map(str.encode)


@given(st.lists(TEXT, max_size=MANY))
def test_many_hashes_are_those_of_each_text(texts: list[bytes]) -> None:
    assert unsigned_hashes(texts) == [unsigned_hash(text) for text in texts]


def test_the_largest_sums_do_not_spill_into_neighbours() -> None:
    texts = [b"\x7f" * MANY_BYTES] * MANY
    assert unsigned_hashes(texts) == [unsigned_hash(text) for text in texts]
