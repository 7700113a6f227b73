"""Many clients send at once, good and bad in a mixture: each request is answered once, on its own connection, and what
is acknowledged lies at the offset that its answer says, in each client's order.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import NamedTuple

import pytest

from rocket_testing.broker_talk import BrokerTalk, send_header
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.peer import Peer
from rocket_testing.waiting import eventually
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command, request
from rocket_wire.frame import SerializeType

CLIENTS, ROUNDS = 12, 15
QUEUES = 4
ILLEGAL = ResponseCode.MESSAGE_ILLEGAL


class Asked(NamedTuple):
    """A request, and which code its answer has; None: it is not answered."""

    command: Command
    code: int | None


def a_request(choice: random.Random, topic: str, opaque: int, body: bytes) -> Asked:
    queue = choice.randrange(QUEUES)
    kind = choice.choice(
        ["plain"] * 6 + ["oneway", "patient", "large", "queue", "topic", "header", "properties", "pull"]
    )
    header, code, wanted = send_header(topic, queue), RequestCode.SEND_MESSAGE_V2, 0
    match kind:
        case "patient":
            header = send_header(topic, queue, WAIT="false")
        case "large":
            body, wanted = bytes(5 * 1024 * 1024), ILLEGAL
        case "queue":
            header, wanted = send_header(topic, 99), ResponseCode.INVALID_PARAMETER
        case "topic":
            header, wanted = send_header("no such topic!", queue), ResponseCode.INVALID_PARAMETER
        case "properties":
            header, wanted = send_header(topic, queue, KEYS="k" * 33_000), ILLEGAL
        case "pull":
            code, wanted = 29_999, ResponseCode.REQUEST_CODE_NOT_SUPPORTED
    command = request(code, header, body, oneway=kind == "oneway")
    if kind == "header":
        command.ext, wanted = {"a": "no topic"}, ResponseCode.SYSTEM_ERROR
    command.opaque = opaque
    return Asked(command, None if kind == "oneway" else wanted)


async def send_and_receive(port: int, asked: list[Asked], serialize: SerializeType) -> list[Command]:
    """One client: sends all of them in pieces, and takes the answers."""
    peer = await Peer.connect(port)
    try:
        sending = asyncio.create_task(_send(peer, asked, serialize))
        answers = [await peer.receive() for each in asked if each.code is not None]
        await sending
        return answers
    finally:
        peer.close()


async def _send(peer: Peer, asked: list[Asked], serialize: SerializeType) -> None:
    for at in range(0, len(asked), 3):
        await peer.send(*(each.command for each in asked[at : at + 3]), serialize=serialize)


@pytest.mark.parametrize("durability", ["ASYNC_FLUSH", "SYNC_FLUSH", "SYNC_MASTER"])
async def test_each_gets_its_own_answers_and_what_is_acknowledged_is_there(cluster: Cluster, durability: str) -> None:
    cluster.add_namesrv()
    sizes = {"brokerName": "pair", "mappedFileSizeCommitLog": "65536", "maxMessageSize": str(4 * 1024 * 1024)}
    if durability == "SYNC_MASTER":
        broker = cluster.add_broker(brokerRole=durability, inSyncReplicas="2", **sizes)
        cluster.add_broker(brokerRole="SLAVE", brokerId="1", **sizes)
        async with BrokerTalk(broker.address) as talk:
            await eventually(lambda: _is_followed(talk))
    else:
        broker = cluster.add_broker(flushDiskType=durability, **sizes)
    choice = random.Random(7)
    async with BrokerTalk(broker.address) as talk:
        assert (await talk.send("orders", b"first")).code == 0
        asked = [
            [a_request(choice, "orders", number, b"%d-%d" % (client, number)) for number in range(ROUNDS * 3)]
            for client in range(CLIENTS)
        ]
        kinds = [SerializeType.JSON, SerializeType.ROCKETMQ]
        answers = await asyncio.gather(
            *(send_and_receive(broker.port, each, kinds[at % 2]) for at, each in enumerate(asked))
        )
        queues = [[message.body for message in await talk.read("orders", queue)] for queue in range(QUEUES)]
    for mine, received in zip(asked, answers, strict=True):
        codes = {each.command.opaque: each.code for each in mine if each.code is not None}
        assert {reply.opaque: reply.code for reply in received} == codes
        assert len(received) == len(codes)
        by_opaque = {each.command.opaque: each.command for each in mine}
        for reply in received:
            if reply.code == ResponseCode.SUCCESS:
                place = reply.fields()
                assert queues[int(place["queueId"])][int(place["queueOffset"])] == by_opaque[reply.opaque].body
    stored = Counter(body for bodies in queues for body in bodies)
    wanted = [each.command.body for mine in asked for each in mine if each.code in (0, None)]
    assert stored == Counter([b"first", *wanted])
    for client in range(CLIENTS):
        for bodies in queues:
            numbers = [int(body.split(b"-")[1]) for body in bodies if body.startswith(b"%d-" % client)]
            assert numbers == sorted(numbers)


async def _is_followed(talk: BrokerTalk) -> bool:
    return (await talk.send("probe", b"?")).code == 0


async def test_a_client_that_does_not_read_its_answers_holds_up_no_other(broker: Broker, topic: str) -> None:
    silent = await Peer.connect(broker.port, receive_buffer=4096)
    flood = [request(RequestCode.SEND_MESSAGE_V2, send_header(topic, 0), b"x") for _ in range(2000)]
    flooding = asyncio.create_task(_flood(silent, flood))
    try:
        async with BrokerTalk(broker.address) as talk:
            for _ in range(200):
                assert (await talk.send(topic, b"y", 1)).code == 0
    finally:
        flooding.cancel()
        silent.close()


async def _flood(peer: Peer, commands: list[Command]) -> None:
    while True:
        await peer.send(*commands)
