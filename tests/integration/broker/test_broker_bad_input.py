"""Input that is wrong: the code that RocketMQ gives, one clear line in the log, and nobody else notices."""

from __future__ import annotations

import asyncio
import random
import resource
import struct
from collections.abc import AsyncIterator

import pytest

from rocket_testing.broker_talk import DEADLINE, BrokerTalk, Dial, pull_header, send_header
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.peer import Peer
from rocket_testing.waiting import eventually
from rocket_wire import frame
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command, request
from rocket_wire.headers.header import encode_ext

#: Every request that a client or an administrator may send.
CODES = (
    10, 310, 320, 11, 361, 12, 33, 14, 15, 29, 30, 31, 32, 34, 35, 36, 38, 41, 42, 17, 18, 21, 215, 25, 26, 28, 200,
    201, 202, 203, 204, 207, 208, 225, 305, 351, 352, 43, 45, 300, 307, 328,
)  # fmt: skip


@pytest.fixture
async def peer(broker: Broker) -> AsyncIterator[Peer]:
    """Raw bytes to the shared broker."""
    peer = await Peer.connect(broker.port)
    yield peer
    peer.close()


@pytest.fixture
async def bystander(talk: BrokerTalk, topic: str) -> AsyncIterator[BrokerTalk]:
    """Another client, whose connection and held pull must come through whatever the test does."""
    own = topic + "-bystander"
    await talk.send(own, b"before")
    held = asyncio.ensure_future(talk.pull(own, 0, 1, suspend_ms=60_000))
    await asyncio.sleep(0)
    yield talk
    await talk.send(own, b"after")
    assert (await asyncio.wait_for(held, DEADLINE)).bodies == [b"after"]


def fields(command: Command) -> dict[str, str]:
    return dict(command.ext or {})


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize(
    "content",
    [
        b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
        b"\x00" * 8,
        b"\xff" * 64,
        struct.pack(">II", 2**31 - 1, 10) + b"x" * 100,
        struct.pack(">II", 100, 97) + b"x" * 100,
        struct.pack(">II", 3, 0) + b"x" * 100,
        struct.pack(">II", 14, 2 << 24 | 10) + b"x" * 10,
        struct.pack(">II", 14, 10) + b"not json!!",
        struct.pack(">II", 6, 2) + b"{}",
        struct.pack(">II", 17, 1 << 24 | 13) + b"\xff" * 13,
    ],
    ids=["http", "zeros", "ones", "huge", "header beyond frame", "shorter than itself", "unknown header type",
         "no json", "no code", "binary lies"],
)  # fmt: skip
async def test_bytes_that_are_no_frame_close_their_connection_with_one_line(
    broker: Broker, peer: Peer, content: bytes
) -> None:
    await peer.send_bytes(content)
    assert await peer.until_closed() == []
    lines = [line for line in broker.run_log().splitlines() if peer.address in line]
    assert len(lines) == 1
    assert f"connection {peer.address} closed" in lines[0]


@pytest.mark.usefixtures("bystander")
async def test_what_came_before_the_garbage_is_answered(talk: BrokerTalk, peer: Peer, topic: str) -> None:
    await talk.send(topic)
    good = request(RequestCode.SEND_MESSAGE_V2, send_header(topic), b"good")
    await peer.send_bytes(frame.encode(good) + b"\xff" * 50)
    [answer] = await peer.until_closed()
    assert answer.code == 0


async def test_half_a_frame_and_then_the_end_is_no_matter(broker: Broker, talk: BrokerTalk, topic: str) -> None:
    content = frame.encode(request(RequestCode.SEND_MESSAGE_V2, send_header(topic), b"half"))
    for size in (1, 4, 8, 20, len(content) - 1):
        peer = await Peer.connect(broker.port)
        await peer.send_bytes(content[:size])
        peer.close()
    assert (await talk.send(topic)).queue_offset == 0


@pytest.mark.usefixtures("bystander")
async def test_a_frame_that_comes_byte_by_byte_is_a_frame(peer: Peer, topic: str) -> None:
    for byte in frame.encode(request(RequestCode.SEND_MESSAGE_V2, send_header(topic), b"slow")):
        await peer.send_bytes(bytes([byte]))
    assert (await peer.receive()).code == 0


