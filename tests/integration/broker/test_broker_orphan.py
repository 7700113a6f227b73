"""A slave whose master is gone: it serves what it has, and decides nothing that only a master may."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from rocket_testing.broker_talk import DEADLINE, BrokerTalk, Dial, pull_header, send_header
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.waiting import eventually
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.headers.pull import PullMessageAnswer
from rocket_wire.headers.topics import DeleteTopicInBroker, GetTopicConfig, UpdateAndCreateTopic


@pytest.fixture(scope="module")
def orphan(shared_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The slave. Topic T has twenty messages, 0 to 19, in four queues; their tags are TagA and TagB in turns."""
    of_group = {"namesrvAddr": shared_cluster.namesrv, "brokerName": "orphaned", "messageDelayLevel": "2s"}
    with Cluster(tmp_path_factory.mktemp("orphan")) as cluster:
        master = cluster.add_broker(**of_group)
        asyncio.run(fill(master))
        slave = cluster.add_broker(**of_group, brokerId="1")
        asyncio.run(followed(slave, "T", 3, b"19"))
        asyncio.run(delay(master))
        asyncio.run(followed(slave, "Other", 0, b"last"))
        master.kill()
        asyncio.run(alone(slave))
        yield slave
        assert "Traceback" not in slave.run_log()


async def fill(master: Broker) -> None:
    async with BrokerTalk(master.address) as talk:
        for number in range(20):
            await talk.send("T", b"%d" % number, queue_id=number % 4, TAGS="TagA" if number // 4 % 2 else "TagB")
        for topic in ("Late", "Other"):
            await talk.send(topic, b"first")


async def delay(master: Broker) -> None:
    async with BrokerTalk(master.address) as talk:
        await talk.send("Late", b"later", DELAY="1")
        await talk.send("Other", b"last")


async def followed(slave: Broker, topic: str, queue_id: int, last: bytes) -> None:
    """Returns when the slave has the topic and this message of its queue."""
    async with BrokerTalk(slave.address) as talk:

        async def has_it() -> bool:
            answer = await talk.ask(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))
            return answer.code == 0 and last in (await talk.pull(topic, queue_id, 0)).bodies

        await eventually(has_it, DEADLINE)


async def alone(slave: Broker) -> None:
    """Returns when the slave has noticed that its master is gone."""
    async with BrokerTalk(slave.address) as talk:

        async def notices() -> bool:
            return (await talk.pull("T", 0, 0)).header.suggest_which_broker_id == 1

        await eventually(notices, DEADLINE)


@pytest.fixture
async def slave(orphan: Broker, dial: Dial) -> BrokerTalk:
    return dial(orphan.address)


async def test_its_queues_are_those_of_the_master(slave: BrokerTalk) -> None:
    for queue_id in range(4):
        messages = await slave.read("T", queue_id)
        assert [message.body for message in messages] == [b"%d" % number for number in range(queue_id, 20, 4)]
        assert [message.queue_offset for message in messages] == list(range(5))


async def test_readers_may_stay_with_it(slave: BrokerTalk) -> None:
    pulled = await slave.pull("T", 0, 5)
    assert (pulled.code, pulled.header.next_begin_offset, pulled.header.suggest_which_broker_id) == (19, 5, 1)


async def test_tags_are_filtered(slave: BrokerTalk) -> None:
    assert [message.body for message in await slave.read("T", tags="TagA")] == [b"4", b"12"]


async def test_tags_that_nobody_wants_are_passed_over(slave: BrokerTalk) -> None:
    """Or a reader would ask for the same place for ever."""
    answer = await slave.ask(RequestCode.PULL_MESSAGE, pull_header("T", 0, 0, tags="TagC"))
    assert answer.code == ResponseCode.PULL_RETRY_IMMEDIATELY
    assert answer.header(PullMessageAnswer).next_begin_offset > 0
    assert await slave.read("T", tags="TagC") == []


@pytest.mark.parametrize("offset", [6, 100])
async def test_a_reader_that_is_further_than_it_keeps_its_offset(slave: BrokerTalk, offset: int) -> None:
    """It may lack what the master had: its end is no reason to go back."""
    pulled = await slave.pull("T", 0, offset)
    assert pulled.code != ResponseCode.PULL_OFFSET_MOVED
    assert pulled.header.next_begin_offset == offset


async def test_members_and_offsets_are_kept(slave: BrokerTalk) -> None:
    await slave.beat("G", "T")
    await slave.commit("G", "T", 0, 3)
    assert await slave.offset("G", "T") == 3


async def test_nothing_delayed_is_delivered(slave: BrokerTalk) -> None:
    """That is the master's, when it is back."""
    await asyncio.sleep(2.2)
    assert (await slave.pull("Late", 0, 0)).bodies == [b"first"]


async def test_no_messages_and_no_administration_are_taken(slave: BrokerTalk) -> None:
    answer = await slave.ask(RequestCode.SEND_MESSAGE_V2, send_header("T"))
    assert answer.code == ResponseCode.SYSTEM_BUSY
    header = UpdateAndCreateTopic("New", "TBW102", 4, 4, 6, "SINGLE_TAG")
    assert (await slave.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, header)).code == ResponseCode.SYSTEM_ERROR
    assert (await slave.ask(RequestCode.DELETE_TOPIC_IN_BROKER, DeleteTopicInBroker("T"))).code != 0
    assert (await slave.pull("T", 0, 0)).code == 0
