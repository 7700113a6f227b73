"""Java's JSON dialect: keys that are no strings, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire import fastjson
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.stats import TopicOffset
from rocket_wire.fastjson import MAX_DEPTH, DialectError

JSON = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def as_items(members: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(members.items()))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{0:"a",1:"b"}', {"0": "a", "1": "b"}),
        ("{-1:2}", {"-1": 2}),
        ('{"0":"a"}', {"0": "a"}),
        ('{"a,1:b":{2:[1,2]}}', {"a,1:b": {"2": [1, 2]}}),
        (' {\n\t0 : [ ] ,"x":{ } } \r\n', {"0": [], "x": {}}),
        ('{"a":null,"b":1}', {"b": 1}),
        ("[null,true,false]", [None, True, False]),
        (r'"\u0001\"\\\/\n\u4e2d"', '\x01"\\/\n中'),
        ('"中"', "中"),
        ('{"a":1,"a":2}', {"a": 2}),
        ("-1.5e3", -1500.0),
        ("9223372036854775808", 2**63),
        ("7", 7),
    ],
)
def test_the_dialect_is_read(text: str, value: object) -> None:
    assert fastjson.parse(text.encode()) == value


def test_an_object_that_is_a_key_is_made_one_by_the_caller() -> None:
    text = b'{{"queueId":0,"topic":"T"}:{1:5},{"queueId":1,"topic":"T"}:{}}'
    assert fastjson.parse(text, as_items) == {
        (("queueId", 0), ("topic", "T")): {"1": 5},
        (("queueId", 1), ("topic", "T")): {},
    }


def test_an_object_that_is_a_key_is_refused_where_none_is_expected() -> None:
    with pytest.raises(DialectError, match=r"expected a key, got '{' at character 1"):
        fastjson.parse(b'{{"topic":"T"}:1}')


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"{",
        b"[1",
        b'"abc',
        b'{"a"}',
        b'{"a":}',
        b'{"a":1,}',
        b"[1,]",
        b"[,1]",
        b"{,}",
        b"{} {}",
        b"nul",
        b"{a:1}",
        b"{'a':1}",
        b"{true:1}",
        b"{[1]:1}",
        b"[1 2]",
        b'"\\x41"',
        b'"\\ud800"',
        b'"a\xff"',
        b"\xff",
        b"1" * 5000,
        b"+1",
        b".5",
        b"NaN",
        b"//\n1",
        b"{1:2}}",
    ],
)
def test_what_is_neither_json_nor_the_dialect_is_refused(text: bytes) -> None:
    with pytest.raises(DialectError):
        fastjson.parse(text, as_items)


@pytest.mark.parametrize("opening", ["[", '{"a":', "{0:", "{{"])
def test_nesting_has_a_limit(opening: str) -> None:
    with pytest.raises(DialectError, match=f"nested deeper than {MAX_DEPTH} levels|expected a key"):
        fastjson.parse(opening.encode() * 100_000, as_items)


def test_nesting_up_to_the_limit_is_read() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert json.dumps(fastjson.parse(text.encode())) == text


@given(JSON)
def test_standard_json_is_read_as_it_is(value: object) -> None:
    assert fastjson.parse(json.dumps(value).encode()) == value


@given(JSON)
def test_what_is_written_is_standard_json_while_keys_are_text(value: object) -> None:
    assert json.loads(fastjson.encode(value)) == value


@given(st.dictionaries(st.text(), st.dictionaries(st.integers(), st.integers())))
def test_a_table_by_number_survives(table: dict[str, dict[int, int]]) -> None:
    read = fastjson.parse(fastjson.encode(table))
    assert {key: {int(number): value for number, value in inner.items()} for key, inner in read.items()} == table


FRAGMENTS = st.sampled_from(
    [*'{}[]:,"\\ \n-019.eE', '"a"', "true", "null", "{{", '{0:"', "\\u", "\\ud800", "\x00", "é"]
)


@given(st.lists(FRAGMENTS).map("".join).map(str.encode) | st.binary())
def test_any_bytes_are_a_value_or_a_dialect_error(content: bytes) -> None:
    with suppress(DialectError):
        fastjson.parse(content, as_items)


def test_the_dialect_is_written() -> None:
    table = {MessageQueue("T", "b", 0): TopicOffset(1, 2, 3), MessageQueue("T", "b", 1): TopicOffset()}
    assert fastjson.encode({"t": table, "n": {1: True, 2: None}, "f": [0.5, float("nan")]}) == (
        b'{"t":{{"brokerName":"b","queueId":0,"topic":"T"}:{"lastUpdateTimestamp":3,"maxOffset":2,"minOffset":1},'
        b'{"brokerName":"b","queueId":1,"topic":"T"}:{"lastUpdateTimestamp":0,"maxOffset":0,"minOffset":0}},'
        b'"n":{1:true,2:null},"f":[0.5,null]}'
    )


def test_sets_are_written_sorted() -> None:
    assert fastjson.encode([{"b", "a"}, frozenset({2, 1}), (3,)]) == b'[["a","b"],[1,2],[3]]'


def test_a_value_without_json_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="bytes"):
        fastjson.encode([b"x"])
