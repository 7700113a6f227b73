"""Administration of single servers by their addresses: what an operator needs, who knows where everybody is.

`Admin` finds servers through name servers and acts on all of them; this acts on the one that it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

from rocket_client.asking import Asking
from rocket_client.errors import ClientClosed
from rocket_client.instance import Instance
from rocket_wire.bodies.body import Body
from rocket_wire.bodies.groups import SubscriptionGroupConfig, SubscriptionGroupList, SubscriptionGroupWrapper
from rocket_wire.bodies.offsets import ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper
from rocket_wire.bodies.replication import HARuntimeInfo
from rocket_wire.bodies.route import ClusterInfo
from rocket_wire.bodies.stats import TopicOffset, TopicStatsTable
from rocket_wire.bodies.topics import CreateTopicListRequestBody, TopicConfig, TopicConfigSerializeWrapper
from rocket_wire.codes import RequestCode
from rocket_wire.headers import routes, topics
from rocket_wire.topic_names import AUTO_CREATE_TOPIC, DLQ_PREFIX, RETRY_PREFIX, SCHEDULE_TOPIC

B = TypeVar("B", bound=Body)

#: Consumer groups by topic.
Readers = Mapping[str, Collection[str]]

_TIMEOUT: Final = 5.0
#: Topics whose messages are nobody's to consume.
_SYSTEM_TOPICS: Final = frozenset(
    {
        AUTO_CREATE_TOPIC, "SELF_TEST_TOPIC", "RMQ_SYS_SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT",
        "RMQ_SYS_OFFSET_MOVED_EVENT", "RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRANS_OP_HALF_TOPIC",
        "TRANS_CHECK_MAX_TIME_TOPIC", SCHEDULE_TOPIC,
    }
)  # fmt: skip
#: So many topics are asked for at once.
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages on one broker that are not consumed: of a topic by a consumer group, or by nobody where it is empty."""

    topic: str
    group: str
    remaining: int


@dataclass(frozen=True, slots=True)
class SlaveState:
    """A slave as its master sees it; `behind` in bytes of the log."""

    address: str
    behind: int
    in_sync: bool


