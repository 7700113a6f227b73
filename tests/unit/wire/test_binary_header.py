"""The ROCKETMQ binary header: the bytes that Java writes, and every length in it that can lie."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire import binary
from rocket_wire.command import Command, answer
from rocket_wire.errors import ProtocolError

#: code 17, language GO, version 479, opaque 258, flag 1, remark "no", extFields {"a": "bc"}
WRITTEN_OUT = bytes.fromhex("0011 09 01df 00000102 00000001 00000002 6e6f 00000009 0001 61 00000002 6263")


def fields(command: Command) -> tuple[object, ...]:
    return command.code, command.language, command.version, command.opaque, command.flag, command.remark, command.ext


def ext(pairs: bytes, length: int | None = None) -> bytes:
    """A header without remark whose extFields are these bytes."""
    return pack(">hBhiiii", 10, 0, 0, 0, 0, 0, len(pairs) if length is None else length) + pairs


def test_the_bytes_are_those_of_the_protocol() -> None:
    command = Command(17, "GO", 479, 258, 1, "no", ext={"a": "bc"})
    assert binary.encode(command) == WRITTEN_OUT
    assert fields(binary.decode(WRITTEN_OUT)) == (17, 9, 479, 258, 1, "no", {"a": "bc"})


def test_a_header_cut_at_any_byte_is_refused() -> None:
    for cut in range(len(WRITTEN_OUT)):
        with pytest.raises(ProtocolError):
            binary.decode(WRITTEN_OUT[:cut])


def test_bytes_after_the_fields_are_ignored_as_java_does() -> None:
    assert fields(binary.decode(WRITTEN_OUT + b"more")) == fields(binary.decode(WRITTEN_OUT))


def test_the_smallest_header_has_no_remark_and_no_fields() -> None:
    assert fields(binary.decode(ext(b""))) == (10, 0, 0, 0, 0, None, {})


def test_an_empty_value_is_absent_as_in_java() -> None:
    assert binary.decode(ext(pack(">H1sI", 1, b"a", 0) + pack(">H1sI1s", 1, b"b", 1, b"x"))).ext == {"b": "x"}


def test_an_empty_key_is_a_key() -> None:
    assert binary.decode(ext(pack(">HI1s", 0, 1, b"x"))).ext == {"": "x"}


def test_of_a_repeated_key_the_last_value_counts() -> None:
    pair = pack(">H1sI1s", 1, b"a", 1, b"%c")
    assert binary.decode(ext(pair.replace(b"%", b"1") + pair.replace(b"%", b"2"))).ext == {"a": "2"}


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(pack(">hBhiiii", 10, 0, 0, 0, 0, -1, 0), id="remark of -1 bytes"),
        pytest.param(pack(">hBhiiii", 10, 0, 0, 0, 0, 2**31 - 1, 0), id="remark longer than the header"),
        pytest.param(pack(">hBhiii", 10, 0, 0, 0, 0, 2) + b"\xff\xfe" + pack(">i", 0), id="remark that is not UTF-8"),
        pytest.param(ext(b"", length=-1), id="extFields of -1 bytes"),
        pytest.param(ext(b"", length=1), id="extFields longer than the header"),
        pytest.param(ext(b"\0"), id="half a key length"),
        pytest.param(ext(b"\0\1"), id="a key length without key"),
        pytest.param(ext(b"\0\1a"), id="a key without value length"),
        pytest.param(ext(b"\0\1a\0\0\0"), id="three quarters of a value length"),
        pytest.param(ext(pack(">H1si", 1, b"a", -1)), id="value of -1 bytes"),
        pytest.param(ext(pack(">H1si", 1, b"a", -(2**31))), id="value of most negative length"),
        pytest.param(ext(pack(">H1si1s", 1, b"a", 2, b"x")), id="value past the end"),
        pytest.param(ext(pack(">H1si1s", 0xFFFF, b"a", 1, b"x")), id="key past the end"),
        pytest.param(ext(pack(">H1si1s", 1, b"\xff", 1, b"x")), id="key that is not UTF-8"),
        pytest.param(ext(pack(">H1si1s", 1, b"a", 1, b"\xff")), id="value that is not UTF-8"),
        pytest.param(ext(pack(">H1si3s", 1, b"a", 3, b"\xed\xa0\x80")), id="value with a lone surrogate"),
    ],
)
def test_a_header_whose_lengths_or_text_lie_is_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        binary.decode(header)


def test_a_value_may_not_reach_into_the_bytes_after_the_fields() -> None:
    pairs = pack(">H1si", 1, b"a", 4)
    with pytest.raises(ProtocolError, match="past the end"):
        binary.decode(ext(pairs, length=len(pairs)) + b"body")


@pytest.mark.parametrize(("code", "written"), [(200050, 3442), (32768, -32768), (-1000, -1000), (65535, -1)])
def test_a_code_beyond_16_bits_is_cut_as_java_does(code: int, written: int) -> None:
    assert binary.decode(binary.encode(answer(1, code))).code == written


@pytest.mark.parametrize(
    ("language", "number"), [("JAVA", 0), ("PYTHON", 3), ("NODE_JS", 13), ("COBOL", 7), (9, 9), (200, 7), (-1, 7)]
)
def test_a_language_without_number_is_other(language: str | int, number: int) -> None:
    assert binary.encode(Command(10, language))[2] == number


@given(st.dictionaries(st.text(max_size=5), st.text(min_size=1, max_size=20), max_size=4), st.text(max_size=20))
def test_any_text_survives_a_round_trip(pairs: dict[str, str], remark: str) -> None:
    decoded = binary.decode(binary.encode(answer(1, 0, remark, ext=pairs)))
    assert decoded.ext == pairs
    assert decoded.remark == (remark or None)


@given(st.binary(max_size=80))
def test_any_bytes_give_a_command_or_a_protocol_error(header: bytes) -> None:
    for candidate in (header, ext(header)):
        try:
            command = binary.decode(candidate)
        except ProtocolError:
            continue
        assert fields(binary.decode(binary.encode(command)))[3:] == fields(command)[3:]
