"""What a consumer asks of brokers, queue by queue: offsets, members, locks (protocol section 3.3).

Each call finds the queue's broker by the topic's route: the master, or any member of its group where there is none.
All raise NoBroker, NoAnswer or BrokerError; the topic's route may raise TopicNotFound and NoNameServer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from rocket_client.errors import BrokerError, NoAnswer, NoBroker, RocketError
from rocket_client.instance import Instance
from rocket_client.routes import MASTER
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.heartbeat import ConsumerList
from rocket_wire.bodies.offsets import LockBatchRequestBody, LockBatchResponseBody, UnlockBatchRequestBody
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command, request
from rocket_wire.headers.clients import GetConsumerListByGroup
from rocket_wire.headers.offsets import (
    GetMaxOffset,
    GetMaxOffsetAnswer,
    GetMinOffset,
    GetMinOffsetAnswer,
    QueryConsumerOffset,
    QueryConsumerOffsetAnswer,
    SearchOffsetByTimestamp,
    SearchOffsetByTimestampAnswer,
    UpdateConsumerOffset,
)

T = TypeVar("T")


class BrokerCalls:
    """Calls to brokers on behalf of one client."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    async def address(self, queue: MessageQueue, broker_id: int = MASTER) -> str:
        """Who serves this queue: the wished member of its broker group, or another. Raises NoBroker."""
        route = await self._instance.routes.get(queue.topic)
        address = route.address(queue.broker_name, broker_id)
        if address is None:
            route = await self._instance.routes.refresh(queue.topic)
            address = route.address(queue.broker_name, broker_id)
        if address is None:
            raise NoBroker(
                f"no broker of group {queue.broker_name!r} is registered: topic {queue.topic!r} cannot be read"
            )
        return address

    async def min_offset(self, queue: MessageQueue) -> int:
        """The offset of the queue's oldest message."""
        header = GetMinOffset(topic=queue.topic, queue_id=queue.queue_id)
        question = request(RequestCode.GET_MIN_OFFSET, header)
        return await self._ask_for(queue, question, lambda answer: answer.header(GetMinOffsetAnswer).offset)

    async def max_offset(self, queue: MessageQueue) -> int:
        """The offset that the queue's next message will get."""
        header = GetMaxOffset(topic=queue.topic, queue_id=queue.queue_id)
        question = request(RequestCode.GET_MAX_OFFSET, header)
        return await self._ask_for(queue, question, lambda answer: answer.header(GetMaxOffsetAnswer).offset)

    async def offset_at(self, queue: MessageQueue, timestamp: int) -> int:
        """The offset of the first message stored at `timestamp` (milliseconds) or later."""
        header = SearchOffsetByTimestamp(topic=queue.topic, queue_id=queue.queue_id, timestamp=timestamp)
        question = request(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, header)
        return await self._ask_for(queue, question, lambda answer: answer.header(SearchOffsetByTimestampAnswer).offset)

    async def committed(self, group: str, queue: MessageQueue) -> int | None:
        """The group's next offset, or None where it has none."""
        header = QueryConsumerOffset(consumer_group=group, topic=queue.topic, queue_id=queue.queue_id)
        question = request(RequestCode.QUERY_CONSUMER_OFFSET, header)
        try:
            return await self._ask_for(queue, question, lambda answer: answer.header(QueryConsumerOffsetAnswer).offset)
        except BrokerError as error:
            if error.code == ResponseCode.QUERY_NOT_FOUND:
                return None
            raise

    async def commit(self, group: str, queue: MessageQueue, offset: int) -> None:
        """Makes `offset` the group's next one."""
        header = UpdateConsumerOffset(
            consumer_group=group, topic=queue.topic, queue_id=queue.queue_id, commit_offset=offset
        )
        address = await self.address(queue)
        await self._instance.ask(address, request(RequestCode.UPDATE_CONSUMER_OFFSET, header))

    async def members(self, group: str, topic: str) -> tuple[str, ...]:
        """The client ids of the group's members, as the topic's first broker that answers knows them.

        All members ask the same broker first, and so see the same group. Raises the last broker's error.
        """
        route = await self._instance.routes.get(topic)
        question = request(RequestCode.GET_CONSUMER_LIST_BY_GROUP, GetConsumerListByGroup(consumer_group=group))
        failure: RocketError = NoBroker(f"no broker of topic {topic!r} is registered")
        for broker_name in sorted(route.brokers):
            address = route.address(broker_name)
            if address is None:
                continue
            try:
                return await self._instance.ask_for(address, question, _member_ids)
            except (BrokerError, NoAnswer) as error:
                failure = error
        raise failure

    async def lock(self, group: str, queues: Iterable[MessageQueue]) -> frozenset[MessageQueue]:
        """Those of these queues, all of one broker group, that this client may consume alone from now on."""
        wanted = frozenset(queues)
        body = LockBatchRequestBody(group, self._instance.client_id, mq_set=wanted).encode()
        master = await self._master(next(iter(wanted)))
        return await self._instance.ask_for(master, request(RequestCode.LOCK_BATCH_MQ, body=body), _granted)

    async def unlock(self, group: str, queues: Iterable[MessageQueue]) -> None:
        """Gives these queues, all of one broker group, back."""
        wanted = frozenset(queues)
        body = UnlockBatchRequestBody(group, self._instance.client_id, mq_set=wanted).encode()
        master = await self._master(next(iter(wanted)))
        await self._instance.ask(master, request(RequestCode.UNLOCK_BATCH_MQ, body=body))

    async def _master(self, queue: MessageQueue) -> str:
        master = (await self._instance.routes.get(queue.topic)).master(queue.broker_name)
        if master is None:
            raise NoBroker(f"broker group {queue.broker_name!r} has no master now: its queues cannot be locked")
        return master

    async def _ask_for(self, queue: MessageQueue, question: Command, read: Callable[[Command], T]) -> T:
        return await self._instance.ask_for(await self.address(queue), question, read)


def _member_ids(answer: Command) -> tuple[str, ...]:
    return ConsumerList.decode(answer.body).consumer_id_list


def _granted(answer: Command) -> frozenset[MessageQueue]:
    return LockBatchResponseBody.decode(answer.body).lock_ok_mq_set
