"""Headers and bodies of captured conversations: Apache's clients with Apache's servers, read with our types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rocket_wire.bodies.body import Body
from rocket_wire.bodies.heartbeat import ConsumerList, HeartbeatData
from rocket_wire.bodies.offsets import LockBatchRequestBody, LockBatchResponseBody, UnlockBatchRequestBody
from rocket_wire.bodies.route import TopicRouteData
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command
from rocket_wire.frame import FrameBuffer
from rocket_wire.headers import clients, offsets, pull, routes, send, topics
from rocket_wire.headers.header import Header, encode_ext

CAPTURES = sorted((Path(__file__).parents[2] / "golden" / "frames").glob("*.json"))

HEADERS: dict[str, Any] = {
    name: value for family in (send, pull, offsets, clients, routes, topics) for name, value in vars(family).items()
}
NAMES = {code: "".join(word.capitalize() for word in code.name.split("_")) for code in RequestCode}
REQUESTS: dict[RequestCode, type[Header]] = {code: HEADERS[name] for code, name in NAMES.items() if name in HEADERS} | {
    RequestCode.SEND_BATCH_MESSAGE: send.SendMessageV2,
    RequestCode.SEND_REPLY_MESSAGE: send.SendMessage,
    RequestCode.SEND_REPLY_MESSAGE_V2: send.SendMessageV2,
    RequestCode.LITE_PULL_MESSAGE: pull.PullMessage,
}
ANSWERS: dict[int, type[Header]] = {
    RequestCode.SEND_MESSAGE: send.SendMessageAnswer,
    RequestCode.SEND_MESSAGE_V2: send.SendMessageAnswer,
    RequestCode.SEND_BATCH_MESSAGE: send.SendMessageAnswer,
    RequestCode.PULL_MESSAGE: pull.PullMessageAnswer,
    RequestCode.LITE_PULL_MESSAGE: pull.PullMessageAnswer,
    RequestCode.QUERY_CONSUMER_OFFSET: offsets.QueryConsumerOffsetAnswer,
    RequestCode.HEART_BEAT: clients.HeartBeatAnswer,
}
REQUEST_BODIES: dict[int, type[Body]] = {
    RequestCode.HEART_BEAT: HeartbeatData,
    RequestCode.LOCK_BATCH_MQ: LockBatchRequestBody,
    RequestCode.UNLOCK_BATCH_MQ: UnlockBatchRequestBody,
}
ANSWER_BODIES: dict[int, type[Body]] = {
    RequestCode.GET_ROUTEINFO_BY_TOPIC: TopicRouteData,
    RequestCode.GET_CONSUMER_LIST_BY_GROUP: ConsumerList,
    RequestCode.LOCK_BATCH_MQ: LockBatchResponseBody,
}
#: Fields that any request may carry: of the protocol (section 2.4), of a streaming client, of a client that signs.
TOLERATED = {"ns", "nsd", "bname", "oway", "lo", "ReqT", "AccessKey", "Signature", "OnsChannel", "SecurityToken"}


def exchanges(capture: Path) -> Iterator[tuple[Command, Command | None]]:
    """The requests of a capture, each with its answer or None."""
    recorded: dict[str, Any] = json.loads(capture.read_text(encoding="utf-8"))
    for exchange in recorded["exchanges"]:
        answer = exchange.get("answer")
        yield command(exchange["request"]["hex"]), command(answer["hex"]) if answer else None


def command(frame: str) -> Command:
    (decoded,) = FrameBuffer().feed(bytes.fromhex(frame))
    return decoded


def untyped_fields(received: Command, header_type: type[Header]) -> set[str]:
    return received.fields().keys() - set(header_type.__struct_encode_fields__) - TOLERATED


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_the_header_of_a_captured_request_is_read_whole_and_written_back(capture: Path) -> None:
    for request, _ in exchanges(capture):
        if request.code not in REQUESTS:
            continue
        header_type = REQUESTS[RequestCode(request.code)]
        header = request.header(header_type)
        assert untyped_fields(request, header_type) == set()
        for name, text in encode_ext(header).items():
            # The C++ client writes a boolean as a number.
            assert request.fields().get(name, text) in (text, {"true": "1", "false": "0"}.get(text))


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_the_header_of_a_captured_answer_is_read_whole(capture: Path) -> None:
    for request, answer in exchanges(capture):
        if answer is None or answer.code != 0 or request.code not in ANSWERS:
            continue
        header_type = ANSWERS[request.code]
        header = answer.header(header_type)
        assert untyped_fields(answer, header_type) == set()
        assert encode_ext(header).items() >= answer.fields().items()


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_a_captured_body_is_read_and_survives_our_encoding(capture: Path) -> None:
    bodies = 0
    for request, answer in exchanges(capture):
        expected = [(request, REQUEST_BODIES)] + ([(answer, ANSWER_BODIES)] if answer else [])
        for received, types in expected:
            if received.body and request.code in types:
                body = types[request.code].decode(received.body)
                assert types[request.code].decode(body.encode()) == body
                bodies += 1
    assert bodies
