"""What one client sends costs nobody else a message, a topic or the broker."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from rocket_testing.broker_talk import BrokerTalk, Dial, send_header
from rocket_testing.cluster import Broker, Cluster, answers_ready
from rocket_testing.verified import assert_store_verifies
from rocket_testing.waiting import eventually
from rocket_wire import record
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.headers.routes import GetRouteinfoByTopic
from rocket_wire.headers.send import SendMessage
from rocket_wire.headers.topics import DeleteTopicInBroker


@pytest.fixture
async def broker(cluster: Cluster) -> Broker:
    """A broker of this test's own, which it may kill, and its name server."""
    await asyncio.to_thread(cluster.add_namesrv)
    return await asyncio.to_thread(cluster.add_broker)


@pytest.fixture
async def talk(broker: Broker, dial: Dial) -> BrokerTalk:
    return dial(broker.address)


def with_properties(text: str) -> SendMessage:
    return msgspec.structs.replace(send_header("Hostile"), properties=text)


async def killed_and_started(broker: Broker) -> None:
    await asyncio.to_thread(broker.kill)
    assert_store_verifies(broker.store)
    await asyncio.to_thread(broker.start)


ZEROS = "\0" * 600


@pytest.mark.parametrize("text", [f"k\x01{ZEROS}\x02", f"k\x01v\x02{ZEROS}", f"k\x01{'v' * 900}{ZEROS}v\x02"])
async def test_properties_that_look_like_what_a_power_loss_leaves_are_refused(
    broker: Broker, talk: BrokerTalk, text: str
) -> None:
    hostile = await talk.ask(RequestCode.SEND_MESSAGE_V2, with_properties(text), b"x")
    batch = record.join_batch([record.BatchItem(b"x", text.encode())])
    hostile_batch = await talk.ask(RequestCode.SEND_BATCH_MESSAGE, send_header("Hostile"), batch)
    assert hostile.code == hostile_batch.code == ResponseCode.MESSAGE_ILLEGAL
    for number in range(20):
        assert (await talk.send("Good", b"%d" % number)).code == 0
    await killed_and_started(broker)
    assert [message.body for message in await talk.read("Good")] == [b"%d" % number for number in range(20)]


async def test_a_few_zeros_in_a_property_are_kept(broker: Broker, talk: BrokerTalk) -> None:
    assert (await talk.ask(RequestCode.SEND_MESSAGE_V2, with_properties(f"k\x01{ZEROS[:500]}v\x02"), b"x")).code == 0
    assert (await talk.send("Good", b"after")).code == 0
    await killed_and_started(broker)
    assert [message.body for message in await talk.read("Hostile")] == [b"x"]
    assert [message.body for message in await talk.read("Good")] == [b"after"]


@pytest.mark.parametrize("name", ["KEYS", "TAGS"])
async def test_thousands_of_empty_properties_are_stored_like_any_other(
    broker: Broker, talk: BrokerTalk, name: str
) -> None:
    text = f"{name}\x01\x02" * 3000
    assert (await talk.ask(RequestCode.SEND_MESSAGE_V2, with_properties(text), b"x")).code == 0
    for number in range(300):  # enough for a batch of the index
        assert (await talk.send("Good", b"%d" % number)).code == 0
    await asyncio.to_thread(broker.restart)
    await killed_and_started(broker)
    assert len(await talk.read("Good")) == 300
    assert [message.body for message in await talk.read("Hostile")] == [b"x"]


async def test_a_client_of_thousands_of_groups_leaves_the_broker_registered(
    cluster: Cluster, broker: Broker, dial: Dial, talk: BrokerTalk
) -> None:
    """More retry topics than a frame of a registration has room for."""
    for begin in range(0, 12_000, 4000):
        groups = [f"{number:05d}".ljust(120, "g") for number in range(begin, begin + 4000)]
        consumers = [
            {"groupName": group, "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
             "subscriptionDataSet": []} for group in groups
        ]  # fmt: skip
        body = json.dumps({"clientID": "many@1", "consumerDataSet": consumers, "producerDataSet": []}).encode()
        assert (await talk.ask(RequestCode.HEART_BEAT, None, body, 30.0)).code == 0
    namesrv = dial(cluster.namesrvs[0].address)

    async def knows_first_and_last() -> bool:
        for number in (0, 11_999):
            route = GetRouteinfoByTopic("%RETRY%" + f"{number:05d}".ljust(120, "g"), True)
            if (await namesrv.ask(RequestCode.GET_ROUTEINFO_BY_TOPIC, route)).code != 0:
                return False
        return answers_ready(broker.http_port)

    await eventually(knows_first_and_last)


async def test_a_topic_that_is_made_again_on_another_queue_leaves_a_store_that_verifies(
    broker: Broker, talk: BrokerTalk
) -> None:
    await talk.send("Orders", b"old", 0)
    await talk.must(RequestCode.DELETE_TOPIC_IN_BROKER, DeleteTopicInBroker("Orders"))
    await talk.send("Orders", b"new", 1)
    await asyncio.to_thread(broker.stop)
    assert assert_store_verifies(broker.store).deleted_records == 1
