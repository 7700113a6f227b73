"""Heartbeats, membership, and the notice to everybody else of a group when one comes or goes."""

from __future__ import annotations

import asyncio

import pytest

from rocket_testing.broker_talk import DEADLINE, BrokerTalk, Dial
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.waiting import eventually
from rocket_wire.bodies.connections import ConsumerConnection, ProducerConnection
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.heartbeat import ConsumerList, HeartbeatData, MessageModel, ProducerData
from rocket_wire.bodies.topics import TopicConfig
from rocket_wire.codes import CURRENT_VERSION, RequestCode, ResponseCode
from rocket_wire.headers.clients import (
    GetConsumerConnectionList,
    GetConsumerListByGroup,
    GetProducerConnectionList,
    UnregisterClient,
)
from rocket_wire.headers.topics import GetTopicConfig


async def members(talk: BrokerTalk, group: str) -> list[str]:
    """Client ids of a group; none where the broker says that nobody is there."""
    answer = await talk.ask(RequestCode.GET_CONSUMER_LIST_BY_GROUP, GetConsumerListByGroup(group))
    if answer.code == ResponseCode.SYSTEM_ERROR:
        return []
    answer.raise_for_code()
    return list(ConsumerList.decode(answer.body).consumer_id_list)


async def told(talk: BrokerTalk) -> str:
    """The group that the broker says has changed."""
    return await asyncio.wait_for(talk.told.get(), DEADLINE)


async def test_a_heartbeat_is_answered_with_the_brokers_version_and_what_it_knows(talk: BrokerTalk, group: str) -> None:
    answer = await talk.beat(group, "T")
    assert answer.version == CURRENT_VERSION
    assert answer.fields()["IS_SUPPORT_HEART_BEAT_V2"] == "true"
    assert answer.fields()["IS_SUB_CHANGE"] == "true"


async def test_members_see_each_other_and_hear_of_each_other(
    broker: Broker, dial: Dial, talk: BrokerTalk, group: str
) -> None:
    assert await members(talk, group) == []
    await talk.beat(group, "T", client_id="one")
    assert await told(talk) == group
    other = dial(broker.address)
    await other.beat(group, "T", client_id="two")
    assert await told(talk) == group
    assert await told(other) == group
    assert await members(talk, group) == await members(other, group) == ["one", "two"]


async def test_a_repeated_heartbeat_is_no_news(talk: BrokerTalk, group: str) -> None:
    await talk.beat(group, "T")
    await told(talk)
    await talk.beat(group, "T")
    await members(talk, group)
    assert talk.told.empty()


async def test_one_who_unregisters_is_gone_and_the_others_are_told(
    broker: Broker, dial: Dial, talk: BrokerTalk, group: str
) -> None:
    other = dial(broker.address)
    await other.beat(group, "T", client_id="two")
    await talk.beat(group, "T", client_id="one")
    await told(talk)
    await other.must(RequestCode.UNREGISTER_CLIENT, UnregisterClient("two", consumer_group=group))
    assert await told(talk) == group
    assert await members(talk, group) == ["one"]


async def test_one_whose_connection_closes_is_gone_and_the_others_are_told(
    broker: Broker, dial: Dial, talk: BrokerTalk, group: str
) -> None:
    other = dial(broker.address)
    await other.beat(group, "T", client_id="two")
    await talk.beat(group, "T", client_id="one")
    await told(talk)
    await other.close()
    assert await told(talk) == group
    assert await members(talk, group) == ["one"]


async def test_the_last_one_takes_the_group_along(broker: Broker, dial: Dial, talk: BrokerTalk, group: str) -> None:
    other = dial(broker.address)
    await other.beat(group, "T")
    await other.close()

    async def is_gone() -> bool:
        return not await members(talk, group)

    await eventually(is_gone, DEADLINE)


async def test_members_of_a_broadcasting_group_are_not_told_of_each_other(
    broker: Broker, dial: Dial, talk: BrokerTalk, group: str
) -> None:
    await talk.beat(group, "T", client_id="one", message_model=MessageModel.BROADCASTING)
    await dial(broker.address).beat(group, "T", client_id="two", message_model=MessageModel.BROADCASTING)
    assert await members(talk, group) == ["one", "two"]
    assert talk.told.empty()