# -- requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("code", [0, -1, 1, 999, 32767, -32768, 200050, 2**31 - 1])
async def test_a_code_that_means_nothing_is_answered_with_3(peer: Peer, code: int) -> None:
    await peer.send(Command(code, opaque=7, ext={}))
    answer = await peer.receive()
    assert (answer.code, answer.opaque) == (ResponseCode.REQUEST_CODE_NOT_SUPPORTED, 7)
    assert str(code) in (answer.remark or "")


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("code", CODES)
async def test_a_request_without_header_and_body_is_answered_one_way_or_the_other(peer: Peer, code: int) -> None:
    await peer.send(Command(code, opaque=7, ext={}))
    answer = await peer.receive()
    assert (answer.opaque, answer.is_answer) == (7, True)


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("code", CODES)
async def test_a_request_full_of_garbage_is_answered_one_way_or_the_other(peer: Peer, code: int) -> None:
    rng = random.Random(code)
    names = [
        "topic", "queueId", "a", "b", "c", "d", "e", "f", "g", "h", "i", "consumerGroup", "offset", "queueOffset",
        "maxMsgNums", "sysFlag", "commitOffset", "suspendTimeoutMillis", "subVersion", "delayLevel", "key", "group",
        "producerGroup", "defaultTopic", "bornTimestamp", "flag", "readQueueNums", "writeQueueNums", "perm",
        "clientID", "timestamp", "maxNum", "beginTimestamp", "endTimestamp", "groupName", "clientId", "topicSeq",
    ]  # fmt: skip
    values = [
        "",
        "-1",
        "0",
        "1",
        "99999999999999999999",
        "1.5",
        "true",
        "null",
        "x" * 5000,
        "\x00",
        "../..",
        "%RETRY%",
        "主",
    ]
    for number in range(30):
        ext = {name: rng.choice(values) for name in names}
        body = rng.choice([b"", b"{}", b"[]", b"{", b"null", rng.randbytes(50), b'{"groupName":5}', b"[" * 5000])
        await peer.send(Command(code, opaque=number, ext=ext, body=body))
        answer = await peer.receive()
        assert answer.opaque == number


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize(
    ("name", "value"),
    [("e", "first"), ("e", ""), ("e", "2147483648"), ("e", "1.5"), ("g", str(2**63)), ("h", "x"), ("d", "many")],
)  # fmt: skip
async def test_a_header_field_of_the_wrong_type_is_named(peer: Peer, topic: str, name: str, value: str) -> None:
    command = request(RequestCode.SEND_MESSAGE_V2, send_header(topic), b"body")
    await peer.send(Command(command.code, opaque=1, ext=fields(command) | {name: value}, body=b"body"))
    answer = await peer.receive()
    assert answer.code == ResponseCode.SYSTEM_ERROR
    assert f"`$.{name}`" in (answer.remark or "")


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("name", ["a", "b", "c", "d", "e", "f", "g", "h"])
async def test_a_header_field_that_is_absent_is_named(peer: Peer, topic: str, name: str) -> None:
    ext = encode_ext(send_header(topic))
    del ext[name]
    await peer.send(Command(RequestCode.SEND_MESSAGE_V2, opaque=1, ext=ext, body=b"body"))
    answer = await peer.receive()
    assert answer.code == ResponseCode.SYSTEM_ERROR
    assert f"`{name}`" in (answer.remark or "")


@pytest.mark.usefixtures("bystander")
async def test_header_fields_that_nobody_knows_are_no_matter(talk: BrokerTalk, peer: Peer, topic: str) -> None:
    ext = encode_ext(send_header(topic)) | {"bname": "broker-a", "ns": "x", "future": "y" * 1000}
    await peer.send(Command(RequestCode.SEND_MESSAGE_V2, opaque=1, ext=ext, body=b"body"))
    assert (await peer.receive()).code == 0


# -- messages ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a/b", "../../../tmp/x", "a\x00b", "主题", "x" * 128, "%RETRY%" + "g" * 249]
)
async def test_a_topic_with_an_illegal_name_is_code_29_and_not_made(
    broker: Broker, talk: BrokerTalk, name: str
) -> None:
    answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header(name), b"body")
    assert answer.code == ResponseCode.INVALID_PARAMETER
    assert answer.remark
    assert name not in {path.name for path in (broker.store / "consumequeue").iterdir()}


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("queue_id", [4, 1000, 2**31 - 1])
async def test_a_send_to_a_queue_that_is_not_there_is_code_29(talk: BrokerTalk, topic: str, queue_id: int) -> None:
    answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header(topic, queue_id), b"body")
    assert answer.code == ResponseCode.INVALID_PARAMETER
    assert f"queueId[{queue_id}] is illegal" in (answer.remark or "")


