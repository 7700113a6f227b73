"""Tag expressions."""

from __future__ import annotations

import pytest

from rocket_client.errors import InvalidMessage
from rocket_client.subscription import fits, subscription


@pytest.mark.parametrize("expression", ["*", "", " * "])
def test_a_star_or_nothing_wants_all(expression: str) -> None:
    wanted = subscription("T", expression, 7)
    assert (wanted.sub_string, wanted.tags_set, wanted.code_set, wanted.sub_version) == (
        "*",
        frozenset(),
        frozenset(),
        7,
    )
    assert fits(wanted, None)
    assert fits(wanted, "anything")


def test_tags_are_split_and_hashed_as_java_hashes_strings() -> None:
    wanted = subscription("T", " TagA||TagB ", 1)
    assert wanted.tags_set == {"TagA", "TagB"}
    assert wanted.code_set == {2598919, 2598920}


def test_tags_of_one_hash_are_told_apart_here() -> None:
    """`Aa` and `BB` have the same Java hash, so a broker delivers both."""
    wanted = subscription("T", "Aa", 1)
    assert wanted.code_set == subscription("T", "BB", 1).code_set
    assert fits(wanted, "Aa")
    assert not fits(wanted, "BB")
    assert not fits(wanted, None)


def test_an_expression_without_a_tag_is_refused() -> None:
    with pytest.raises(InvalidMessage, match="names no tag"):
        subscription("T", " || ", 1)
