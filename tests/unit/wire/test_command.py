"""Commands: typed headers from either encoding, answers to them, and what a bad header costs."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire import frame
from rocket_wire.codes import CURRENT_VERSION, ResponseCode
from rocket_wire.command import ANSWER, ONEWAY, Command, answer, request
from rocket_wire.errors import ProtocolError, RequestError
from rocket_wire.frame import FrameBuffer, SerializeType
from rocket_wire.headers.header import Header


class Position(Header, frozen=True):
    """One field of each kind."""

    consumer_group: str
    queue_id: int
    is_last: bool = False
    remark_text: str | None = None


FULL = Position("group", 3, True, "why")


def received(command: Command, serialize: SerializeType = SerializeType.JSON) -> Command:
    """The command as its peer gets it."""
    [decoded] = FrameBuffer().feed(frame.encode(command, serialize))
    return decoded


def from_json(ext_fields: bytes) -> Command:
    header = b'{"code":11,"extFields":' + ext_fields + b"}"
    [decoded] = FrameBuffer().feed(pack(">II", 4 + len(header), len(header)) + header)
    return decoded


@pytest.mark.parametrize("serialize", SerializeType)
def test_a_typed_header_arrives_whole(serialize: SerializeType) -> None:
    assert received(request(11, FULL), serialize).header(Position) == FULL


@pytest.mark.parametrize("serialize", SerializeType)
def test_the_fields_on_the_wire_are_camel_case_text(serialize: SerializeType) -> None:
    wire = {"consumerGroup": "group", "queueId": "3", "isLast": "true", "remarkText": "why"}
    assert received(request(11, FULL), serialize).fields() == wire


@pytest.mark.parametrize("serialize", SerializeType)
def test_absent_optional_fields_take_their_defaults(serialize: SerializeType) -> None:
    assert received(request(11, Position("group", 0)), serialize).header(Position) == Position("group", 0)


@given(st.text(min_size=1), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none() | st.text(min_size=1))
def test_any_header_survives_a_round_trip(group: str, queue: int, last: bool, remark: str | None) -> None:
    header = Position(group, queue, last, remark)
    for serialize in SerializeType:
        assert received(request(11, header), serialize).header(Position) == header


def test_reading_the_fields_first_does_not_change_the_typed_header() -> None:
    command = from_json(b'{"consumerGroup":"g","queueId":"1","isLast":"true","remarkText":null}')
    before = command.header(Position)
    command.fields()
    assert command.header(Position) == before == Position("g", 1, True)


@pytest.mark.parametrize(
    ("ext_fields", "named"),
    [
        pytest.param(b"{}", "consumerGroup", id="nothing"),
        pytest.param(b"null", "consumerGroup", id="null"),
        pytest.param(b'{"consumerGroup":"g"}', "queueId", id="a mandatory field missing"),
        pytest.param(b'{"consumerGroup":"g","queueId":"x"}', "queueId", id="text for a number"),
        pytest.param(b'{"consumerGroup":"g","queueId":""}', "queueId", id="empty text for a number"),
        pytest.param(b'{"consumerGroup":"g","queueId":"1.5"}', "queueId", id="a fraction for a number"),
        pytest.param(b'{"consumerGroup":"g","queueId":null}', "queueId", id="null for a number"),
        pytest.param(b'{"consumerGroup":"g","queueId":"' + b"9" * 5000 + b'"}', "queueId", id="5000 digits"),
        pytest.param(b'{"consumerGroup":"g","queueId":[]}', "queueId", id="a list for a number"),
        pytest.param(b'{"consumerGroup":"g","queueId":"1","isLast":"perhaps"}', "isLast", id="text for a truth"),
        pytest.param(b'{"consumerGroup":"\xff","queueId":"1"}', "Position", id="not UTF-8"),
        pytest.param(b"[]", "Position", id="a list"),
        pytest.param(b'"text"', "Position", id="a string"),
    ],
)
def test_a_bad_header_is_answered_with_system_error_and_its_name(ext_fields: bytes, named: str) -> None:
    with pytest.raises(RequestError, match=named) as caught:
        from_json(ext_fields).header(Position)
    assert caught.value.code == ResponseCode.SYSTEM_ERROR
    assert len(caught.value.remark) < 300


def test_a_bad_header_of_a_binary_frame_is_named_as_well() -> None:
    with pytest.raises(RequestError, match="queueId"):
        received(Command(11, ext={"consumerGroup": "g", "queueId": "x"}), SerializeType.ROCKETMQ).header(Position)


def test_unknown_fields_are_ignored() -> None:
    command = from_json(b'{"consumerGroup":"g","queueId":"1","bname":"broker-a","lo":"false","new":{"a":[1]}}')
    assert command.header(Position) == Position("g", 1)


def test_values_that_are_no_strings_become_the_text_that_java_makes_of_them() -> None:
    command = from_json(b'{"a":1,"b":true,"c":null,"d":{"e":[2]},"f":"x"}')
    assert command.fields() == {"a": "1", "b": "true", "d": '{"e":[2]}', "f": "x"}


@pytest.mark.parametrize("ext_fields", [b"[]", b'"x"', b"7", b'{"a":"\xff"}', b'{"\xff":"a"}'])
def test_fields_that_are_no_object_of_strings_are_a_protocol_error(ext_fields: bytes) -> None:
    with pytest.raises(ProtocolError, match="extFields"):
        from_json(ext_fields).fields()


def test_no_fields_are_an_empty_mapping() -> None:
    assert from_json(b"null").fields() == from_json(b"{}").fields() == {}


def test_a_request_asks_and_a_oneway_request_wants_no_answer() -> None:
    assert (request(34).is_answer, request(34).is_oneway) == (False, False)
    assert (request(34, oneway=True).is_answer, request(34, oneway=True).is_oneway) == (False, True)


def test_an_answer_carries_the_opaque_of_its_request() -> None:
    asked = Command(11, opaque=77)
    for reply in (asked.reply(), asked.refuse(2, "busy")):
        assert (reply.opaque, reply.flag, reply.version) == (77, ANSWER, CURRENT_VERSION)


def test_a_reply_is_success_with_header_and_body() -> None:
    reply = Command(11, opaque=1).reply(Position("g", 1), b"records")
    assert (reply.code, reply.remark, reply.body) == (0, None, b"records")
    assert reply.header(Position) == Position("g", 1)


def test_a_refusal_becomes_an_error_with_its_code_at_the_requester() -> None:
    with pytest.raises(RequestError, match=r"no such topic \(code 17\)") as caught:
        Command(105).refuse(17, "no such topic").raise_for_code()
    assert caught.value.code == 17


def test_a_refusal_without_remark_says_so() -> None:
    with pytest.raises(RequestError, match="no remark"):
        answer(1, 1).raise_for_code()


def test_success_raises_nothing() -> None:
    answer(1, 0).raise_for_code()


def test_both_flags_may_stand_together() -> None:
    command = Command(1, flag=ANSWER | ONEWAY)
    assert command.is_answer
    assert command.is_oneway
