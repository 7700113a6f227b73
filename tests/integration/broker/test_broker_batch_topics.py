"""Topics with queue.type=BatchCQ: a batch that is sent to one is stored, pulled and counted as one record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rocket_broker.store.tools.findings import Verdict
from rocket_broker.store.tools.verify import verify
from rocket_testing.broker_talk import BrokerTalk, Dial, send_header
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.waiting import eventually
from rocket_wire import properties, record
from rocket_wire.bodies.stats import TopicStatsTable
from rocket_wire.bodies.topics import CreateTopicListRequestBody, TopicConfig
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command
from rocket_wire.headers.offsets import GetMaxOffset, GetMinOffset, SearchOffsetByTimestamp
from rocket_wire.headers.send import ConsumerSendMsgBack, SendMessageAnswer
from rocket_wire.headers.topics import (
    DeleteTopicInBroker,
    GetAllTopicConfig,
    GetTopicConfig,
    GetTopicStatsInfo,
    UpdateAndCreateTopic,
)
from rocket_wire.inner_batch import BITS, unwrapped
from rocket_wire.record import BatchItem, join_batch

BATCHES = {"queue.type": "BatchCQ"}


def creation(topic: str, attributes: str = "+queue.type=BatchCQ") -> UpdateAndCreateTopic:
    return UpdateAndCreateTopic(topic, "TBW102", 2, 2, 6, "SINGLE_TAG", attributes=attributes)


async def send_batch(talk: BrokerTalk, topic: str, bodies: list[bytes], key: str = "whole", **more: str) -> Command:
    """The answer to a batch; with a `key` of its own, as Java's clients give it."""
    items = [BatchItem(body, properties.encode({"UNIQ_KEY": body.decode()})) for body in bodies]
    header = send_header(topic, **({"UNIQ_KEY": key} if key else {}), WAIT="true", **more)
    return await talk.ask(RequestCode.SEND_BATCH_MESSAGE, header, join_batch(items))


async def sent(talk: BrokerTalk, topic: str, bodies: list[bytes], key: str = "whole", **more: str) -> SendMessageAnswer:
    answer = await send_batch(talk, topic, bodies, key, **more)
    answer.raise_for_code()
    return answer.header(SendMessageAnswer)


def parts(records: list[record.Message]) -> list[tuple[int, bytes]]:
    return [(part.queue_offset, part.body) for stored in records for part in unwrapped(stored)]


async def ends(talk: BrokerTalk, topic: str) -> tuple[int, int]:
    low = await talk.must(RequestCode.GET_MIN_OFFSET, GetMinOffset(topic, 0))
    high = await talk.must(RequestCode.GET_MAX_OFFSET, GetMaxOffset(topic, 0))
    return int(low.fields()["offset"]), int(high.fields()["offset"])


@pytest.fixture
async def batch_topic(talk: BrokerTalk, topic: str) -> str:
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic))
    return topic


async def test_a_batch_is_one_record_and_the_answer_names_its_key(talk: BrokerTalk, batch_topic: str) -> None:
    first = await sent(talk, batch_topic, [b"a", b"b", b"c"])
    second = await sent(talk, batch_topic, [b"d", b"e"], "another")
    assert (first.queue_offset, first.batch_uniq_id, "," in first.msg_id) == (0, "whole", False)
    assert (second.queue_offset, second.batch_uniq_id) == (3, "another")
    pulled = await talk.pull(batch_topic, 0, 0)
    assert [(stored.queue_offset, stored.sys_flag) for stored in pulled.messages] == [(0, BITS), (3, BITS)]
    assert properties.decode(pulled.messages[1].properties) == {
        "UNIQ_KEY": "another", "WAIT": "true", "INNER_NUM": "2", "INNER_BASE": "3",
        "MSG_REGION": "DefaultRegion", "TRACE_ON": "true", "CLUSTER": "DefaultCluster",
    }  # fmt: skip
    assert parts(pulled.messages) == list(enumerate([b"a", b"b", b"c", b"d", b"e"]))


