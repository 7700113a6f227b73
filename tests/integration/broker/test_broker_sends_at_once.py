"""Sends that arrive in one piece: stored together, each answered for itself."""

from __future__ import annotations

import pytest

from rocket_testing.broker_talk import BrokerTalk, send_header
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.peer import Peer
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command, request


def sent(topic: str, opaque: int, queue_id: int = 0, *, oneway: bool = False, **pairs: str) -> Command:
    header = send_header(topic, queue_id, **pairs)
    command = request(RequestCode.SEND_MESSAGE_V2, header, b"body %d" % opaque, oneway=oneway)
    command.opaque = opaque
    return command


async def send_at_once(broker: Broker, *commands: Command) -> dict[int, Command]:
    """The answers by opaque."""
    peer = await Peer.connect(broker.port)
    try:
        await peer.send(*commands)
        expected = [command for command in commands if not command.is_oneway]
        return {reply.opaque: reply for reply in [await peer.receive() for _ in expected]}
    finally:
        peer.close()


async def test_each_is_answered_with_its_own_offset(broker: Broker, talk: BrokerTalk, topic: str) -> None:
    answers = await send_at_once(broker, *(sent(topic, number, number % 2) for number in range(300)))
    offsets = [(int(reply.fields()["queueId"]), int(reply.fields()["queueOffset"])) for reply in answers.values()]
    assert offsets == [(number % 2, number // 2) for number in answers]
    bodies = [message.body for message in await talk.pull_all(topic, 1, count=150)]
    assert bodies == [b"body %d" % number for number in range(1, 300, 2)]


async def test_one_that_is_refused_costs_no_other(broker: Broker, talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, b"first")
    refused = {
        1: sent(topic, 1, 99),
        3: sent("not a topic!", 3),
        5: sent(topic, 5, DELAY="soon"),
        7: Command(RequestCode.SEND_MESSAGE_V2, opaque=7, ext={"b": topic}),
    }
    answers = await send_at_once(broker, *(refused.get(number) or sent(topic, number) for number in range(8)))
    codes = {number: reply.code for number, reply in answers.items()}
    assert all((code == ResponseCode.SUCCESS) == (number not in refused) for number, code in codes.items()), codes
    messages = await talk.pull_all(topic, 0, count=5)
    assert [message.body for message in messages] == [b"first", b"body 0", b"body 2", b"body 4", b"body 6"]


async def test_oneway_sends_among_them_are_stored_and_not_answered(
    broker: Broker, talk: BrokerTalk, topic: str
) -> None:
    await talk.send(topic, b"first")
    answers = await send_at_once(broker, *(sent(topic, number, oneway=number % 2 == 0) for number in range(6)))
    assert sorted(answers) == [1, 3, 5]
    assert len(await talk.pull_all(topic, 0, count=7)) == 7


async def test_a_synchronous_flush_is_shared_and_those_that_do_not_wait_are_answered_before(cluster: Cluster) -> None:
    """The slave that is missing makes the others wait; status 11 comes with their place all the same."""
    cluster.add_namesrv()
    broker = cluster.add_broker(brokerRole="SYNC_MASTER", inSyncReplicas="2", flushDiskType="SYNC_FLUSH")
    async with BrokerTalk(broker.address) as talk:
        await talk.send("orders", b"first")
    commands = [sent("orders", number, **({"WAIT": "false"} if number % 2 else {})) for number in range(6)]
    answers = await send_at_once(broker, *commands)
    assert list(answers) == [1, 3, 5, 0, 2, 4]
    assert [reply.code for reply in answers.values()] == [0] * 3 + [ResponseCode.SLAVE_NOT_AVAILABLE] * 3
    assert [reply.fields()["queueOffset"] for reply in answers.values()] == ["2", "4", "6", "1", "3", "5"]
    assert all("no slave is in reach" in str(answers[number].remark) for number in (0, 2, 4))


@pytest.mark.parametrize("flush", ["ASYNC_FLUSH", "SYNC_FLUSH"])
async def test_sends_at_once_outlive_a_kill(cluster: Cluster, flush: str) -> None:
    cluster.add_namesrv()
    broker = cluster.add_broker(flushDiskType=flush)
    async with BrokerTalk(broker.address) as talk:
        await talk.send("orders", b"first")
    answers = await send_at_once(broker, *(sent("orders", number) for number in range(200)))
    broker.kill()
    assert {reply.code for reply in answers.values()} == {0}
    broker.start()
    async with BrokerTalk(broker.address) as talk:
        bodies = [message.body for message in await talk.pull_all("orders", 0, count=201)]
    assert bodies[1:] == [b"body %d" % number for number in range(200)]
