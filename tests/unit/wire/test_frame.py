"""Frames: every way to cut them, and to get them wrong. Any bytes give commands, "not yet", or ProtocolError."""

from __future__ import annotations

import contextlib
import itertools
import json
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire import frame
from rocket_wire.binary import language_name
from rocket_wire.command import Command, answer, request
from rocket_wire.errors import ProtocolError, RequestError
from rocket_wire.frame import FrameBuffer, SerializeType
from rocket_wire.headers.header import Header

INT32 = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)  # a lone surrogate has no UTF-8
SERIALIZE = st.sampled_from(SerializeType)


class Numbers(Header, frozen=True):
    """A header with a mandatory and an optional number."""

    queue_id: int
    position: int = 0


def framed(header: bytes, body: bytes = b"", serialize: int = 0) -> bytes:
    """A frame whose prefix is right whatever the header's bytes are."""
    return pack(">II", 4 + len(header) + len(body), serialize << 24 | len(header)) + header + body


def decode(data: bytes, limit: int = frame.MAX_FRAME_BYTES) -> list[Command]:
    return list(FrameBuffer(limit).feed(data))


def meaning(command: Command) -> tuple[object, ...]:
    """What a command says, however its header was written."""
    return command.code, command.opaque, command.flag, command.remark, command.fields(), command.body


@st.composite
def commands(draw: st.DrawFn) -> Command:
    return Command(
        draw(st.integers(-(2**15), 2**15 - 1)),
        draw(st.sampled_from(["JAVA", "PYTHON", "GO", "OTHER"])),
        draw(st.integers(-(2**15), 2**15 - 1)),
        draw(INT32),
        draw(INT32),
        draw(st.none() | TEXT.filter(len)),
        ext=draw(st.dictionaries(TEXT, TEXT.filter(len), max_size=4)),  # an empty value is absent to Java's reader
        body=draw(st.binary(max_size=50)),
    )


@given(commands(), SERIALIZE)
def test_any_command_survives_a_round_trip(command: Command, serialize: SerializeType) -> None:
    [decoded] = decode(frame.encode(command, serialize))
    assert meaning(decoded) == meaning(command)
    assert language_name(decoded.language) == command.language
    assert decoded.version == command.version