async def test_a_pull_from_inside_of_a_batch_gets_the_whole_of_it(talk: BrokerTalk, batch_topic: str) -> None:
    await sent(talk, batch_topic, [b"a", b"b", b"c"])
    await talk.send(batch_topic, b"alone")
    await sent(talk, batch_topic, [b"e", b"f"])
    for offset, found, following in ((1, b"abc", 3), (2, b"abc", 3), (3, b"alone", 4), (4, b"ef", 6), (5, b"ef", 6)):
        pulled = await talk.pull(batch_topic, 0, offset, max_messages=1)
        assert b"".join(body for _, body in parts(pulled.messages)) == found
        assert pulled.header.next_begin_offset == following
        assert (pulled.header.min_offset, pulled.header.max_offset) == (0, 6)
    assert await ends(talk, batch_topic) == (0, 6)
    assert len(await talk.read(batch_topic)) == 3


async def test_a_pull_that_waits_inside_of_what_comes_is_woken(talk: BrokerTalk, batch_topic: str) -> None:
    await sent(talk, batch_topic, [b"a"])
    waiting = asyncio.ensure_future(talk.pull(batch_topic, 0, 1, suspend_ms=9000))
    await sent(talk, batch_topic, [b"b", b"c"])
    assert parts((await asyncio.wait_for(waiting, 5)).messages) == [(1, b"b"), (2, b"c")]


async def test_without_a_key_of_its_own_a_batch_is_as_many_records(talk: BrokerTalk, batch_topic: str) -> None:
    """Whoever sends so may not be able to take one apart: our own client, and Java's of version 4."""
    answer = await sent(talk, batch_topic, [b"a", b"b"], key="")
    assert (answer.batch_uniq_id, answer.msg_id.count(",")) == (None, 1)
    await sent(talk, batch_topic, [b"c"])
    assert [stored.sys_flag for stored in await talk.read(batch_topic)] == [0, 0, BITS]
    assert parts(await talk.read(batch_topic)) == [(0, b"a"), (1, b"b"), (2, b"c")]


async def test_in_other_topics_a_batch_is_as_many_records(talk: BrokerTalk, topic: str) -> None:
    answer = await sent(talk, topic, [b"a", b"b"])
    assert answer.batch_uniq_id is None
    assert [stored.sys_flag for stored in await talk.read(topic, answer.queue_id)] == [0, 0]


async def test_what_is_no_batch_is_refused(talk: BrokerTalk, batch_topic: str) -> None:
    header = send_header(batch_topic, UNIQ_KEY="whole")
    for body in (b"", b"no batch", join_batch([BatchItem(b"a", b"")])[:-1]):
        answer = await talk.ask(RequestCode.SEND_BATCH_MESSAGE, header, body)
        assert answer.code == ResponseCode.MESSAGE_ILLEGAL
    answer = await talk.ask(RequestCode.SEND_BATCH_MESSAGE, header, join_batch([BatchItem(b"", b"")] * 32_768))
    assert answer.code == ResponseCode.MESSAGE_ILLEGAL
    assert await ends(talk, batch_topic) == (0, 0)


async def test_a_batch_of_as_many_messages_as_an_entry_can_count(talk: BrokerTalk, batch_topic: str) -> None:
    header = send_header(batch_topic, UNIQ_KEY="whole")
    await talk.must(RequestCode.SEND_BATCH_MESSAGE, header, join_batch([BatchItem(b"", b"")] * 32_767))
    assert await ends(talk, batch_topic) == (0, 32_767)
    assert (await talk.pull(batch_topic, 0, 32_766)).header.next_begin_offset == 32_767


