"""Administration over the wire: topics, consumer groups, settings, figures, messages by key and id."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

import pytest

from rocket_testing.broker_talk import DEADLINE, BrokerTalk, Dial, send_header
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.waiting import eventually
from rocket_wire import message_id, properties, record
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.groups import SubscriptionGroupConfig, SubscriptionGroupList, SubscriptionGroupWrapper
from rocket_wire.bodies.registration import KVTable
from rocket_wire.bodies.route import TopicList, TopicRouteData
from rocket_wire.bodies.stats import ConsumeStats
from rocket_wire.bodies.topics import CreateTopicListRequestBody, TopicConfig, TopicConfigSerializeWrapper
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.headers.pull import QueryMessage, ViewMessageById
from rocket_wire.headers.routes import GetRouteinfoByTopic
from rocket_wire.headers.topics import (
    DeleteSubscriptiongroup,
    DeleteTopicInBroker,
    GetAllTopicConfig,
    GetConsumeStats,
    GetSubscriptiongroupConfig,
    GetTopicConfig,
    UpdateAndCreateTopic,
)

#: What the exporter, mqadmin and the dashboard read, and fail without (protocol section 10.2).
RUNTIME_KEYS = """\
msgPutTotalTodayNow msgGetTotalTodayNow msgPutTotalTodayMorning msgGetTotalTodayMorning msgPutTotalYesterdayMorning
msgGetTotalYesterdayMorning putMessageDistributeTime putTps getFoundTps getMissTps getTotalTps getTransferredTps
getTransferedTps commitLogDirCapacity sendThreadPoolQueueSize sendThreadPoolQueueCapacity
sendThreadPoolQueueHeadWaitTimeMills pullThreadPoolQueueSize pullThreadPoolQueueCapacity
pullThreadPoolQueueHeadWaitTimeMills queryThreadPoolQueueSize queryThreadPoolQueueCapacity
queryThreadPoolQueueHeadWaitTimeMills remainHowManyDataToFlush remainTransientStoreBufferNumbs bootTimestamp runtime
commitLogMinOffset commitLogMaxOffset dispatchMaxBuffer dispatchBehindBytes brokerVersion brokerVersionDesc
consumeQueueDiskRatio commitLogDiskRatio pageCacheLockTimeMills getMessageEntireTimeMax putMessageEntireTimeMax
putMessageTimesTotal putMessageSizeTotal putMessageAverageSize startAcceptSendRequestTimeStamp earliestMessageTimeStamp
"""


def creation(topic: str, read: int = 4, write: int = 4, perm: int = 6, attributes: str = "") -> UpdateAndCreateTopic:
    return UpdateAndCreateTopic(topic, "TBW102", read, write, perm, "SINGLE_TAG", attributes=attributes)


async def config_of(talk: BrokerTalk, topic: str) -> TopicConfig:
    return TopicConfig.decode((await talk.must(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))).body)


async def all_topics(talk: BrokerTalk) -> TopicConfigSerializeWrapper:
    return TopicConfigSerializeWrapper.decode((await talk.must(RequestCode.GET_ALL_TOPIC_CONFIG)).body)


async def figures(talk: BrokerTalk) -> dict[str, str]:
    return KVTable.decode((await talk.must(RequestCode.GET_BROKER_RUNTIME_INFO)).body).table


# -- topics ------------------------------------------------------------------------------------------------------------


async def test_a_new_topic_is_at_the_name_server_when_its_creation_is_answered(
    shared_cluster: Cluster, talk: BrokerTalk, topic: str, dial: Dial
) -> None:
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic, read=3, write=5))
    namesrv = dial(shared_cluster.namesrvs[0].address)
    answer = await namesrv.must(RequestCode.GET_ROUTEINFO_BY_TOPIC, GetRouteinfoByTopic(topic, True))
    [queues] = TopicRouteData.decode(answer.body).queue_datas
    assert (queues.read_queue_nums, queues.write_queue_nums, queues.perm) == (3, 5, 6)


async def test_a_new_topic_is_in_the_file_when_its_creation_is_answered(
    broker: Broker, talk: BrokerTalk, topic: str
) -> None:
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic, attributes="+message.type=FIFO"))
    saved = TopicConfigSerializeWrapper.decode((broker.store / "config" / "topics.json").read_bytes())
    expected = TopicConfig(topic, 4, 4, 6, attributes={"message.type": "FIFO"})
    assert saved.topic_config_table[topic] == expected == await config_of(talk, topic)


async def test_a_topic_is_changed_by_the_same_request(talk: BrokerTalk, topic: str) -> None:
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic, attributes="+message.type=FIFO"))
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic, read=8, write=2, attributes="-message.type"))
    assert await config_of(talk, topic) == TopicConfig(topic, 8, 2, 6)


async def test_the_same_topic_again_is_no_new_version(cluster: Cluster, dial: Dial) -> None:
    talk = dial((await asyncio.to_thread(cluster.add_broker)).address)
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation("T"))
    version = (await all_topics(talk)).data_version
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation("T"))
    assert (await all_topics(talk)).data_version == version
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation("T", read=5))
    assert (await all_topics(talk)).data_version.counter == version.counter + 1


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "../../x", "主题", "x" * 128, "TBW102", "SCHEDULE_TOPIC_XXXX"])
async def test_a_topic_that_cannot_be_is_an_invalid_parameter(talk: BrokerTalk, name: str) -> None:
    before = set((await all_topics(talk)).topic_config_table)
    answer = await talk.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(name))
    assert answer.code == ResponseCode.INVALID_PARAMETER
    assert answer.remark
    assert set((await all_topics(talk)).topic_config_table) == before


@pytest.mark.parametrize(("read", "write"), [(-1, 4), (4, -1), (0, 0), (2**31 - 1, 4), (4, 70_000)])
async def test_a_number_of_queues_that_cannot_be_is_an_invalid_parameter(
    talk: BrokerTalk, topic: str, read: int, write: int
) -> None:
    answer = await talk.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic, read, write))
    assert answer.code == ResponseCode.INVALID_PARAMETER
    assert (await talk.ask(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))).code == ResponseCode.TOPIC_NOT_EXIST


async def test_several_topics_are_made_at_once_or_none(talk: BrokerTalk, topic: str) -> None:
    good = CreateTopicListRequestBody((TopicConfig(topic + "-a"), TopicConfig(topic + "-b"))).encode()
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, None, good)
    assert (await config_of(talk, topic + "-b")).topic_name == topic + "-b"
    bad = CreateTopicListRequestBody((TopicConfig(topic + "-c"), TopicConfig("a b"))).encode()
    answer = await talk.ask(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, None, bad)
    assert answer.code == ResponseCode.INVALID_PARAMETER
    assert (await talk.ask(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic + "-c"))).code == 17


async def test_a_deleted_topic_is_gone_with_its_messages_and_offsets(
    broker: Broker, talk: BrokerTalk, topic: str, group: str
) -> None:
    await talk.send(topic, b"old")
    await talk.beat(group, topic)
    await talk.commit(group, topic, 0, 1)
    await talk.must(RequestCode.DELETE_TOPIC_IN_BROKER, DeleteTopicInBroker(topic))
    assert (await talk.ask(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))).code == ResponseCode.TOPIC_NOT_EXIST
    assert await talk.offset(group, topic) is None
    assert not (broker.store / "consumequeue" / topic).exists()
    assert (await talk.send(topic, b"new")).queue_offset == 0
    assert (await talk.pull(topic, 0, 0)).bodies == [b"new"]


@pytest.mark.parametrize("name", ["", " ", "TBW102", "SCHEDULE_TOPIC_XXXX", "rmq_sys_x"])
async def test_the_brokers_own_topics_are_not_deleted(talk: BrokerTalk, name: str) -> None:
    answer = await talk.ask(RequestCode.DELETE_TOPIC_IN_BROKER, DeleteTopicInBroker(name))
    assert answer.code == ResponseCode.INVALID_PARAMETER


async def test_deleting_what_is_no_topic_touches_nothing(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker)
    talk = dial(broker.address)
    await talk.send("T", b"kept")
    await asyncio.to_thread(broker.restart)
    folders = ("commitlog", "consumequeue", "index")
    files = {path for folder in folders for path in (broker.store / folder).rglob("*") if path.is_file()}
    assert broker.store / "consumequeue/T/0/00000000000000000000" in files
    for name in ("..", ".", "../commitlog", "../../store", "T/../../commitlog", "T/0", str(broker.store), "Absent"):
        await talk.ask(RequestCode.DELETE_TOPIC_IN_BROKER, DeleteTopicInBroker(name))
        assert {path for path in files if not path.exists()} == set(), name
    assert (await talk.pull("T", 0, 0)).bodies == [b"kept"]


async def test_topics_come_in_pages_for_those_who_ask_so(talk: BrokerTalk) -> None:
    whole = set((await all_topics(talk)).topic_config_table)
    found: set[str] = set()
    while True:
        answer = await talk.must(RequestCode.GET_ALL_TOPIC_CONFIG, GetAllTopicConfig(len(found), None, 4))
        page = TopicConfigSerializeWrapper.decode(answer.body).topic_config_table
        assert int(answer.fields()["totalTopicNum"]) == len(whole)
        assert not found & set(page)
        if not page:
            break
        assert len(page) <= 4
        found |= set(page)
    assert found == whole


async def test_the_brokers_own_topics_are_listed(talk: BrokerTalk) -> None:
    answer = await talk.must(RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_BROKER)
    assert {"TBW102", "SCHEDULE_TOPIC_XXXX", "broker-a", "DefaultCluster"} <= TopicList.decode(answer.body).topic_list


# -- consumer groups ---------------------------------------------------------------------------------------------------


async def groups_of(talk: BrokerTalk) -> dict[str, SubscriptionGroupConfig]:
    answer = await talk.must(RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)
    return SubscriptionGroupWrapper.decode(answer.body).subscription_group_table


async def test_a_group_is_made_changed_listed_saved_and_deleted(broker: Broker, talk: BrokerTalk, group: str) -> None:
    for times in (3, 5):
        config = SubscriptionGroupConfig(group, retry_max_times=times)
        await talk.must(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, None, config.encode())
        answer = await talk.must(RequestCode.GET_SUBSCRIPTIONGROUP_CONFIG, GetSubscriptiongroupConfig(group))
        assert SubscriptionGroupConfig.decode(answer.body) == config == (await groups_of(talk))[group]
        path = broker.store / "config" / "subscriptionGroup.json"
        saved = SubscriptionGroupWrapper.decode(path.read_bytes())
        assert saved.subscription_group_table[group] == config
    await talk.must(RequestCode.DELETE_SUBSCRIPTIONGROUP, DeleteSubscriptiongroup(group))
    assert group not in await groups_of(talk)


async def test_a_deleted_group_takes_its_offsets_along_when_asked_to(talk: BrokerTalk, topic: str, group: str) -> None:
    await talk.send(topic)
    await talk.beat(group, topic)
    await talk.commit(group, topic, 0, 1)
    await talk.must(RequestCode.DELETE_SUBSCRIPTIONGROUP, DeleteSubscriptiongroup(group))
    assert await talk.offset(group, topic) == 1
    await talk.must(RequestCode.DELETE_SUBSCRIPTIONGROUP, DeleteSubscriptiongroup(group, clean_offset=True))
    assert await talk.offset(group, topic) is None


@pytest.mark.parametrize("name", ["", " ", "a b", "../x", "g" * 300])
async def test_a_group_that_cannot_be_is_an_invalid_parameter(talk: BrokerTalk, group: str, name: str) -> None:
    body = SubscriptionGroupConfig(name).encode()
    answer = await talk.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, None, body)
    assert answer.code == ResponseCode.INVALID_PARAMETER
    several = SubscriptionGroupList((SubscriptionGroupConfig(group), SubscriptionGroupConfig(name))).encode()
    answer = await talk.ask(RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, None, several)
    assert answer.code == ResponseCode.INVALID_PARAMETER
    assert group not in await groups_of(talk)


async def test_a_groups_progress_is_told_by_queue(talk: BrokerTalk, topic: str, group: str) -> None:
    for _ in range(5):
        await talk.send(topic, queue_id=1)
    await talk.beat(group, topic)
    await talk.commit(group, topic, 1, 3)
    answer = await talk.must(RequestCode.GET_CONSUME_STATS, GetConsumeStats(group, topic))
    progress = ConsumeStats.decode(answer.body).offset_table[MessageQueue(topic, "broker-a", 1)]
    [_, _, third, *_] = (await talk.pull(topic, 1, 0)).messages
    assert (progress.broker_offset, progress.consumer_offset) == (5, 3)
    assert progress.last_timestamp == third.store_timestamp


# -- settings ----------------------------------------------------------------------------------------------------------


async def test_settings_are_read_and_changed_while_the_broker_runs(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker, colour="red")
    talk = dial(broker.address)
    text = (await talk.must(RequestCode.GET_BROKER_CONFIG)).body.decode()
    assert {"colour=red", "maxMessageSize=4194304", "brokerRole=ASYNC_MASTER"} <= set(text.splitlines())
    await talk.must(RequestCode.UPDATE_BROKER_CONFIG, None, b"maxMessageSize=10\nautoCreateTopicEnable=false\n")
    text = (await talk.must(RequestCode.GET_BROKER_CONFIG)).body.decode()
    assert {"maxMessageSize=10", "autoCreateTopicEnable=false"} <= set(text.splitlines())
    answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header("broker-a"), b"eleven bytes")
    assert answer.code == ResponseCode.MESSAGE_ILLEGAL
    answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header("New"))
    assert answer.code == ResponseCode.TOPIC_NOT_EXIST
    await asyncio.to_thread(broker.restart)
    text = (await talk.must(RequestCode.GET_BROKER_CONFIG)).body.decode()
    assert "maxMessageSize=10" in text.splitlines()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"listenPort=1", ResponseCode.SYSTEM_ERROR),
        (b"maxMessageSize=lots", ResponseCode.SYSTEM_ERROR),
        (b"brokerConfigPath=/x", ResponseCode.NO_PERMISSION),
        (b"configBlackList=", ResponseCode.NO_PERMISSION),
        (b"\xff\xfe\x00=\x01", ResponseCode.SYSTEM_ERROR),
    ],
)
async def test_a_setting_that_cannot_change_is_refused(talk: BrokerTalk, content: bytes, code: ResponseCode) -> None:
    before = (await talk.must(RequestCode.GET_BROKER_CONFIG)).body
    answer = await talk.ask(RequestCode.UPDATE_BROKER_CONFIG, None, content)
    assert (answer.code, bool(answer.remark)) == (code, True)
    assert (await talk.must(RequestCode.GET_BROKER_CONFIG)).body == before


async def test_a_broker_that_is_cordoned_offers_its_topics_for_reading_only(cluster: Cluster, dial: Dial) -> None:
    namesrv = await asyncio.to_thread(cluster.add_namesrv)
    broker = await asyncio.to_thread(cluster.add_broker)
    talk, names = dial(broker.address), dial(namesrv.address)
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation("T"))

    async def perm() -> int:
        answer = await names.must(RequestCode.GET_ROUTEINFO_BY_TOPIC, GetRouteinfoByTopic("T", True))
        return TopicRouteData.decode(answer.body).queue_datas[0].perm

    assert await perm() == 6
    await talk.must(RequestCode.UPDATE_BROKER_CONFIG, None, b"brokerPermission=4")

    async def is_read_only() -> bool:
        return await perm() == 4

    await eventually(is_read_only, DEADLINE)


async def test_a_broker_that_is_cordoned_takes_no_message_of_a_producer_that_has_not_heard_of_it(
    cluster: Cluster, dial: Dial
) -> None:
    broker = await asyncio.to_thread(cluster.add_broker)
    talk = dial(broker.address)
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation("T"))
    await talk.must(RequestCode.UPDATE_BROKER_CONFIG, None, b"brokerPermission=4")
    answer = await talk.ask(RequestCode.SEND_MESSAGE_V2, send_header("T"), b"body")
    assert answer.code == ResponseCode.NO_PERMISSION


# -- figures -----------------------------------------------------------------------------------------------------------


async def test_every_figure_that_tools_parse_is_there(talk: BrokerTalk) -> None:
    table = await figures(talk)
    assert set(RUNTIME_KEYS.split()) - set(table) == set()
    for key in ("putTps", "getFoundTps", "getMissTps", "getTotalTps", "getTransferredTps", "getTransferedTps"):
        assert len([float(rate) for rate in table[key].split(" ")]) == 3
    assert re.fullmatch(r"Total : [0-9.]+ GiB, Free : [0-9.]+ GiB\.", table["commitLogDirCapacity"])
    assert re.fullmatch(r"[0-9]+ B", table["remainHowManyDataToFlush"])
    assert re.fullmatch(r"(\[[^\] ]+\]:[0-9]+ ?)+", table["putMessageDistributeTime"])
    assert re.fullmatch(r"\[ \d+ days, \d+ hours, \d+ minutes, \d+ seconds \]", table["runtime"])
    numbers: Iterable[str] = (
        "msgPutTotalTodayNow", "bootTimestamp", "commitLogMinOffset", "commitLogMaxOffset", "brokerVersion",
        "earliestMessageTimeStamp", "sendThreadPoolQueueSize", "putMessageTimesTotal", "putMessageSizeTotal",
        "remainTransientStoreBufferNumbs", "dispatchBehindBytes", "putMessageEntireTimeMax",
    )  # fmt: skip
    assert [key for key in numbers if not re.fullmatch(r"-?[0-9]+", table[key])] == []
    assert [key for key in ("commitLogDiskRatio", "consumeQueueDiskRatio") if not 0 <= float(table[key]) <= 1] == []


async def test_figures_count_what_went_in_and_out(cluster: Cluster, dial: Dial) -> None:
    talk = dial((await asyncio.to_thread(cluster.add_broker)).address)
    for _ in range(5):
        await talk.send("T")
    await talk.pull("T", 0, 0)
    table = await figures(talk)
    assert (table["msgPutTotalTodayNow"], table["msgGetTotalTodayNow"]) == ("5", "5")
    assert sum(int(count) for count in re.findall(r"\]:(\d+)", table["putMessageDistributeTime"])) == 5
    assert int(table["commitLogMaxOffset"]) > 5 * 90
    assert int(table["earliestMessageTimeStamp"]) >= int(table["bootTimestamp"])


# -- messages ----------------------------------------------------------------------------------------------------------


async def test_a_message_is_found_by_its_id(talk: BrokerTalk, topic: str) -> None:
    sent = await talk.send(topic, b"body", KEYS="k")
    _, position = message_id.decode_offset_message_id(sent.msg_id)
    answer = await talk.must(RequestCode.VIEW_MESSAGE_BY_ID, ViewMessageById(position))
    message = record.decode(answer.body)
    assert (message.body, message.topic, message.position) == (b"body", topic, position)


@pytest.mark.parametrize("position", [-1, 1, 2**62])
async def test_an_id_without_a_message_is_refused(talk: BrokerTalk, topic: str, position: int) -> None:
    await talk.send(topic)
    answer = await talk.ask(RequestCode.VIEW_MESSAGE_BY_ID, ViewMessageById(position))
    assert answer.code == ResponseCode.SYSTEM_ERROR


async def test_messages_are_found_by_each_of_their_keys(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, b"one", KEYS="k1 k2", UNIQ_KEY="U1")
    await talk.send(topic, b"two", KEYS="k2", UNIQ_KEY="U2")
    await talk.send(topic + "-other", b"three", KEYS="k2")

    async def found(key: str, count: int = 32) -> list[bytes]:
        header = QueryMessage(topic, key, count, 0, 2**62)
        answer = await talk.ask(RequestCode.QUERY_MESSAGE, header)
        return sorted(message.body for message in record.decode_all(answer.body))

    assert await found("k1") == [b"one"]
    assert await found("k2") == [b"one", b"two"]
    assert await found("U2") == [b"two"]
    assert len(await found("k2", 1)) == 1
    assert await found("absent") == []
    answer = await talk.ask(RequestCode.QUERY_MESSAGE, QueryMessage(topic, "absent", 32, 0, 2**62))
    assert answer.code == ResponseCode.QUERY_NOT_FOUND


async def test_a_key_of_very_many_messages_finds_some(talk: BrokerTalk, topic: str) -> None:
    for _ in range(70):
        await talk.send(topic, KEYS="k")
    answer = await talk.must(RequestCode.QUERY_MESSAGE, QueryMessage(topic, "k", 2**31 - 1, 0, 2**62))
    assert len(record.decode_all(answer.body)) == 64


async def test_the_unique_key_that_the_broker_gave_finds_the_message(talk: BrokerTalk, topic: str) -> None:
    await talk.send(topic, b"body")
    [message] = (await talk.pull(topic, 0, 0)).messages
    key = properties.decode(message.properties)["UNIQ_KEY"]
    answer = await talk.must(RequestCode.QUERY_MESSAGE, QueryMessage(topic, key, 32, 0, 2**62))
    assert record.decode_all(answer.body) == [message]