@pytest.mark.usefixtures("bystander")
async def test_properties_that_a_record_cannot_hold_are_code_13(talk: BrokerTalk, topic: str) -> None:
    assert (await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header(topic, k="v" * 32_000))).code == 0
    answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header(topic, k="v" * 32_768))
    assert answer.code == ResponseCode.MESSAGE_ILLEGAL
    answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header(topic, DELAY="1", k="v" * 32_700))
    assert answer.code == ResponseCode.MESSAGE_ILLEGAL


@pytest.mark.usefixtures("bystander")
async def test_a_delayed_message_for_a_topic_with_a_long_name_is_delivered(talk: BrokerTalk) -> None:
    topic = "x" * 127
    await talk.send(topic, b"later", DELAY="1")
    assert [message.body for message in await talk.pull_all(topic, count=1)] == [b"later"]


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("offset", [0, 1, -1, 2**62, -(2**63)])
async def test_a_pull_of_a_silly_length_is_answered(talk: BrokerTalk, topic: str, offset: int) -> None:
    await talk.send(topic)
    for number in (0, -(2**31), 2**31 - 1):
        await talk.pull(topic, 0, offset, max_messages=number)


@pytest.mark.usefixtures("bystander")
@pytest.mark.parametrize("milliseconds", [-1, -(2**63)])
async def test_a_pull_that_may_be_held_for_less_than_no_time_is_answered_at_once(
    talk: BrokerTalk, topic: str, milliseconds: int
) -> None:
    await talk.send(topic)
    assert (await talk.pull(topic, 0, 1, suspend_ms=milliseconds)).code == 19


async def test_many_pulls_of_one_connection_are_held_and_all_are_answered(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, queue_id=1)
    pulls = [asyncio.ensure_future(talk.pull(topic, 0, 0, suspend_ms=60_000)) for _ in range(500)]
    await asyncio.sleep(0.05)
    await talk.send(topic, b"one")
    done = await asyncio.wait_for(asyncio.gather(*pulls), DEADLINE)
    assert {pulled.code for pulled in done} == {0}


async def test_a_client_that_does_not_read_does_not_stop_the_others(
    broker: Broker, talk: BrokerTalk, topic: str
) -> None:
    for _ in range(8):
        await talk.send(topic, bytes(500_000))
    deaf = await Peer.connect(broker.port, receive_buffer=4096)
    pulls = [request(RequestCode.PULL_MESSAGE, pull_header(topic, 0, offset % 8)) for offset in range(100)]
    await deaf.send(*pulls)
    assert (await asyncio.wait_for(talk.pull(topic, 0, 0), DEADLINE)).code == 0
    deaf.close()


# -- the disk ----------------------------------------------------------------------------------------------------------


async def test_a_log_that_cannot_grow_refuses_messages_and_serves_those_that_it_has(
    cluster: Cluster, dial: Dial
) -> None:
    """A limit on the size of files stands in for a full disk: to the broker it is the same kind of error."""
    broker = await asyncio.to_thread(cluster.add_broker)
    talk = dial(broker.address)
    await talk.send("T", b"before")
    _, hard = resource.prlimit(broker.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (200_000, hard))
    answers = [await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header("T"), bytes(50_000)) for _ in range(8)]
    codes = [answer.code for answer in answers]
    assert codes == sorted(codes)
    assert codes[-1] == ResponseCode.SYSTEM_ERROR
    assert "the store refuses the message" in (answers[-1].remark or "")
    stored = 1 + codes.count(0)
    assert len(await talk.read("T")) == stored
    resource.prlimit(broker.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert (await talk.send("T", b"after")).queue_offset == stored
    assert (await talk.pull("T", 0, stored)).bodies == [b"after"]
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    assert (await talk.pull("T", 0, stored)).bodies == [b"after"]


async def test_a_topic_that_cannot_be_saved_is_said_and_the_broker_goes_on(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker)
    talk = dial(broker.address)
    await talk.send("Before")
    obstacle = broker.store / "config" / "topics.json.tmp"
    obstacle.mkdir()
    assert (await talk.send("New")).code == ResponseCode.FLUSH_DISK_TIMEOUT
    await eventually(lambda: "topics.json could not be saved" in broker.run_log(), DEADLINE)
    assert (await talk.pull("Before", 0, 0)).bodies == [b"body"]
    obstacle.rmdir()

    async def is_saved() -> bool:
        return (await talk.send("New")).code == 0

    await eventually(is_saved, DEADLINE)
    assert b'"New"' in (broker.store / "config" / "topics.json").read_bytes()