async def test_times_and_statistics_count_messages(talk: BrokerTalk, batch_topic: str) -> None:
    await sent(talk, batch_topic, [b"a", b"b", b"c"])
    [stored] = await talk.read(batch_topic)
    found = await talk.must(
        RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, SearchOffsetByTimestamp(batch_topic, 0, stored.store_timestamp)
    )
    assert found.fields()["offset"] == "0"
    later = SearchOffsetByTimestamp(batch_topic, 0, stored.store_timestamp + 1)
    assert (await talk.must(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, later)).fields()["offset"] == "3"
    answer = await talk.must(RequestCode.GET_TOPIC_STATS_INFO, GetTopicStatsInfo(batch_topic))
    offsets = [each for queue, each in TopicStatsTable.decode(answer.body).offset_table.items() if queue.queue_id == 0]
    assert [(each.min_offset, each.max_offset, each.last_update_timestamp) for each in offsets] == [
        (0, 3, stored.store_timestamp)
    ]


async def test_a_batch_is_not_taken_back_as_a_whole(talk: BrokerTalk, batch_topic: str, group: str) -> None:
    """Nobody knows which of its messages failed: clients then send that one anew."""
    await sent(talk, batch_topic, [b"a", b"b"])
    [stored] = await talk.read(batch_topic)
    answer = await talk.ask(RequestCode.CONSUMER_SEND_MSG_BACK, ConsumerSendMsgBack(stored.position, group, 1))
    assert answer.code == ResponseCode.SYSTEM_ERROR
    assert "MESSAGE_ILLEGAL" in (answer.remark or "")


async def test_a_deleted_topic_begins_anew(talk: BrokerTalk, broker: Broker, batch_topic: str) -> None:
    await sent(talk, batch_topic, [b"a", b"b"])
    folder = broker.store / "batchconsumequeue" / batch_topic
    await eventually(folder.exists, 10)
    await talk.must(RequestCode.DELETE_TOPIC_IN_BROKER, DeleteTopicInBroker(batch_topic))
    assert not folder.exists()
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(batch_topic, ""))
    assert (await sent(talk, batch_topic, [b"c", b"d"])).batch_uniq_id is None
    assert parts(await talk.read(batch_topic)) == [(0, b"c"), (1, b"d")]


# -- the attribute -----------------------------------------------------------------------------------------------------


async def attributes(talk: BrokerTalk, topic: str) -> dict[str, str]:
    return TopicConfig.decode((await talk.must(RequestCode.GET_TOPIC_CONFIG, GetTopicConfig(topic))).body).attributes


@pytest.mark.parametrize(
    ("at_first", "change"),
    [
        ("+queue.type=BatchCQ", "+queue.type=SimpleCQ"),
        ("+queue.type=BatchCQ", "-queue.type"),
        ("+queue.type=SimpleCQ", "+queue.type=BatchCQ"),
        ("", "+queue.type=BatchCQ"),
        ("", "+queue.type=SimpleCQ"),
    ],
)
async def test_a_topic_cannot_change_its_kind(talk: BrokerTalk, topic: str, at_first: str, change: str) -> None:
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic, at_first))
    before = await attributes(talk, topic)
    answer = await talk.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic, change))
    assert answer.code == ResponseCode.SYSTEM_ERROR
    assert answer.remark == "attempt to update an unchangeable attribute. key: queue.type"
    listed = TopicConfig(topic, 2, 2, attributes={change.partition("=")[0]: change.partition("=")[2]})
    body = CreateTopicListRequestBody([listed]).encode()
    assert (await talk.ask(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, None, body)).code == ResponseCode.SYSTEM_ERROR
    assert await attributes(talk, topic) == before


async def test_its_other_attributes_and_queues_may_change(talk: BrokerTalk, batch_topic: str) -> None:
    again = "+queue.type=BatchCQ,+message.type=NORMAL"
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(batch_topic, again))
    assert await attributes(talk, batch_topic) == BATCHES | {"message.type": "NORMAL"}