async def test_a_group_may_be_told_nothing(broker: Broker, dial: Dial, talk: BrokerTalk, group: str) -> None:
    config = SubscriptionGroupConfig(group, notify_consumer_ids_changed_enable=False)
    await talk.must(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, None, config.encode())
    await talk.beat(group, "T", client_id="one")
    await dial(broker.address).beat(group, "T", client_id="two")
    assert await members(talk, group) == ["one", "two"]
    assert talk.told.empty()


async def test_a_consumers_heartbeat_makes_its_retry_topic(talk: BrokerTalk, group: str) -> None:
    config = SubscriptionGroupConfig(group, retry_queue_nums=3)
    await talk.must(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, None, config.encode())
    await talk.beat(group, "T")
    answer = await talk.must(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(f"%RETRY%{group}"))
    expected = TopicConfig(f"%RETRY%{group}", read_queue_nums=3, write_queue_nums=3, perm=6)
    assert TopicConfig.decode(answer.body) == expected


@pytest.mark.parametrize("name", ["", " ", "a/b", "../../../x", "g" * 300])
async def test_a_group_that_cannot_be_is_passed_over(talk: BrokerTalk, group: str, name: str) -> None:
    await talk.beat(name, "T")
    assert await members(talk, name) == []
    assert (await talk.ask(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(f"%RETRY%{name}"))).code == 17


async def test_a_heartbeat_without_subscriptions_keeps_the_known_ones(talk: BrokerTalk, topic: str, group: str) -> None:
    await talk.send(topic, b"body")
    await talk.beat(group, topic)
    heartbeat = HeartbeatData("client@1", heartbeat_fingerprint=7, without_sub=True)
    await talk.must(RequestCode.HEART_BEAT, None, heartbeat.encode())
    assert (await talk.pull(topic, 0, 0, group=group, tags=None)).bodies == [b"body"]


async def test_an_administrator_sees_the_consumers(talk: BrokerTalk, group: str) -> None:
    await talk.beat(group, "T", "U", client_id="one@1")
    answer = await talk.must(RequestCode.GET_CONSUMER_CONNECTION_LIST, GetConsumerConnectionList(group))
    body = ConsumerConnection.decode(answer.body)
    [connection] = body.connection_set
    assert (connection.client_id, connection.language, connection.version) == ("one@1", "PYTHON", CURRENT_VERSION)
    assert connection.client_addr.startswith("127.0.0.1:")
    assert sorted(body.subscription_table) == ["T", "U"]
    assert body.message_model is MessageModel.CLUSTERING


async def test_an_absent_consumer_group_is_not_online(talk: BrokerTalk, group: str) -> None:
    answer = await talk.ask(RequestCode.GET_CONSUMER_CONNECTION_LIST, GetConsumerConnectionList(group))
    assert answer.code == ResponseCode.CONSUMER_NOT_ONLINE


async def test_producers_come_and_go(broker: Broker, dial: Dial, talk: BrokerTalk, group: str) -> None:
    heartbeat = HeartbeatData("producer@1", producer_data_set=(ProducerData(group),))
    other = dial(broker.address)
    await other.must(RequestCode.HEART_BEAT, None, heartbeat.encode())
    answer = await talk.must(RequestCode.GET_PRODUCER_CONNECTION_LIST, GetProducerConnectionList(group))
    assert [one.client_id for one in ProducerConnection.decode(answer.body).connection_set] == ["producer@1"]
    await other.must(RequestCode.UNREGISTER_CLIENT, UnregisterClient("producer@1", producer_group=group))
    answer = await talk.ask(RequestCode.GET_PRODUCER_CONNECTION_LIST, GetProducerConnectionList(group))
    assert answer.code == ResponseCode.SYSTEM_ERROR


@pytest.mark.slow
async def test_a_silent_client_is_forgotten_and_the_others_are_told(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker, channelExpiredTimeout="5000")
    silent, living = dial(broker.address), dial(broker.address)
    await silent.beat("G", "T", client_id="silent")
    await living.beat("G", "T", client_id="living")

    async def is_gone() -> bool:
        await living.beat("G", "T", client_id="living")
        return await members(living, "G") == ["living"]

    await eventually(is_gone, 30)