@given(st.lists(commands(), max_size=3), SERIALIZE, st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_the_stream_may_be_cut_anywhere(sent: list[Command], serialize: SerializeType, sizes: list[int]) -> None:
    stream = b"".join(frame.encode(command, serialize) for command in sent)
    buffer = FrameBuffer()
    received: list[Command] = []
    for size in itertools.cycle(sizes):
        if not stream:
            break
        received += buffer.feed(stream[:size])
        stream = stream[size:]
    assert [meaning(command) for command in received] == [meaning(command) for command in sent]
    assert buffer.held_bytes == 0


@pytest.mark.parametrize("serialize", SerializeType)
def test_a_frame_split_at_every_byte_comes_out_once_with_its_last_byte(serialize: SerializeType) -> None:
    whole = frame.encode(answer(7, 17, "no route", ext={"a": "1"}, body=b"body"), serialize)
    for cut in range(1, len(whole)):
        buffer = FrameBuffer()
        assert list(buffer.feed(whole[:cut])) == []
        assert buffer.held_bytes == cut
        [command] = buffer.feed(whole[cut:])
        assert meaning(command) == (17, 7, 1, "no route", {"a": "1"}, b"body")


@pytest.mark.parametrize("serialize", SerializeType)
def test_a_frame_fed_byte_by_byte_comes_out_once(serialize: SerializeType) -> None:
    buffer = FrameBuffer()
    whole = frame.encode(request(11, body=b"x" * 9), serialize)
    received = [list(buffer.feed(bytes([byte]))) for byte in whole]
    assert [len(commands) for commands in received] == [0] * (len(whole) - 1) + [1]


def test_the_beginning_of_the_next_frame_waits_for_its_rest() -> None:
    one, two = frame.encode(answer(1, 0)), frame.encode(answer(2, 0))
    for cut in range(len(two)):
        buffer = FrameBuffer()
        assert [command.opaque for command in buffer.feed(one + two[:cut])] == [1]
        assert buffer.held_bytes == cut
        assert [command.opaque for command in buffer.feed(two[cut:])] == [2]


def test_no_bytes_are_no_command() -> None:
    assert decode(b"") == []


def test_the_two_header_encodings_may_alternate_on_one_stream() -> None:
    stream = frame.encode(answer(1, 0), SerializeType.ROCKETMQ) + frame.encode(answer(2, 0), SerializeType.JSON)
    assert [command.opaque for command in decode(stream)] == [1, 2]


def test_an_empty_header_is_refused_and_not_waited_for() -> None:
    with pytest.raises(ProtocolError, match="JSON header"):
        decode(pack(">II", 4, 0))


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param(pack(">II", 0, 0), id="total length zero"),
        pytest.param(pack(">II", 3, 0), id="total length below its own header field"),
        pytest.param(pack(">I", 3), id="total length alone, too small"),
        pytest.param(pack(">II", 8, 5), id="header longer than the frame"),
        pytest.param(pack(">II", 100, 0xFFFFFF), id="header of 16 MiB in a frame of 100 bytes"),
        pytest.param(pack(">II", 2**24 + 1, 10), id="frame above the limit"),
        pytest.param(pack(">I", 2**24 + 1), id="total length alone, above the limit"),
        pytest.param(pack(">I", 2**31), id="negative total length"),
        pytest.param(pack(">I", 2**32 - 1), id="largest total length"),
        pytest.param(b"GET / HTTP/1.1\r\n", id="HTTP"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01", id="TLS hello"),
    ],
)
def test_a_length_that_lies_is_refused_at_once(prefix: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(prefix)
    after_one = FrameBuffer().feed(frame.encode(answer(5, 0)) + prefix)
    assert next(after_one).opaque == 5
    with pytest.raises(ProtocolError):
        next(after_one)


def test_a_frame_of_exactly_the_limit_passes_and_one_byte_more_does_not() -> None:
    whole = frame.encode(request(310, body=b"x" * 100))
    assert len(decode(whole, limit=len(whole) - 4)) == 1
    with pytest.raises(ProtocolError, match="limit"):
        decode(whole, limit=len(whole) - 5)


def test_a_large_frame_may_come_in_many_pieces() -> None:
    whole = frame.encode(request(310, body=bytes(1 << 20)))
    buffer = FrameBuffer()
    pieces = [whole[start : start + 1447] for start in range(0, len(whole), 1447)]
    received = [command for piece in pieces for command in buffer.feed(piece)]
    assert [len(command.body) for command in received] == [1 << 20]


@pytest.mark.parametrize("serialize", [2, 3, 127, 128, 255])
def test_a_header_of_unknown_type_is_refused(serialize: int) -> None:
    with pytest.raises(ProtocolError, match="unknown type"):
        decode(framed(b'{"code":0}', serialize=serialize))


REFUSED_JSON = {
    "nothing": b"",
    "not JSON": b"hello",
    "null": b"null",
    "a list": b"[]",
    "a number": b"7",
    "no code": b"{}",
    "code as text": b'{"code":"10"}',
    "code null": b'{"code":null}',
    "code with a fraction": b'{"code":10.5}',
    "code beyond 32 bits": b'{"code":2147483648}',
    "opaque beyond 32 bits": b'{"code":10,"opaque":2147483648}',
    "opaque below 32 bits": b'{"code":10,"opaque":-2147483649}',
    "opaque beyond 64 bits": b'{"code":10,"opaque":18446744073709551616}',
    "flag beyond 32 bits": b'{"code":10,"flag":9999999999}',
    "version beyond 32 bits": b'{"code":10,"version":9999999999}',
    "opaque of 5000 digits": b'{"code":10,"opaque":' + b"9" * 5000 + b"}",
    "opaque as object": b'{"code":10,"opaque":{}}',
    "remark as number": b'{"code":10,"remark":1}',
    "cut short": b'{"code":10,"opaque":1',
    "something after": b'{"code":10}}',
    "text that is not UTF-8": b'{"code":10,"remark":"\xff\xfe"}',
    "lone high surrogate": b'{"code":10,"remark":"\\ud800"}',
    "lone low surrogate": b'{"code":10,"remark":"\\udc00 and more"}',
    "lone surrogate in a header field": b'{"code":10,"extFields":{"a":"\\ud800"}}',
    "UTF-16": '{"code":10}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"code":10}',
    "nested deeply": b'{"code":10,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "header fields nested deeply": b'{"code":10,"extFields":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "not a number": b'{"code":NaN}',
}


@pytest.mark.parametrize("header", REFUSED_JSON.values(), ids=REFUSED_JSON.keys())
def test_a_json_header_that_no_peer_writes_is_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(framed(header, b"body"))


TOLERATED_JSON = {
    "only a code": b'{"code":10}',
    "unknown keys": b'{"code":10,"new":{"a":[1]},"suspended":false}',
    "keys named as fields of ours": b'{"code":10,"ext":5,"body":5,"ext_json":5}',
    "unknown language": b'{"code":10,"language":"COBOL"}',
    "language as number": b'{"code":10,"language":9}',
    "remark null": b'{"code":10,"remark":null}',
    "header fields null": b'{"code":10,"extFields":null}',
    "header fields empty": b'{"code":10,"extFields":{}}',
    "white space": b' {\n "code" : 10 } \n',
}


@pytest.mark.parametrize("header", TOLERATED_JSON.values(), ids=TOLERATED_JSON.keys())
def test_a_json_header_that_java_would_read_is_read(header: bytes) -> None:
    [command] = decode(framed(header, b"body"))
    assert meaning(command) == (10, 0, 0, None, {}, b"body")
    assert len(decode(frame.encode(command, SerializeType.ROCKETMQ))) == 1


@pytest.mark.parametrize("language", ["JAVA", "COBOL", 9, 200, -1, 10**30])
def test_any_language_can_be_written_again(language: str | int) -> None:
    command = Command(10, language)
    for serialize in SerializeType:
        assert len(decode(frame.encode(command, serialize))) == 1


def outcome(data: bytes) -> None:
    """Reads the bytes as a connection would, and answers what came in both encodings."""
    try:
        for command in FrameBuffer().feed(data):
            for serialize in SerializeType:
                assert decode(frame.encode(command.refuse(3, "no"), serialize))[0].opaque == command.opaque
            read_fields(command)
    except ProtocolError:
        pass


def read_fields(command: Command) -> None:
    with contextlib.suppress(RequestError):
        command.header(Numbers)
    try:
        fields = command.fields()
    except ProtocolError:
        return
    with contextlib.suppress(RequestError):
        command.header(Numbers)
    assert all(isinstance(text, str) for pair in fields.items() for text in pair)
    decode(frame.encode(command))


@given(st.binary(max_size=200))
def test_any_bytes_give_commands_not_yet_or_a_protocol_error(data: bytes) -> None:
    outcome(data)


@given(st.binary(max_size=200), st.binary(max_size=20), st.integers(0, 3))
def test_a_good_prefix_around_any_bytes(header: bytes, body: bytes, serialize: int) -> None:
    outcome(framed(header, body, serialize))


@given(
    st.integers(-(2**15), 2**15 - 1), INT32, st.binary(max_size=8), st.integers(-3, 12), st.binary(max_size=60), INT32
)
def test_a_binary_header_with_any_insides(
    code: int, opaque: int, remark: bytes, lie: int, ext: bytes, ext_length: int
) -> None:
    fixed = pack(">hBhiii", code, 3, 479, opaque, 0, len(remark) + lie)
    for length in (len(ext), ext_length):
        outcome(framed(fixed + remark + pack(">i", length) + ext, b"body", SerializeType.ROCKETMQ))


JSON_SCALARS = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        7,
        2**31,
        2**63,
        2**64,
        -(10**30),
        1.5,
        1e400,
        float("nan"),
        "",
        "7",
        "true",
        "é\ud800",
        "\0",
    ]
)
JSON_VALUES = st.recursive(
    JSON_SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "queueId", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)
