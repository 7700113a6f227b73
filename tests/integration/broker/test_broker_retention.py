"""Old messages go when they may, when they must, and when somebody asks."""

from __future__ import annotations

from rocket_testing.broker_talk import BrokerTalk, Dial, send_header
from rocket_testing.cluster import Broker, Cluster
from rocket_testing.waiting import eventually
from rocket_wire.bodies.stats import TopicStatsTable
from rocket_wire.codes import RequestCode
from rocket_wire.headers.topics import GetTopicStatsInfo, UpdateAndCreateTopic


def one_queue(topic: str) -> UpdateAndCreateTopic:
    return UpdateAndCreateTopic(topic, "TBW102", 1, 1, 6, "SINGLE_TAG", attributes="")


async def test_an_over_full_disk_lets_old_messages_go_where_somebody_chose_that_and_at_once_when_asked(
    cluster: Cluster, dial: Dial
) -> None:
    broker = cluster.add_broker(
        mappedFileSizeCommitLog="65536", diskSpaceCleanForciblyRatio="1", cleanFileForciblyEnable="true"
    )
    talk = dial(broker.address)
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, one_queue("T"))
    for _ in range(10):
        await talk.must(RequestCode.SEND_MESSAGE_V2, send_header("T"), bytes(30_000))
    await talk.must(RequestCode.DELETE_EXPIRED_COMMITLOG)

    async def is_shorter() -> bool:
        return (await stats_of(talk, "T"))[0] > 0

    await eventually(is_shorter)
    await talk.must(RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE)
    first, last = await stats_of(talk, "T")
    assert 0 < first < last == 10
    assert "go before their time (cleanFileForciblyEnable)" in broker.run_log()


async def test_cleaning_unused_topics_leaves_those_that_are_used(broker: Broker, talk: BrokerTalk) -> None:
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, one_queue("InUse"))
    await talk.must(RequestCode.SEND_MESSAGE_V2, send_header("InUse"), b"body")
    await talk.must(RequestCode.CLEAN_UNUSED_TOPIC)
    assert await stats_of(talk, "InUse") == (0, 1)


async def stats_of(talk: BrokerTalk, topic: str) -> tuple[int, int]:
    """The first and the next offset of a topic's one queue."""
    answer = await talk.must(RequestCode.GET_TOPIC_STATS_INFO, GetTopicStatsInfo(topic))
    [offset] = TopicStatsTable.decode(answer.body).offset_table.values()
    return offset.min_offset, offset.max_offset
