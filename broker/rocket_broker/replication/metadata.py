"""What a slave fetches besides the log: topics, consumer groups, offsets, every 10 s (protocol section 5.3)."""

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
from rocket_broker.topics import Topics
from rocket_net.client import Client
from rocket_net.errors import TransportError
from rocket_wire.bodies.groups import SubscriptionGroupWrapper
from rocket_wire.bodies.offsets import ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper
from rocket_wire.bodies.topics import TopicConfigSerializeWrapper
from rocket_wire.codes import RequestCode
from rocket_wire.command import request
from rocket_wire.errors import ProtocolError, RequestError

log = logging.getLogger("rocket.replication")

PERIOD_SECONDS: Final = 10.0
_EARLY_SECONDS: Final = 1.0
_CALL_SECONDS: Final = 3.0


@dataclass(slots=True)
class Metadata:
    """The slave's tables and their files."""

    topics: Topics
    groups: ConsumerGroups
    offsets: ConsumerOffsets
    delay_offsets: DelayOffsets
    savers: dict[str, Saver]
    topics_changed: Callable[[], None]


class MetadataFollower:
    """Copies the master's tables into a slave's while it runs."""

    def __init__(self, link: MasterLink, metadata: Metadata) -> None:
        self._link = link
        self._metadata = metadata
        self._client = Client()
        self.is_synchronized = False

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
            self._take_topics(
                TopicConfigSerializeWrapper.decode(await self._ask(master, RequestCode.GET_ALL_TOPIC_CONFIG))
            )
            groups = await self._ask(master, RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)
            self._take_groups(SubscriptionGroupWrapper.decode(groups))
            offsets = await self._ask(master, RequestCode.GET_ALL_CONSUMER_OFFSET)
            self._take_offsets(ConsumerOffsetSerializeWrapper.decode(offsets))
            delays = await self._ask(master, RequestCode.GET_ALL_DELAY_OFFSET)
            self._take_delays(DelayOffsetSerializeWrapper.decode(delays))
        except (TransportError, RequestError, ProtocolError) as error:
            log.warning("topics and offsets of master %s are not fetched: %s; trying again", master, error)
            self.is_synchronized = False
        else:
            self.is_synchronized = True

    async def _ask(self, master: str, code: RequestCode) -> bytes:
        reply = await self._client.call(master, request(code), _CALL_SECONDS)
        reply.raise_for_code()
        return reply.body

    def _take_topics(self, fetched: TopicConfigSerializeWrapper) -> None:
        topics = self._metadata.topics
        if fetched.data_version == topics.version:
            return
        topics.replace_all(fetched.topic_config_table, fetched.data_version)
        self._metadata.savers["topics"].save()
        self._metadata.topics_changed()

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