JSON_KEYS = st.sampled_from(["code", "language", "version", "opaque", "flag", "remark", "extFields", "body", "ext"])
EXT_KEYS = st.sampled_from(["queueId", "position", "other"])


@given(
    st.dictionaries(JSON_KEYS, JSON_VALUES) | st.fixed_dictionaries({"code": INT32}),
    st.none()
    | st.dictionaries(EXT_KEYS, JSON_VALUES | st.sampled_from(["3", "-0", "9" * 30, "9" * 5000, " 3", "0x3", "１"])),
)
def test_a_json_object_with_values_of_any_type(fields: dict[str, object], ext: dict[str, object] | None) -> None:
    if ext is not None:
        fields = {**fields, "extFields": ext}
    outcome(framed(json.dumps(fields).encode()))


@given(st.binary(max_size=12))
def test_header_fields_with_any_bytes_in_a_string(inside: bytes) -> None:
    outcome(framed(b'{"code":10,"extFields":{"queueId":"' + inside + b'"}}'))
    outcome(framed(b'{"code":10,"extFields":{"' + inside + b'":"1"}}'))
    outcome(framed(b'{"code":10,"' + inside + b'":{"a":"1"}}'))


@given(st.data(), SERIALIZE)
def test_a_good_frame_with_some_bytes_changed(data: st.DataObject, serialize: SerializeType) -> None:
    good = frame.encode(answer(3, 0, "remark", ext={"queueId": "1", "position": "2"}, body=b"x"), serialize)
    changed = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    outcome(bytes(changed))