async def test_a_kind_that_does_not_exist_is_refused(talk: BrokerTalk, topic: str) -> None:
    answer = await talk.ask(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic, "+queue.type=RocksDBCQ"))
    assert answer.code == ResponseCode.SYSTEM_ERROR
    assert "value is not in set" in (answer.remark or "")


async def test_a_list_of_topics_names_attributes_as_changes(talk: BrokerTalk, topic: str) -> None:
    body = CreateTopicListRequestBody([TopicConfig(topic, 2, 2, attributes={"+queue.type": "BatchCQ"})]).encode()
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, None, body)
    assert await attributes(talk, topic) == BATCHES
    assert (await sent(talk, topic, [b"a", b"b"])).batch_uniq_id == "whole"


# -- restarts and slaves -----------------------------------------------------------------------------------------------


async def test_after_a_kill_and_a_stop_everything_is_there(cluster: Cluster, dial: Dial, topic: str) -> None:
    cluster.add_namesrv()
    broker = cluster.add_broker(mappedFileSizeCommitLog="65536", mapperFileSizeBatchConsumeQueue="460")
    talk = dial(broker.address)
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic))
    wanted: list[bytes] = []
    for end in (broker.kill, broker.stop, broker.kill):
        for number in range(20):
            bodies = [b"%d of %d, after %d" % (part, number, len(wanted)) for part in range(number % 5 + 1)]
            assert (await sent(talk, topic, bodies)).queue_offset == len(wanted)
            wanted += bodies
            await talk.send(topic, b"alone")
            wanted.append(b"alone")
        await asyncio.to_thread(end)
        await asyncio.to_thread(broker.start)
        assert parts(await talk.read(topic)) == list(enumerate(wanted))
    await asyncio.to_thread(broker.stop)
    assert verify(broker.store).report.verdict is Verdict.WHOLE
    await asyncio.to_thread(broker.start)
    for name in ("topics.json", "topics.json.bak"):
        await asyncio.to_thread(lost, broker, broker.store / "config" / name)
    assert await attributes(talk, topic) == BATCHES
    assert (await sent(talk, topic, [b"last", b"message"])).queue_offset == len(wanted)


def lost(broker: Broker, path: Path) -> None:
    broker.stop()
    path.unlink(missing_ok=True)
    broker.start()


async def test_a_slave_that_does_not_know_the_topic_yet_has_its_batches(
    shared_cluster: Cluster, cluster: Cluster, dial: Dial, topic: str
) -> None:
    of_group = {"namesrvAddr": shared_cluster.namesrv, "brokerName": f"pair-of-{topic}", "slaveReadEnable": "true"}
    master = await asyncio.to_thread(lambda: cluster.add_broker(**of_group))
    slave = await asyncio.to_thread(lambda: cluster.add_broker(**of_group, brokerId="1", brokerRole="SLAVE"))
    to_master, to_slave = dial(master.address), dial(slave.address)
    await to_master.must(RequestCode.UPDATE_AND_CREATE_TOPIC, creation(topic))
    await to_master.send(topic, b"alone")
    for number in range(5):
        await sent(to_master, topic, [b"%d.%d" % (number, part) for part in range(3)])

    async def has_all() -> bool:
        return (await to_slave.ask(RequestCode.GET_MAX_OFFSET, GetMaxOffset(topic, 0))).fields().get("offset") == "16"

    await eventually(has_all, 20)
    wanted = parts(await to_master.read(topic))
    assert len(wanted) == 16

    async def reads_all() -> bool:
        table = await to_slave.must(RequestCode.GET_ALL_TOPIC_CONFIG, GetAllTopicConfig())
        return topic.encode() in table.body and parts((await to_slave.pull(topic, 0, 0)).messages) == wanted

    await eventually(reads_all, 20)
    await asyncio.to_thread(slave.stop)
    assert [path.name for path in (slave.store / "batchconsumequeue").iterdir()] == [topic]
