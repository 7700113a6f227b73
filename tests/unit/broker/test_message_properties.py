"""Small decisions by a message's properties and a pull's expression."""

from __future__ import annotations

import pytest

from rocket_broker.processors.hosts import host_bytes
from rocket_broker.processors.pull import parse_tags
from rocket_broker.processors.send import does_not_wait
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError

TAG_A, TAG_B = 2598919, 2598920


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("WAIT\x01true\x02", False),
        ("WAIT\x01false\x02", True),
        ("WAIT\x01false", True),
        ("KEYS\x01k\x02WAIT\x01false\x02TAGS\x01a\x02", True),
        ("NOWAIT\x01false\x02", False),
        ("KEYS\x01k\x02MUST_WAIT\x01false\x02", False),
        ("KEYS\x01WAIT\x02WAIT\x01true\x02", False),
    ],
)
def test_only_the_property_wait_lets_a_send_go_unwaited(text: str, expected: bool) -> None:
    assert does_not_wait(text) is expected


@pytest.mark.parametrize(
    ("expression", "tags"),
    [
        ("*", None),
        ("", None),
        (" * ", None),
        ("TagA", {TAG_A}),
        ("TagA||TagB", {TAG_A, TAG_B}),
        (" TagA || TagB ", {TAG_A, TAG_B}),
        ("TagA || || TagB||", {TAG_A, TAG_B}),
        ("||TagA", {TAG_A}),
    ],
)
def test_a_tag_expression_is_a_set_of_javas_hash_codes(expression: str, tags: set[int] | None) -> None:
    assert parse_tags(expression) == tags


@pytest.mark.parametrize("expression", ["||", " || || "])
def test_an_expression_of_no_tag_at_all_cannot_be_parsed(expression: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_tags(expression)
    assert caught.value.code == ResponseCode.SUBSCRIPTION_PARSE_FAILED


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1:10911", "0a000001 00002a9f"),
        ("[::1]:80", "00000000000000000000000000000001 00000050"),
        ("[fe80::1%eth0]:80", "fe800000000000000000000000000001 00000050"),
    ],
)
def test_an_address_is_stored_as_numbers(address: str, expected: str) -> None:
    assert host_bytes(address) == bytes.fromhex(expected)
