"""Administration: topics, consumer groups, offsets, brokers.

A topic or group is made on every master of the cluster, or on the brokers that are named by address. Every method
raises NoNameServer, NoAnswer or BrokerError where a server does not answer or refuses, and TopicNotFound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from rocket_client.asking import Asking
from rocket_client.errors import BrokerError, ClientClosed, InvalidMessage, NoBroker, TopicNotFound
from rocket_client.incoming import read_message
from rocket_client.instance import Instance
from rocket_client.message import ReceivedMessage, retry_topic
from rocket_client.outgoing import check_group, check_topic
from rocket_client.routes import MASTER, Route
from rocket_net.connection import address_text
from rocket_wire.bodies.body import Body, MessageQueue
from rocket_wire.bodies.connections import ConsumerConnection, ConsumerRunningInfo, ProducerConnection
from rocket_wire.bodies.groups import GroupList, SubscriptionGroupConfig, SubscriptionGroupWrapper
from rocket_wire.bodies.offsets import ResetOffsetBody
from rocket_wire.bodies.registration import KVTable
from rocket_wire.bodies.route import ClusterInfo, TopicList
from rocket_wire.bodies.stats import ConsumeStats, OffsetWrapper, TopicOffset, TopicStatsTable
from rocket_wire.bodies.topics import TopicConfig, TopicConfigAndQueueMapping
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command, request
from rocket_wire.errors import ProtocolError
from rocket_wire.headers import clients, offsets, pull, routes, topics
from rocket_wire.headers.header import Header
from rocket_wire.message_id import decode_offset_message_id
from rocket_wire.record import decode, decode_all, decode_host
from rocket_wire.topic_names import AUTO_CREATE_TOPIC

B = TypeVar("B", bound=Body)

_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class GroupProgress:
    """How far a consumer group is, queue by queue; `tps` is in messages a second."""

    queues: Mapping[MessageQueue, OffsetWrapper]
    tps: float

    @property
    def lag(self) -> int:
        """Messages that the group has not consumed yet."""
        return sum(queue.lag for queue in self.queues.values())


class Admin(Asking):
    """Administers the cluster behind some name servers, from one asyncio event loop.

    Example:

        async with Admin("localhost:9876") as admin:
            await admin.create_topic("orders", queues=8)
            await admin.create_group("billing")
            print((await admin.consumer_progress("billing", "orders")).lag, "messages to go")
            for queue, ends in (await admin.topic_stats("orders")).items():
                print(queue.queue_id, ends.min_offset, ends.max_offset)
    """

    def __init__(self, namesrv: str, timeout: float = _TIMEOUT) -> None:
        """`timeout` is for each request, seconds. Raises InvalidMessage for an address list that cannot be right."""
        super().__init__(Instance(namesrv), timeout)

    async def __aenter__(self) -> Admin:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Makes it usable; servers are contacted by the first question."""
        if self._instance.is_open:
            raise ClientClosed("the admin was started already")
        await self._instance.start()

    async def stop(self) -> None:
        """Closes its connections. May be called again."""
        await self._instance.close()

    # -- the cluster --------------------------------------------------------------------------------------------

    async def cluster(self) -> ClusterInfo:
        """All brokers, and which cluster each belongs to."""
        body = await self._namesrv_body(RequestCode.GET_BROKER_CLUSTER_INFO, None, ClusterInfo)
        return body if body is not None else ClusterInfo()

    async def masters(self, cluster: str | None = None) -> list[str]:
        """The addresses of all masters, of one cluster or of all. Raises NoBroker where there is none."""
        known = await self.cluster()
        names = known.cluster_addr_table.get(cluster, frozenset()) if cluster else known.broker_addr_table.keys()
        brokers = [known.broker_addr_table[name] for name in sorted(names) if name in known.broker_addr_table]
        addresses = [broker.broker_addrs[MASTER] for broker in brokers if MASTER in broker.broker_addrs]
        if not addresses:
            raise NoBroker(f"no master is registered{f' in cluster {cluster!r}' if cluster else ''}")
        return addresses

    async def broker_runtime(self, address: str) -> dict[str, str]:
        """A broker's figures, as text by name."""
        return (await self._body(KVTable, address, RequestCode.GET_BROKER_RUNTIME_INFO)).table

    async def wipe_write_permission(self, broker_name: str) -> None:
        """No producer chooses this broker group any more, on all name servers; consumers go on."""
        header = routes.WipeWritePermOfBroker(broker_name=broker_name)
        await self._ask_each_namesrv(RequestCode.WIPE_WRITE_PERM_OF_BROKER, header)

    async def restore_write_permission(self, broker_name: str) -> None:
        """Undoes `wipe_write_permission`."""
        header = routes.AddWritePermOfBroker(broker_name=broker_name)
        await self._ask_each_namesrv(RequestCode.ADD_WRITE_PERM_OF_BROKER, header)

    # -- topics -------------------------------------------------------------------------------------------------

    async def topics(self) -> list[str]:
        """The names of all topics, retry and system topics among them."""
        body = await self._namesrv_body(RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, None, TopicList)
        return sorted(body.topic_list) if body is not None else []

    async def has_topic(self, topic: str) -> bool:
        """Whether the name servers know this topic."""
        try:
            await self.route(topic)
        except TopicNotFound:
            return False
        return True

    async def route(self, topic: str) -> Route:
        """Where the topic's queues are. Raises TopicNotFound, InvalidMessage for a name that no topic can have."""
        check_topic(topic)
        return await self._instance.routes.refresh(topic, self._timeout)

    async def create_topic(
        self,
        topic: str,
        *,
        queues: int = 8,
        perm: int = 6,
        attributes: Mapping[str, str] | None = None,
        brokers: Sequence[str] | None = None,
    ) -> None:
        """Makes a topic with so many queues on each broker, or changes it to that.

        `perm` has bits 4 read and 2 write; `attributes` as `{"message.type": "FIFO"}`. Returns when a name server
        tells of it. Raises InvalidMessage for a name that no topic can have.
        """
        check_topic(topic)
        config = TopicConfig(topic, queues, queues, perm, attributes=dict(attributes or {}))
        addresses = brokers if brokers is not None else await self.masters()
        await asyncio.gather(*(self.update_topic(address, config) for address in addresses))
        await self._wait_for_route(topic)

    async def update_topic(self, address: str, config: TopicConfig) -> None:
        """Makes a topic on one broker what `config` says; `topic_config` gives the present one."""
        attributes = ",".join(f"+{name}={value}" for name, value in config.attributes.items())
        header = topics.UpdateAndCreateTopic(
            topic=config.topic_name,
            default_topic=AUTO_CREATE_TOPIC,
            read_queue_nums=config.read_queue_nums,
            write_queue_nums=config.write_queue_nums,
            perm=config.perm,
            topic_filter_type=config.topic_filter_type,
            topic_sys_flag=config.topic_sys_flag,
            order=config.order,
            attributes=attributes or None,
        )
        await self._ask(address, RequestCode.UPDATE_AND_CREATE_TOPIC, header)

    async def topic_config(self, address: str, topic: str) -> TopicConfig:
        """A topic as this broker has it. Raises BrokerError where it has none."""
        header = topics.GetTopicConfig(topic=topic)
        return await self._body(TopicConfigAndQueueMapping, address, RequestCode.GET_TOPIC_CONFIG, header)

    async def delete_topic(self, topic: str) -> None:
        """Removes a topic from all masters that have it, and from the name servers. Its messages are gone."""
        try:
            addresses = (await self.route(topic)).addresses(masters_only=True)
        except TopicNotFound:
            addresses = set(await self.masters())
        header = topics.DeleteTopicInBroker(topic=topic)
        await asyncio.gather(*(self._ask(each, RequestCode.DELETE_TOPIC_IN_BROKER, header) for each in addresses))
        await self._ask_each_namesrv(RequestCode.DELETE_TOPIC_IN_NAMESRV, routes.DeleteTopicInNamesrv(topic=topic))
        self._instance.routes.forget(topic)

    async def topic_stats(self, topic: str) -> dict[MessageQueue, TopicOffset]:
        """Each queue's smallest and next offset, and when its last message was stored (milliseconds)."""
        header = topics.GetTopicStatsInfo(topic=topic)
        addresses = (await self.route(topic)).addresses(masters_only=True)
        code = RequestCode.GET_TOPIC_STATS_INFO
        tables = await asyncio.gather(*(self._body(TopicStatsTable, each, code, header) for each in addresses))
        return {queue: offset for table in tables for queue, offset in table.offset_table.items()}

    async def consumer_groups_of(self, topic: str) -> list[str]:
        """The consumer groups that read, or have read, a topic."""
        header = clients.QueryTopicConsumeByWho(topic=topic)
        addresses = (await self.route(topic)).addresses(masters_only=True)
        code = RequestCode.QUERY_TOPIC_CONSUME_BY_WHO
        lists = await asyncio.gather(*(self._body(GroupList, each, code, header) for each in addresses))
        return sorted({group for found in lists for group in found.group_list})

    # -- consumer groups ----------------------------------------------------------------------------------------

    async def create_group(self, config: SubscriptionGroupConfig | str, brokers: Sequence[str] | None = None) -> None:
        """Makes a consumer group, by its name or as configured, or changes it to that."""
        wanted = SubscriptionGroupConfig(config) if isinstance(config, str) else config
        check_group(wanted.group_name)
        addresses = brokers if brokers is not None else await self.masters()
        code = RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP
        await asyncio.gather(*(self._ask(each, code, body=wanted.encode()) for each in addresses))

    async def delete_group(self, group: str, *, clean_offsets: bool = True) -> None:
        """Removes a consumer group from all brokers, with its offsets where `clean_offsets`."""
        header = topics.DeleteSubscriptiongroup(group_name=group, clean_offset=clean_offsets)
        addresses = await self.masters()
        await asyncio.gather(*(self._ask(each, RequestCode.DELETE_SUBSCRIPTIONGROUP, header) for each in addresses))

    async def groups(self) -> dict[str, SubscriptionGroupConfig]:
        """All consumer groups; one that brokers configure differently appears as the last broker has it."""
        found: dict[str, SubscriptionGroupConfig] = {}
        for address in await self.masters():
            code = RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG
            found |= (await self._body(SubscriptionGroupWrapper, address, code)).subscription_group_table
        return found

    async def consumer_progress(self, group: str, topic: str | None = None) -> GroupProgress:
        """How far a group is, on one topic or on all that it reads."""
        header = topics.GetConsumeStats(consumer_group=group, topic=topic)
        found: dict[MessageQueue, OffsetWrapper] = {}
        tps = 0.0
        for address in await self._brokers_of(group):
            stats = await self._body(ConsumeStats, address, RequestCode.GET_CONSUME_STATS, header)
            found |= stats.offset_table
            tps += stats.consume_tps
        return GroupProgress(found, tps)

    async def consumers(self, group: str) -> ConsumerConnection:
        """The group's members online and what they want. Raises BrokerError (CONSUMER_NOT_ONLINE 206) without any."""
        header = clients.GetConsumerConnectionList(consumer_group=group)
        address = (await self._brokers_of(group))[0]
        return await self._body(ConsumerConnection, address, RequestCode.GET_CONSUMER_CONNECTION_LIST, header)

    async def producers(self, group: str, topic: str) -> ProducerConnection:
        """The producers of a group that are online at a topic's first broker."""
        header = clients.GetProducerConnectionList(producer_group=group)
        addresses = sorted((await self.route(topic)).addresses(masters_only=True))
        if not addresses:
            raise NoBroker(f"topic {topic!r} has no master")
        return await self._body(ProducerConnection, addresses[0], RequestCode.GET_PRODUCER_CONNECTION_LIST, header)

    async def consumer_status(self, group: str, client_id: str) -> ConsumerRunningInfo:
        """What one member says it is doing: its subscriptions, its queues and how far each is."""
        header = clients.GetConsumerRunningInfo(consumer_group=group, client_id=client_id)
        address = (await self._brokers_of(group))[0]
        return await self._body(ConsumerRunningInfo, address, RequestCode.GET_CONSUMER_RUNNING_INFO, header)

    async def reset_offsets(self, group: str, topic: str, timestamp: int) -> dict[MessageQueue, int]:
        """Has a group go on at the first messages stored at `timestamp` (milliseconds) or later; -1: at the end.

        The offsets that were set.
        """
        header = offsets.InvokeBrokerToResetOffset(topic=topic, group=group, timestamp=timestamp, is_force=True)
        found: dict[MessageQueue, int] = {}
        for address in sorted((await self.route(topic)).addresses(masters_only=True)):
            code = RequestCode.INVOKE_BROKER_TO_RESET_OFFSET
            found |= (await self._body(ResetOffsetBody, address, code, header)).offset_table
        return found

    # -- messages -----------------------------------------------------------------------------------------------

    async def message(self, topic: str, offset_message_id: str) -> ReceivedMessage:
        """The message with this offset id, from the broker that the id names. Raises InvalidMessage, BrokerError."""
        try:
            host, position = decode_offset_message_id(offset_message_id)
        except ProtocolError as error:
            raise InvalidMessage(str(error)) from None
        header = pull.ViewMessageById(offset=position, topic=topic)
        question = request(RequestCode.VIEW_MESSAGE_BY_ID, header)
        address = address_text(decode_host(host))
        return await self._instance.ask_for(address, question, lambda answer: _message(answer, topic), self._timeout)

    async def messages_by_key(
        self, topic: str, key: str, *, begin: int = 0, end: int = 2**62, limit: int = 32
    ) -> list[ReceivedMessage]:
        """Messages of a topic with this business key or message id, stored between two times (milliseconds)."""
        header = pull.QueryMessage(topic=topic, key=key, max_num=limit, begin_timestamp=begin, end_timestamp=end)
        addresses = (await self.route(topic)).addresses(masters_only=True)
        answers = await asyncio.gather(*(self._query(each, header) for each in addresses))
        found = [message for messages in answers for message in messages]
        return [message for message in found if key in message.keys or key == message.message_id]

    async def _query(self, address: str, header: pull.QueryMessage) -> list[ReceivedMessage]:
        question = request(RequestCode.QUERY_MESSAGE, header)
        try:
            return await self._instance.ask_for(
                address, question, lambda answer: _messages(answer, header.topic), self._timeout
            )
        except BrokerError as error:
            if error.code == ResponseCode.QUERY_NOT_FOUND:
                return []
            raise

    # -- asking -------------------------------------------------------------------------------------------------

    async def _namesrv_body(self, code: RequestCode, header: Header | None, body_type: type[B]) -> B | None:
        def read(answer: Command) -> B:
            return body_type.decode(answer.body)

        return await self._instance.namesrv.ask(request(code, header), read, self._timeout)

    async def _ask_each_namesrv(self, code: RequestCode, header: Header) -> None:
        await self._instance.namesrv.ask_each(request(code, header), self._timeout)

    async def _brokers_of(self, group: str) -> list[str]:
        """The masters that know a group: those of its retry topic, else all."""
        try:
            route = await self._instance.routes.refresh(retry_topic(group), self._timeout)
        except TopicNotFound:
            return await self.masters()
        return sorted(route.addresses(masters_only=True)) or await self.masters()

    async def _wait_for_route(self, topic: str) -> None:
        for pause in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
            await asyncio.sleep(pause)
            try:
                await self.route(topic)
            except TopicNotFound:
                continue
            return
        raise TopicNotFound(topic)


def _message(answer: Command, topic: str) -> ReceivedMessage:
    record = decode(answer.body, check_crc=False)
    return read_message(record, MessageQueue(topic, "", record.queue_id))


def _messages(answer: Command, topic: str) -> list[ReceivedMessage]:
    """The records of an answer. They say no broker name: their queues have an empty one."""
    records = decode_all(answer.body, check_crc=False)
    return [read_message(record, MessageQueue(topic, "", record.queue_id)) for record in records]
