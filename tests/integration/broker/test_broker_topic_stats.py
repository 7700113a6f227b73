"""What a broker tells of a topic's queues (protocol section 3, GET_TOPIC_STATS_INFO)."""

from __future__ import annotations

from rocket_testing.broker_talk import BrokerTalk
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.stats import TopicStatsTable
from rocket_wire.codes import RequestCode
from rocket_wire.headers.topics import GetTopicStatsInfo, UpdateAndCreateTopic


async def test_a_topics_queues_are_told_with_their_ends(talk: BrokerTalk, topic: str) -> None:
    for _ in range(3):
        await talk.send(topic, queue_id=2)
    [last] = (await talk.pull(topic, 2, 2)).messages
    answer = await talk.must(RequestCode.GET_TOPIC_STATS_INFO, GetTopicStatsInfo(topic))
    table = TopicStatsTable.decode(answer.body).offset_table
    assert sorted(queue.queue_id for queue in table) == [0, 1, 2, 3]
    ends = table[MessageQueue(topic, "broker-a", 2)]
    assert (ends.min_offset, ends.max_offset, ends.last_update_timestamp) == (0, 3, last.store_timestamp)
    assert table[MessageQueue(topic, "broker-a", 0)].max_offset == 0


async def test_a_queue_that_its_topic_no_longer_has_is_told_while_it_holds_messages(
    talk: BrokerTalk, topic: str
) -> None:
    await talk.send(topic, queue_id=3)
    await talk.must(RequestCode.UPDATE_AND_CREATE_TOPIC, UpdateAndCreateTopic(topic, "TBW102", 2, 2, 6, "SINGLE_TAG"))
    answer = await talk.must(RequestCode.GET_TOPIC_STATS_INFO, GetTopicStatsInfo(topic))
    table = TopicStatsTable.decode(answer.body).offset_table
    assert {queue.queue_id: ends.max_offset for queue, ends in table.items()} == {0: 0, 1: 0, 3: 1}
