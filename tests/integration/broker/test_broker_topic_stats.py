"""What a broker tells of a topic's queues, and how far every consumer group is in them (protocol section 3.4)."""

from __future__ import annotations

from rocket_testing.broker_talk import BrokerTalk
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.stats import ConsumeStatsList, TopicStatsTable
from rocket_wire.codes import RequestCode
from rocket_wire.headers.topics import GetBrokerConsumeStats, GetTopicStatsInfo, UpdateAndCreateTopic


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


async def test_every_groups_progress_is_told_at_once(talk: BrokerTalk, topic: str, group: str) -> None:
    for _ in range(5):
        await talk.send(topic, queue_id=1)
    await talk.beat(group, topic)
    await talk.commit(group, topic, 1, 3)
    answer = await talk.must(RequestCode.GET_BROKER_CONSUME_STATS, GetBrokerConsumeStats(False))
    told = ConsumeStatsList.decode(answer.body)
    [progress] = [one[group] for one in told.consume_stats_list if group in one]
    [ours] = [stats.offset_table for stats in progress if MessageQueue(topic, "broker-a", 1) in stats.offset_table]
    queue = ours[MessageQueue(topic, "broker-a", 1)]
    assert (queue.broker_offset, queue.consumer_offset) == (5, 3)
    assert told.total_diff >= 2
    assert told.broker_addr == talk.address


async def test_of_ordered_topics_only_nothing_is_told_of_others(talk: BrokerTalk, topic: str, group: str) -> None:
    await talk.send(topic)
    await talk.beat(group, topic)
    await talk.commit(group, topic, 0, 0)
    answer = await talk.must(RequestCode.GET_BROKER_CONSUME_STATS, GetBrokerConsumeStats(True))
    [progress] = [one[group] for one in ConsumeStatsList.decode(answer.body).consume_stats_list if group in one]
    assert not [queue for stats in progress for queue in stats.offset_table if queue.topic == topic]
