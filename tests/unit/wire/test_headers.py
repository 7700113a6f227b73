"""Typed headers: the text forms of values, what is refused, and that no request code was forgotten."""

from __future__ import annotations

import importlib
import json
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers.clients import HeartBeatAnswer, NotifyConsumerIdsChanged, UnregisterClient
from rocket_wire.headers.header import Header, decode_ext, encode_ext
from rocket_wire.headers.numbers import Int, Long
from rocket_wire.headers.offsets import GetMaxOffset, QueryConsumerOffset, UpdateConsumerOffset
from rocket_wire.headers.pull import PullMessage, PullMessageAnswer
from rocket_wire.headers.routes import GetRouteinfoByTopic, RegisterBroker
from rocket_wire.headers.send import SendMessage, SendMessageAnswer, SendMessageV2

H = TypeVar("H", bound=Header)

FAMILIES = [
    importlib.import_module(f"rocket_wire.headers.{name}")
    for name in ("send", "pull", "offsets", "clients", "routes", "topics")
]
HEADERS = {
    name: value
    for family in FAMILIES
    for name, value in vars(family).items()
    if isinstance(value, type) and issubclass(value, Header) and value is not Header
}

#: Requests whose header is another's.
SHARED = {
    RequestCode.SEND_BATCH_MESSAGE: SendMessageV2,
    RequestCode.SEND_REPLY_MESSAGE: SendMessage,
    RequestCode.SEND_REPLY_MESSAGE_V2: SendMessageV2,
    RequestCode.LITE_PULL_MESSAGE: PullMessage,
}
#: Requests without header fields.
BARE = {
    RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE,
    RequestCode.CLEAN_UNUSED_TOPIC,
    RequestCode.DELETE_EXPIRED_COMMITLOG,
    RequestCode.UPDATE_AND_CREATE_TOPIC_LIST,
    RequestCode.UPDATE_BROKER_CONFIG,
    RequestCode.GET_BROKER_CONFIG,
    RequestCode.GET_BROKER_RUNTIME_INFO,
    RequestCode.GET_BROKER_HA_STATUS,
    RequestCode.HEART_BEAT,
    RequestCode.LOCK_BATCH_MQ,
    RequestCode.UNLOCK_BATCH_MQ,
    RequestCode.GET_ALL_CONSUMER_OFFSET,
    RequestCode.GET_ALL_DELAY_OFFSET,
    RequestCode.CHECK_CLIENT_CONFIG,
    RequestCode.GET_BROKER_CLUSTER_INFO,
    RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
    RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
    RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
    RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS,
    RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER,
    RequestCode.GET_UNIT_TOPIC_LIST,
    RequestCode.GET_HAS_UNIT_SUB_TOPIC_LIST,
    RequestCode.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
    RequestCode.UPDATE_NAMESRV_CONFIG,
    RequestCode.GET_NAMESRV_CONFIG,
    RequestCode.GET_ALL_PRODUCER_INFO,
}

SEND = SendMessage("P", "T", "TBW102", 4, -1, 0, 1732400000000, 0, "UNIQ_KEY\x01A\x02", 0, False, False)
SEND_V2 = SendMessageV2("P", "T", "TBW102", 4, -1, 0, 1732400000000, 0, "UNIQ_KEY\x01A\x02", 0, False, False)
PULL = PullMessage("G", "T", 1, 100, 32, 6, 90, 15000, 1732400000000, "*", "TAG")


def camel(code: RequestCode) -> str:
    return "".join(word.capitalize() for word in code.name.split("_"))


@pytest.mark.parametrize("code", sorted(set(RequestCode) - SHARED.keys() - BARE))
def test_a_request_has_a_header_of_its_name(code: RequestCode) -> None:
    assert camel(code) in HEADERS


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_is_named_for_a_request_or_its_answer(name: str) -> None:
    assert name.removesuffix("Answer") in {camel(code) for code in RequestCode}


def test_a_value_travels_as_text_and_an_absent_one_not_at_all() -> None:
    assert encode_ext(SEND) == {
        "producerGroup": "P",
        "topic": "T",
        "defaultTopic": "TBW102",
        "defaultTopicQueueNums": "4",
        "queueId": "-1",
        "sysFlag": "0",
        "bornTimestamp": "1732400000000",
        "flag": "0",
        "properties": "UNIQ_KEY\x01A\x02",
        "reconsumeTimes": "0",
        "unitMode": "false",
        "batch": "false",
    }


def test_the_second_spelling_of_a_send_has_the_same_fields_under_letters() -> None:
    letters = dict(zip("abcdefghijkm", encode_ext(SEND).values(), strict=True))
    assert encode_ext(SEND_V2) == letters
    assert isinstance(SEND_V2, SendMessage)
    assert set(SendMessage.__struct_fields__) < set(SendMessageV2.__struct_fields__)


def test_the_letters_are_those_of_the_protocol() -> None:
    names = dict(zip(SendMessageV2.__struct_encode_fields__, SendMessageV2.__struct_fields__, strict=True))
    assert names["l"] == "max_reconsume_times"
    assert names["m"] == "batch"
    assert names["n"] == "broker_name"
    assert "".join(sorted(names)) == "abcdefghijklmn"


