"""A member of a consumer group: what push and pull consumers have in common.

    subscriptions ── heartbeat ──► brokers        who we are, what we want
                  ── rebalance ──► assignment     which queues are ours
                                     └ intakes ── ready ──► push.py, pull.py

It answers what brokers ask of a member (protocol section 3.5): members changed (40), take these offsets (220), what do
you hold (221), what are you doing (307).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from enum import Enum
from typing import Final

from rocket_client import subscription as subscriptions
from rocket_client.addresses import local_ip
from rocket_client.assignment import Assignment
from rocket_client.broker_calls import BrokerCalls
from rocket_client.errors import ClientClosed, InvalidMessage, RocketError, TopicNotFound
from rocket_client.heartbeat import Heartbeat
from rocket_client.instance import Instance, milliseconds
from rocket_client.intake import Intake, Surroundings, Taken
from rocket_client.message import queue_text, retry_topic
from rocket_client.offsets import FileOffsets, GroupOffsets, Offsets, offsets_folder
from rocket_client.outgoing import check_group
from rocket_client.queue_locks import RENEW_SECONDS, QueueLocks
from rocket_client.ready import Ready
from rocket_client.rebalance import Rebalance
from rocket_client.routes import Route
from rocket_client.running import running_info
from rocket_client.settings import ConsumerSettings
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.heartbeat import (
    ConsumeFromWhere,
    ConsumerData,
    ConsumeType,
    HeartbeatData,
    MessageModel,
    SubscriptionData,
)
from rocket_wire.bodies.offsets import GetConsumerStatusBody, ResetOffsetBody
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command, request
from rocket_wire.headers.clients import NotifyConsumerIdsChanged, UnregisterClient
from rocket_wire.headers.offsets import GetConsumerStatusFromClient, ResetConsumerClientOffset
from rocket_wire.topic_names import RETRY_PREFIX

log = logging.getLogger("rocket.client")

_HALF_AN_HOUR: Final = 30 * 60 * 1000
#: How soon locks are asked for again after a lost connection, at first and at last, seconds.
_FIRST_LOCK_RETRY: Final = 0.2
_LAST_LOCK_RETRY: Final = 2.0


class Model(Enum):
    """Whether the members of a group share the messages, or each gets all of them."""

    CLUSTERING = MessageModel.CLUSTERING
    BROADCASTING = MessageModel.BROADCASTING


class FromWhere(Enum):
    """Where a group begins that has no offset yet. One that has continues there."""

    #: At the end: only what comes from now on. On a topic that never dropped a message, brokers start a new group at
    #: the beginning nevertheless, so that nothing is missed between a topic's creation and the first consumer.
    LAST = ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET
    FIRST = ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET
    #: At ConsumerSettings.from_timestamp.
    TIMESTAMP = ConsumeFromWhere.CONSUME_FROM_TIMESTAMP


class Role:
    """How a member consumes."""

    def __init__(self, group: str, kind: ConsumeType, model: Model, orderly: bool, from_where: FromWhere) -> None:
        check_group(group)
        self.group = group
        self.kind = kind
        self.model = model
        self.orderly = orderly
        self.from_where = from_where

    @property
    def is_asked(self) -> bool:
        """Whether the application asks for messages, rather than being handed them."""
        return self.kind is ConsumeType.CONSUME_ACTIVELY

    @property
    def shares(self) -> bool:
        return self.model is Model.CLUSTERING


class GroupMember:
    """One consumer in its group."""

    def __init__(self, namesrv: str, role: Role, settings: ConsumerSettings) -> None:
        self.role = role
        self.settings = settings
        self.subscriptions: dict[str, SubscriptionData] = {}
        self.started_at = milliseconds()
        self.ready: Ready[Taken] = Ready()
        self.instance = Instance(
            namesrv,
            {
                RequestCode.NOTIFY_CONSUMER_IDS_CHANGED: self._members_changed,
                RequestCode.RESET_CONSUMER_CLIENT_OFFSET: self._reset_offsets,
                RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT: self._status,
                RequestCode.GET_CONSUMER_RUNNING_INFO: self._running_info,
            },
        )
        self.calls = BrokerCalls(self.instance)
        self._assignment: Assignment | None = None
        self._rebalance: Rebalance | None = None
        self._heartbeat = Heartbeat(self.instance, self._heartbeat_content, self._addresses)

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Joins the group; no queue is read before something is subscribed or assigned."""
        offsets = self._make_offsets()
        await self.instance.start()
        around = Surroundings(
            instance=self.instance,
            calls=self.calls,
            group=self.role.group,
            settings=self.settings,
            subscription=self.subscriptions.get,
            commits=self.role.shares and not self.role.is_asked,
            is_asked=self.role.is_asked,
            orderly=self.role.orderly,
            arrived=self.ready.offer,
            moved=self._moved,
        )
        locks = QueueLocks(self.calls, self.role.group) if self.role.orderly and self.role.shares else None
        self._assignment = Assignment(around, offsets, self.first_offset, locks)
        group = self.role.group if self.role.shares else None
        self._rebalance = Rebalance(
            self.instance, self._heartbeat, group, lambda: sorted(self.subscriptions), self._assignment
        )
        self.instance.on_route_change.append(self._route_changed)
        self.instance.on_connection_lost.append(self._connection_lost)
        background = self.instance.background
        background.every(self.settings.commit_seconds, self._assignment.commit, "offset commit")
        if locks is not None:
            background.every(RENEW_SECONDS, self._renew_locks, "lock renewal")
        self._heartbeat.start()

    def start_rebalancing(self) -> None:
        """Takes part in sharing the queues out, rather than reading assigned ones. May be called again."""
        self.rebalance.start(self.settings.rebalance_seconds)

    async def stop(self) -> None:
        """Commits, gives every queue up, leaves the group, closes the connections."""
        self.ready.close()
        try:
            if self.instance.is_open and self._assignment is not None and self._rebalance is not None:
                self._heartbeat.stop()
                await self._rebalance.stop()
                await self._assignment.close()
                await self._leave()
        finally:
            await self.instance.close()

    @property
    def assignment(self) -> Assignment:
        if self._assignment is None or not self.instance.is_open:
            raise ClientClosed("the consumer is not running: use it inside `async with`, or between start() and stop()")
        return self._assignment

    @property
    def rebalance(self) -> Rebalance:
        if self._rebalance is None or not self.instance.is_open:
            raise ClientClosed("the consumer is not running: use it inside `async with`, or between start() and stop()")
        return self._rebalance

    # -- what it reads ------------------------------------------------------------------------------------------

    async def subscribe(self, topic: str, expression: str) -> None:
        """Wants messages of a topic; returns when the queues that are ours are being read."""
        rebalance = self.rebalance
        wanted = subscriptions.subscription(topic, expression, milliseconds())
        try:
            await self.instance.routes.get(topic)
        except TopicNotFound as error:
            log.warning("%s. Its messages will come when it exists", error)
        self.subscriptions[topic] = wanted
        self.start_rebalancing()
        await self._heartbeat.beat()
        complete = False
        try:
            complete = await rebalance.once()
        finally:
            if not complete:
                rebalance.soon()

    async def subscribe_retries(self) -> None:
        """Wants the group's own failed messages again."""
        topic = retry_topic(self.role.group)
        self.subscriptions[topic] = subscriptions.subscription(topic, subscriptions.ALL, milliseconds())

    async def assign(self, queues: Iterable[MessageQueue]) -> None:
        """Reads exactly these queues. Raises NoBroker, NoAnswer or BrokerError where one cannot be read."""
        wanted = set(queues)
        for topic in {queue.topic for queue in wanted}:
            await self.instance.routes.get(topic)
        await self._heartbeat.beat()
        await self.assignment.give_up(set(self.assignment.intakes) - wanted)
        await self.assignment.gain(wanted, strict=True)

    async def unsubscribe(self, topic: str) -> None:
        """Wants no more of a topic; its queues are committed and given up."""
        if self.subscriptions.pop(topic, None) is not None:
            await self._heartbeat.beat()
            await self.rebalance.once()
            self.instance.routes.forget(topic)

    async def first_offset(self, queue: MessageQueue) -> int:
        """Where a group without an offset begins to read this queue. A retry topic is always read from its start."""
        where = self.role.from_where
        if where is FromWhere.FIRST or queue.topic.startswith(RETRY_PREFIX):
            return await self.calls.min_offset(queue)
        if where is FromWhere.LAST:
            return await self.calls.max_offset(queue)
        since = self.settings.from_timestamp
        return await self.calls.offset_at(queue, milliseconds() - _HALF_AN_HOUR if since is None else since)

    def _make_offsets(self) -> Offsets:
        if self.role.shares:
            return GroupOffsets(self.calls, self.role.group)
        folder = offsets_folder(self.settings.offset_folder, local_ip(), self.settings.instance_name, self.role.group)
        try:
            return FileOffsets(folder)
        except OSError as error:
            raise InvalidMessage(
                f"offsets cannot be kept in {folder}: {error}. Set ConsumerSettings.offset_folder"
            ) from None

    # -- the group ----------------------------------------------------------------------------------------------

    def _heartbeat_content(self) -> HeartbeatData:
        consumer = ConsumerData(
            group_name=self.role.group,
            consume_type=self.role.kind,
            message_model=self.role.model.value,
            consume_from_where=self.role.from_where.value,
            subscription_data_set=tuple(self.subscriptions.values()),
        )
        return HeartbeatData(client_id=self.instance.client_id, consumer_data_set=(consumer,))

    def _addresses(self) -> set[str]:
        if not self.instance.is_open:
            return set()
        return {address for route in self.instance.routes.known for address in route.addresses()}

    async def _leave(self) -> None:
        header = UnregisterClient(client_id=self.instance.client_id, consumer_group=self.role.group)
        for address in self._addresses():
            if self.instance.net.open_connection(address) is None:
                continue
            try:
                await self.instance.ask(address, request(RequestCode.UNREGISTER_CLIENT, header), timeout=2.0)
            except RocketError as error:
                log.info("the broker will notice by itself that we left: %s", error)

    async def _recover_locks(self) -> None:
        """Asks until the broker is back: its orderly queues stand still meanwhile."""
        pause = _FIRST_LOCK_RETRY
        while self.instance.is_open and self.assignment.lacks_locks:
            await self._renew_locks()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_LOCK_RETRY)

    async def _renew_locks(self) -> None:
        if not await self.assignment.renew_locks():
            self.rebalance.soon()

    def _route_changed(self, route: Route) -> None:
        self._heartbeat.soon()
        self.rebalance.soon()

    def _connection_lost(self, address: str) -> None:
        if not self.instance.is_open or self._assignment is None or self._rebalance is None:
            return
        names = {
            name
            for route in self.instance.routes.known
            for name, members in route.brokers.items()
            if address in members.values()
        }
        if not names:
            return
        self._rebalance.quiet()
        if self.role.orderly and self.role.shares:
            self._assignment.distrust_locks(names)
            self.instance.background.start(self._recover_locks(), "lock renewal after a lost connection")

    def _moved(self, intake: Intake) -> None:
        self.instance.background.start(self.assignment.commit(), f"commit of {queue_text(intake.queue)}")

    # -- what brokers ask ---------------------------------------------------------------------------------------

    def _members_changed(self, question: Command, _: Connection) -> Answer:
        if question.header(NotifyConsumerIdsChanged).consumer_group == self.role.group and self._rebalance is not None:
            self._rebalance.soon()
        return None

    def _reset_offsets(self, question: Command, connection: Connection) -> Answer:
        header = question.header(ResetConsumerClientOffset)
        if header.group == self.role.group:
            offsets = ResetOffsetBody.decode(question.body).offset_table
            log.warning("%s sets the offsets of topic %s: %s", connection.peer, header.topic, offsets)
            self.instance.background.start(self.assignment.move(offsets), f"offset reset of {header.topic}")
        return None

    def _status(self, question: Command, _: Connection) -> Answer:
        topic = question.header(GetConsumerStatusFromClient).topic
        offsets = {
            queue: intake.commit_offset for queue, intake in self.assignment.intakes.items() if queue.topic == topic
        }
        return question.reply(body=GetConsumerStatusBody(message_queue_table=offsets).encode())

    def _running_info(self, question: Command, _: Connection) -> Answer:
        return question.reply(body=running_info(self).encode())