class ServerAdmin(Asking):
    """Administers name servers and brokers by address, from one asyncio event loop.

    Every method raises NoAnswer or BrokerError where the server does not answer, or refuses.

    Example:

        async with ServerAdmin() as servers:
            known = await servers.known_brokers("localhost:9876")
            for name, broker in known.broker_addr_table.items():
                for backlog in await servers.backlog(broker.broker_addrs[0]):
                    print(name, backlog.topic, backlog.group, backlog.remaining)
    """

    def __init__(self, timeout: float = _TIMEOUT) -> None:
        """`timeout` is for each request, seconds."""
        super().__init__(Instance(None), timeout)

    async def __aenter__(self) -> Self:
        if self._instance.is_open:
            raise ClientClosed("the admin was started already")
        await self._instance.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._instance.close()

    # -- settings and replication ---------------------------------------------------------------------------------

    async def slaves(self, address: str) -> list[SlaveState]:
        """The slaves that are connected to a master."""
        status = await self._body(HARuntimeInfo, address, RequestCode.GET_BROKER_HA_STATUS)
        return [SlaveState(each.addr, each.diff, each.in_sync) for each in status.ha_connection_info]

    # -- topics and consumer groups -------------------------------------------------------------------------------

    async def topics(self, address: str) -> dict[str, TopicConfig]:
        """All topics of a broker, system topics included."""
        found = await self._body(TopicConfigSerializeWrapper, address, RequestCode.GET_ALL_TOPIC_CONFIG)
        return found.topic_config_table

    async def update_topics(self, address: str, configs: Sequence[TopicConfig]) -> None:
        """Makes topics on a broker, or changes them to what is said."""
        body = CreateTopicListRequestBody(tuple(configs)).encode()
        await self._ask(address, RequestCode.UPDATE_AND_CREATE_TOPIC_LIST, body=body)

    async def delete_topic(self, address: str, topic: str) -> None:
        """Removes a topic from a broker. Its messages there are gone."""
        await self._ask(address, RequestCode.DELETE_TOPIC_IN_BROKER, topics.DeleteTopicInBroker(topic=topic))

    async def hand_over(self, address: str, member: str = "") -> None:
        """Has a master let another member of its group lead, `member` or whichever is quickest. Raises RocketError."""
        await self._ask(address, RequestCode.HAND_OVER_GROUP, topics.HandOverGroup(member or None))

    async def groups(self, address: str) -> dict[str, SubscriptionGroupConfig]:
        """All consumer groups of a broker."""
        found = await self._body(SubscriptionGroupWrapper, address, RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)
        return found.subscription_group_table

    async def update_groups(self, address: str, configs: Sequence[SubscriptionGroupConfig]) -> None:
        """Makes consumer groups on a broker, or changes them to what is said."""
        body = SubscriptionGroupList(tuple(configs)).encode()
        await self._ask(address, RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, body=body)

    async def delete_group(self, address: str, group: str, *, clean_offsets: bool = True) -> None:
        """Removes a consumer group from a broker, with its offsets where `clean_offsets`."""
        header = topics.DeleteSubscriptiongroup(group_name=group, clean_offset=clean_offsets)
        await self._ask(address, RequestCode.DELETE_SUBSCRIPTIONGROUP, header)

    # -- what is left to consume ----------------------------------------------------------------------------------

    async def readers(self, address: str) -> dict[str, frozenset[str]]:
        """The consumer groups that have read each topic of a broker, by topic."""
        return {topic: frozenset(groups) for topic, groups in (await self._consumed(address)).items()}

    async def backlog(self, address: str, readers: Readers | None = None) -> list[Backlog]:
        """Every message on a broker that somebody has yet to consume, retries and delayed ones included.

        `readers` are consumer groups that read a topic on other brokers: they will read it here, too, though they may
        not have begun. Delayed messages are looked at before and after the topics: one that is delivered meanwhile, or
        sent back to be retried later, is told all the same. Dead letters do not count: who wants them looks for them.
        A topic that no consumer group reads is nobody's; all that it holds is told with an empty group.
        """
        delayed = await self._delayed(address)
        names = [name for name in await self.topics(address) if not _is_system(name)]
        consumed = await self._consumed(address)
        for topic, groups in (*(readers or {}).items(), *_retried(names, await self.groups(address))):
            consumed[topic] = {group: {} for group in groups} | consumed.get(topic, {})
        found: list[Backlog] = []
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            for name, ends in zip(
                some, await asyncio.gather(*(self._ends(address, each) for each in some)), strict=True
            ):
                found += remaining(name, ends, consumed.get(name, {}))
        return found + _larger(delayed, await self._delayed(address))

    async def _consumed(self, address: str) -> dict[str, dict[str, Mapping[int, int]]]:
        """Offsets by topic, consumer group and queue id."""
        offsets = await self._body(ConsumerOffsetSerializeWrapper, address, RequestCode.GET_ALL_CONSUMER_OFFSET)
        return _by_topic(offsets.offset_table)

    async def _ends(self, address: str, topic: str) -> dict[int, TopicOffset]:
        header = topics.GetTopicStatsInfo(topic=topic)
        table = await self._body(TopicStatsTable, address, RequestCode.GET_TOPIC_STATS_INFO, header)
        return {queue.queue_id: ends for queue, ends in table.offset_table.items()}

    async def _delayed(self, address: str) -> list[Backlog]:
        """What waits to be delivered later, by level: level n waits in queue n - 1."""
        answer = await self._body(DelayOffsetSerializeWrapper, address, RequestCode.GET_ALL_DELAY_OFFSET)
        ends = await self._ends(address, SCHEDULE_TOPIC)
        waiting = {
            queue + 1: end.max_offset - max(end.min_offset, answer.offset_table.get(queue + 1, 0))
            for queue, end in ends.items()
        }
        return [
            Backlog(SCHEDULE_TOPIC, f"delay level {level}", number) for level, number in waiting.items() if number > 0
        ]

    # -- name servers ---------------------------------------------------------------------------------------------

    async def known_brokers(self, name_server: str) -> ClusterInfo:
        """The brokers that one name server knows."""
        return await self._body(ClusterInfo, name_server, RequestCode.GET_BROKER_CLUSTER_INFO)

    async def unregister_broker(self, name_server: str, header: routes.UnregisterBroker) -> None:
        """Has one name server forget one broker."""
        await self._ask(name_server, RequestCode.UNREGISTER_BROKER, header)


def remaining(
    topic: str, ends: Mapping[int, TopicOffset], consumed: Mapping[str, Mapping[int, int]]
) -> Iterator[Backlog]:
    """A topic's backlogs: `ends` by queue id, `consumed` by consumer group and queue id.

    A queue that a group has no offset for is one that it has not begun.
    """
    for group, offsets in consumed.items():
        left = sum(max(0, end.max_offset - offsets.get(queue, end.min_offset)) for queue, end in ends.items())
        if left:
            yield Backlog(topic, group, left)
    held = sum(end.max_offset - end.min_offset for end in ends.values())
    if held and not consumed:
        yield Backlog(topic, "", held)


def _retried(names: Iterable[str], groups: Collection[str]) -> Iterator[tuple[str, Collection[str]]]:
    """Who reads topics of retries: the group in their name, though it may not have begun."""
    for name in names:
        group = name.removeprefix(RETRY_PREFIX)
        if name.startswith(RETRY_PREFIX) and group in groups:
            yield name, (group,)


def _larger(before: Iterable[Backlog], after: Iterable[Backlog]) -> list[Backlog]:
    """Of two looks at the same backlogs, what the larger one says of each."""
    found = {each.group: each for each in before}
    for each in after:
        if each.group not in found or found[each.group].remaining < each.remaining:
            found[each.group] = each
    return list(found.values())


def _by_topic(table: Mapping[str, Mapping[int, int]]) -> dict[str, dict[str, Mapping[int, int]]]:
    """Offsets by `topic@group` → by topic, by group."""
    found: dict[str, dict[str, Mapping[int, int]]] = {}
    for key, offsets in table.items():
        topic, _, group = key.partition("@")
        found.setdefault(topic, {})[group] = offsets
    return found


def _is_system(topic: str) -> bool:
    return topic in _SYSTEM_TOPICS or topic.startswith((DLQ_PREFIX, "rmq_sys_"))