@pytest.mark.parametrize("header", [SEND, SEND_V2, PULL, PullMessageAnswer(0, 1, 0, 2), HeartBeatAnswer()])
def test_a_header_is_read_from_pairs_and_from_json_alike(header: Header) -> None:
    ext = encode_ext(header)
    assert decode_ext(type(header), ext) == header
    assert Command(0, ext_json=msgspec.Raw(json.dumps(ext).encode())).header(type(header)) == header


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (UnregisterClient("c"), "clientID"),
        (PullMessage("", "", 0, 0, 0, 0, 0, 0, 0, proxy_froward_client_id="p"), "proxyFrowardClientId"),
        (SendMessageAnswer("m", 0, 0), "MSG_REGION"),
        (SendMessageAnswer("m", 0, 0), "TRACE_ON"),
        (HeartBeatAnswer(), "IS_SUPPORT_HEART_BEAT_V2"),
        (HeartBeatAnswer(), "IS_SUB_CHANGE"),
    ],
)
def test_a_name_that_is_no_plain_camel_case_is_kept(header: Header, name: str) -> None:
    assert name in encode_ext(header)


def read(header_type: type[H], **changed: str) -> H:
    """`header_type` from mandatory fields that are all "1", and from `changed`."""
    ext = {field.encode_name: "1" for field in msgspec.structs.fields(header_type) if field.required}
    return decode_ext(header_type, ext | changed)


@pytest.mark.parametrize("text", ["123", "true", "null", "", "1e3", "-0", " 7 ", "a\x01b\x02", "中"])
def test_text_stays_text_whatever_it_looks_like(text: str) -> None:
    assert read(NotifyConsumerIdsChanged, consumerGroup=text).consumer_group == text
    assert read(SendMessage, properties=text).properties == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-1", -1), (str(2**63 - 1), 2**63 - 1), (str(-(2**63)), -(2**63))],
)
def test_a_long_has_sixty_four_bits_and_a_sign(text: str, value: int) -> None:
    header = decode_ext(
        UpdateConsumerOffset, {"consumerGroup": "G", "topic": "T", "queueId": "0", "commitOffset": text}
    )
    assert header.commit_offset == value


@pytest.mark.parametrize(
    "text",
    [str(2**63), str(-(2**63) - 1), "9" * 25, "9" * 5000, "", "x", "null", "true", "1.5", "0x10", " 1", "1 ", "٣"],
)
def test_what_is_no_long_is_refused_by_name(text: str) -> None:
    with pytest.raises(RequestError, match=r"UpdateConsumerOffset.*commitOffset") as caught:
        read(UpdateConsumerOffset, commitOffset=text)
    assert caught.value.code == ResponseCode.SYSTEM_ERROR


@pytest.mark.parametrize("text", [str(2**31), str(-(2**31) - 1)])
def test_what_is_no_int_is_refused_by_name(text: str) -> None:
    with pytest.raises(RequestError, match="queueId"):
        read(UpdateConsumerOffset, queueId=text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("false", False), ("TRUE", True), ("False", False), ("1", True), ("0", False), ("null", None)],
)
def test_a_boolean_is_a_word_in_any_case_or_a_bit(text: str, value: bool | None) -> None:
    header = decode_ext(GetRouteinfoByTopic, {"topic": "T", "acceptStandardJsonOnly": text})
    assert header.accept_standard_json_only is value


def test_what_is_no_boolean_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="committed"):
        read(GetMaxOffset, committed="yes")


def test_absent_fields_have_javas_initial_values() -> None:
    assert read(GetMaxOffset) == GetMaxOffset("1", 1, True)
    assert read(QueryConsumerOffset) == QueryConsumerOffset("1", "1", 1, None)
    assert read(RegisterBroker) == RegisterBroker("1", "1", "1", "1", 1, None, None, False, 0)


def test_unknown_fields_are_ignored() -> None:
    assert read(GetRouteinfoByTopic, bname="broker-a", ns="x", lo="false", topicSysFlag="junk")


@pytest.mark.parametrize("name", HEADERS)
def test_a_missing_mandatory_field_is_refused_by_name(name: str) -> None:
    header_type = HEADERS[name]
    for field in msgspec.structs.fields(header_type):
        if field.required:
            ext = {f.encode_name: "1" for f in msgspec.structs.fields(header_type) if f.required}
            del ext[field.encode_name]
            with pytest.raises(RequestError, match=rf"{name} header.*`{field.encode_name}`"):
                decode_ext(header_type, ext)


#: Values of every type that a header's field may have; a bare int, without Java's bounds, is not among them.
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    bool: st.booleans(),
    Int: st.integers(-(2**31), 2**31 - 1),
    Long: st.integers(-(2**63), 2**63 - 1),
}
VALUES |= {plain | None: st.none() | values for plain, values in VALUES.items()}


@cache
def headers(header_type: type[Header]) -> st.SearchStrategy[Header]:
    hints = get_type_hints(header_type, include_extras=True)
    return st.builds(header_type, **{name: VALUES[kind] for name, kind in hints.items()})


@given(st.sampled_from(sorted(HEADERS)).flatmap(lambda name: headers(HEADERS[name])))
def test_any_header_survives_its_encoding(header: Header) -> None:
    assert decode_ext(type(header), encode_ext(header)) == header


@given(st.sampled_from(sorted(HEADERS)), st.data())
def test_any_pairs_are_a_header_or_a_request_error(name: str, data: st.DataObject) -> None:
    header_type = HEADERS[name]
    texts = st.text() | st.integers().map(str) | st.sampled_from(["true", "null", ""])
    ext = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(header_type.__struct_encode_fields__, texts)))
    with suppress(RequestError):
        decode_ext(header_type, ext)
