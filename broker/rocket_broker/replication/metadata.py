"""What a slave fetches besides the log: topics, consumer groups, offsets, every 10 s (protocol section 5.3).

Offsets speak of messages. A slave whose log lacks those, since its disk is full or it is far behind, must not take them
over: promoted, it would skip what it never had, or what comes in its place. So the master is asked where its log ends
after it gave its tables, and they count once the slave's log reaches that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rocket_broker.delay import DelayOffsets
from rocket_broker.groups import ConsumerGroups
from rocket_broker.offsets import ConsumerOffsets
from rocket_broker.replication.link import MasterLink
from rocket_broker.saved import Saver
from rocket_broker.store.errors import StoreError
from rocket_broker.store.store import MessageStore
from rocket_broker.topics import Topics
from rocket_net.client import Client
from rocket_net.errors import TransportError
from rocket_wire.bodies.groups import SubscriptionGroupWrapper
from rocket_wire.bodies.offsets import ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper
from rocket_wire.bodies.registration import KVTable
from rocket_wire.bodies.topics import TopicConfigSerializeWrapper
from rocket_wire.codes import RequestCode
from rocket_wire.command import request
from rocket_wire.errors import ProtocolError, RequestError

log = logging.getLogger("rocket.replication")

PERIOD_SECONDS: Final = 10.0
_EARLY_SECONDS: Final = 1.0
_CALL_SECONDS: Final = 3.0
#: How long a slave may take to reach what its master's tables speak of, and how often it looks.
_REACH_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.02


@dataclass(slots=True)
class Metadata:
    """The slave's tables and their files."""

    topics: Topics
    groups: ConsumerGroups
    offsets: ConsumerOffsets
    delay_offsets: DelayOffsets
    savers: dict[str, Saver]
    topics_changed: Callable[[], None]
    store: MessageStore


class MetadataFollower:
    """Copies the master's tables into a slave's while it runs."""

    def __init__(self, link: MasterLink, metadata: Metadata) -> None:
        self._link = link
        self._metadata = metadata
        self._client = Client()
        self.is_synchronized = False
        self._told = ""

    async def run(self) -> None:
        """Never returns."""
        while True:
            if self._link.address:
                await self._fetch_all(self._link.address)
            await asyncio.sleep(PERIOD_SECONDS if self.is_synchronized else _EARLY_SECONDS)

    async def stop(self) -> None:
        await self._client.close()

    async def _fetch_all(self, master: str) -> None:
        try:
            before = self._metadata.store.max_position
            topics = TopicConfigSerializeWrapper.decode(await self._ask(master, RequestCode.GET_ALL_TOPIC_CONFIG))
            gone = self._take_topics(topics)
            groups = await self._ask(master, RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)
            self._take_groups(SubscriptionGroupWrapper.decode(groups))
            offsets = await self._ask(master, RequestCode.GET_ALL_CONSUMER_OFFSET)
            delays = await self._ask(master, RequestCode.GET_ALL_DELAY_OFFSET)
            figures = KVTable.decode(await self._ask(master, RequestCode.GET_BROKER_RUNTIME_INFO)).table
            await self._reached(int(figures["commitLogMaxOffset"]))
            self._delete(gone, before)
            self._take_offsets(ConsumerOffsetSerializeWrapper.decode(offsets))
            self._take_delays(DelayOffsetSerializeWrapper.decode(delays))
        except (TransportError, RequestError, ProtocolError, StoreError, KeyError, ValueError) as error:
            if str(error) != self._told:
                log.warning("topics and offsets of master %s are not taken over: %s; trying on", master, error)
            self._told, self.is_synchronized = str(error), False
        else:
            self._told, self.is_synchronized = "", True

    async def _reached(self, end: int) -> None:
        """Returns once the own log reaches `end`. Raises StoreError where that takes long, or nobody is followed."""
        store = self._metadata.store
        deadline = asyncio.get_running_loop().time() + _REACH_SECONDS
        while store.max_position < end or not self._link.is_connected:
            if asyncio.get_running_loop().time() > deadline:
                raise StoreError("they speak of more than this slave's log has")
            await asyncio.sleep(_LOOK_SECONDS)

    def _delete(self, gone: list[str], before: int) -> None:
        """The queues of topics that the master no longer has. What came since the master was asked is a new topic's."""
        store = self._metadata.store
        for topic in gone:
            is_known = topic in self._metadata.topics.table or self._metadata.topics.is_system(topic)
            if not is_known and not store.has_since(topic, before):
                store.delete_topic(topic)
                log.info("topic %s is deleted, as on the master", topic)

    async def _ask(self, master: str, code: RequestCode) -> bytes:
        reply = await self._client.call(master, request(code), _CALL_SECONDS)
        reply.raise_for_code()
        return reply.body

    def _take_topics(self, fetched: TopicConfigSerializeWrapper) -> list[str]:
        """Returns the topics that have queues here and that the master does not have."""
        topics = self._metadata.topics
        if fetched.data_version != topics.version:
            topics.replace_all(fetched.topic_config_table, fetched.data_version)
            self._metadata.savers["topics"].save()
            self._metadata.topics_changed()
        stored = {topic for topic, _ in self._metadata.store.queues()}
        return sorted(stored - fetched.topic_config_table.keys())

    def _take_groups(self, fetched: SubscriptionGroupWrapper) -> None:
        groups = self._metadata.groups
        if fetched.data_version == groups.version:
            return
        groups.restore(fetched)
        self._metadata.savers["groups"].save()

    def _take_offsets(self, fetched: ConsumerOffsetSerializeWrapper) -> None:
        if fetched.offset_table != self._metadata.offsets.table:
            self._metadata.offsets.restore(fetched)

    def _take_delays(self, fetched: DelayOffsetSerializeWrapper) -> None:
        delays = self._metadata.delay_offsets
        if fetched.offset_table != delays.table:
            delays.restore(fetched)
            self._metadata.savers["delays"].save()
