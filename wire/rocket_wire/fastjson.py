"""The JSON that RocketMQ's Java side writes, where it is not JSON (protocol section 2.6).

Java's library prints a map's keys as it prints values, so keys need not be strings:

    {0:"10.0.0.1:10911"}                                    a map by number
    {{"brokerName":"a","queueId":0,"topic":"T"}:{"max":7}}  a map by message queue

`parse` reads both, and all of standard JSON; `encode` writes both. Everything else of the library's leniency (comments,
single quotes, stray commas, references) is written by nobody and refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from math import isfinite
from typing import Any, Final

import msgspec

MAX_DEPTH: Final = 64
"""Levels of nesting. The deepest body has eight; the limit keeps a hostile one from exhausting Python's stack."""

_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*+(?:
        (?P<mark> [{}\[\]:,] )
      | (?P<string> " (?: [^"\\]++ | \\. )*+ " )
      | (?P<number> -? \d+ (?: \.\d+ )? (?: [eE][+-]?\d+ )? )
      | (?P<word> true | false | null )
      | (?P<end> \Z )
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS: Final = {"true": True, "false": False, "null": None}


class DialectError(ValueError):
    """The bytes are neither JSON nor Java's variant of it. The text says where, in characters."""


def parse(content: bytes, object_key: Callable[[dict[str, Any]], Hashable] | None = None) -> Any:
    """The value that `content` stands for, of dict, list, str, int, float, bool and None.

    A map's keys are strings, numbers included; `object_key` makes a key of what was an object, and without it such a
    key is an error. A member that is null is left out, for an absent one means the same in every body.
    Raises DialectError, and nothing else unless `object_key` does.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise DialectError(f"not UTF-8: {error.reason} at byte {error.start}") from None
    parser = _Parser(text, object_key)
    value = parser.value(parser.token(), 0)
    parser.expect("")
    return value


class _Parser:
    """Recursive descent over the tokens of one text. `kind` and `start` belong to the token last taken."""

    def __init__(self, text: str, object_key: Callable[[dict[str, Any]], Hashable] | None) -> None:
        self.text = text
        self.object_key = object_key
        self.position = 0
        self.start = 0
        self.kind = ""

    def token(self) -> str:
        match = _TOKEN.match(self.text, self.position)
        if match is None or match.lastgroup is None:
            raise DialectError(f"no JSON at character {self.position}")
        self.kind = match.lastgroup
        self.start, self.position = match.span(self.kind)
        return match[self.kind]

    def expect(self, mark: str) -> None:
        token = self.token()
        if token != mark:
            raise self.error(f"expected {mark or 'the end'!r}, got {token[:20]!r}")

    def error(self, reason: str) -> DialectError:
        return DialectError(f"{reason} at character {self.start}")

    def value(self, token: str, depth: int) -> Any:
        if self.kind == "string":
            return self.string(token)
        if self.kind == "number":
            return self.number(token)
        if self.kind == "word":
            return _WORDS[token]
        if depth == MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH} levels")
        if token == "{":
            return self.members(depth + 1)
        if token == "[":
            return self.elements(depth + 1)
        raise self.error(f"expected a value, got {token or 'the end'!r}")

    def members(self, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        token = self.token()
        if token == "}":
            return found
        while True:
            key = self.key(token, depth)
            self.expect(":")
            value = self.value(self.token(), depth)
            if value is not None:
                found[key] = value
            token = self.token()
            if token == "}":
                return found
            if token != ",":
                raise self.error(f"expected ',' or '}}', got {token[:20]!r}")
            token = self.token()

    def elements(self, depth: int) -> list[Any]:
        found: list[Any] = []
        token = self.token()
        if token == "]":
            return found
        while True:
            found.append(self.value(token, depth))
            token = self.token()
            if token == "]":
                return found
            if token != ",":
                raise self.error(f"expected ',' or ']', got {token[:20]!r}")
            token = self.token()

    def key(self, token: str, depth: int) -> Hashable:
        if self.kind == "string":
            return self.string(token)
        if self.kind == "number":
            return token
        if token == "{" and self.object_key is not None and depth < MAX_DEPTH:
            return self.object_key(self.members(depth + 1))
        raise self.error(f"expected a key, got {token[:20] or 'the end'!r}")

    def string(self, token: str) -> str:
        if "\\" not in token:
            return token[1:-1]
        try:
            return msgspec.json.decode(token, type=str)
        except msgspec.DecodeError as error:
            raise self.error(f"bad string ({error})") from None

    def number(self, token: str) -> int | float:
        try:
            return float(token) if "." in token or "e" in token or "E" in token else int(token)
        except ValueError:
            raise self.error("a number of too many digits") from None


def encode(value: Any) -> bytes:
    """Compact text of dicts, lists, sets, strings, numbers, booleans, None and msgspec Structs.

    Numbers and Structs that are keys stand bare. A Struct's members are sorted by name, absent ones (None) left out;
    sets are sorted, a dict keeps its order.
    """
    return _text(value).encode()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if value is None or isinstance(value, float):
        return "null" if value is None or not isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join([f"{_text(key)}:{_text(member)}" for key, member in value.items()]) + "}"
    if isinstance(value, msgspec.Struct):
        return "{" + ",".join(_members(value)) + "}"
    if isinstance(value, set | frozenset):
        value = sorted(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join([_text(element) for element in value]) + "]"
    raise TypeError(f"no JSON for a {type(value).__name__}")


def _members(struct: msgspec.Struct) -> list[str]:
    members = []
    for prefix, attribute in _layout(type(struct)):
        value = getattr(struct, attribute)
        if value is not None:
            members.append(prefix + _text(value))
    return members


@cache
def _layout(struct_type: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    names = zip(struct_type.__struct_encode_fields__, struct_type.__struct_fields__, strict=True)
    return tuple((f'"{name}":', attribute) for name, attribute in sorted(names))
