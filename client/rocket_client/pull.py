"""Reads messages when the application asks for them: it decides when, from where, and what counts as consumed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType

from rocket_client.errors import ClientClosed, InvalidMessage
from rocket_client.intake import Intake, Taken
from rocket_client.member import FromWhere, GroupMember, Model, Role
from rocket_client.message import ReceivedMessage, queue_text
from rocket_client.outgoing import check_topic
from rocket_client.settings import ConsumerSettings
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.heartbeat import ConsumeType


class PullConsumer:
    """Reads queues in one asyncio event loop; it has no thread of its own.

    Either `subscribe`: the group's members share the queues of a topic; or `assign`: exactly these queues, whoever else
    reads them. Not both, and not in one group at a time.

    With `auto_commit`, what a poll returned counts as consumed when `poll` is called again, and when the `async with`
    block is left without an exception; it is committed every ConsumerSettings.commit_seconds. Without, only `commit`
    commits. `from_where` is for a group that has no offsets yet.

    Example:

        async with PullConsumer("localhost:9876", group="report", auto_commit=False) as consumer:
            await consumer.assign(await consumer.queues("orders"))
            for queue in consumer.assignment:
                await consumer.seek_to_begin(queue)
            while messages := await consumer.poll(timeout=1.0):
                print([message.text for message in messages])
                await consumer.commit()
    """

    def __init__(
        self,
        namesrv: str,
        group: str,
        *,
        auto_commit: bool = True,
        from_where: FromWhere = FromWhere.LAST,
        settings: ConsumerSettings | None = None,
    ) -> None:
        """Raises InvalidMessage (a ValueError) for an address list or group name that cannot be right."""
        self._auto_commit = auto_commit
        role = Role(group, ConsumeType.CONSUME_ACTIVELY, Model.CLUSTERING, orderly=False, from_where=from_where)
        self._member = GroupMember(namesrv, role, settings or ConsumerSettings())
        self._running = False
        self._assigned = False

    async def __aenter__(self) -> PullConsumer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._auto_commit and self._running:
            self._settle()
        await self.stop()

    async def start(self) -> None:
        """Makes it usable; nothing is read before `subscribe` or `assign`."""
        if self._running:
            raise ClientClosed("the consumer was started already")
        await self._member.start()
        self._running = True

    async def stop(self) -> None:
        """Commits what counts as consumed, and leaves the group. May be called again."""
        if self._running:
            self._running = False
            await self._member.stop()

    # -- which queues -------------------------------------------------------------------------------------------

    async def subscribe(self, topic: str, expression: str = "*") -> None:
        """Shares the topic's queues with the group's other members; `expression` as `TagA || TagB`, or `*`.

        When it returns, this consumer's part of the queues is being read. Raises InvalidMessage, or NoNameServer.
        """
        if self._assigned:
            raise InvalidMessage("this consumer reads assigned queues; subscribe with another one")
        check_topic(topic)
        await self._member.subscribe(topic, expression)

    async def unsubscribe(self, topic: str) -> None:
        """Reads no more of a topic."""
        await self._member.unsubscribe(topic)

    async def assign(self, queues: Iterable[MessageQueue]) -> None:
        """Reads exactly these queues from now on, each from the group's offset where it has one.

        Raises InvalidMessage after `subscribe`; NoBroker, NoAnswer or BrokerError where a queue's offset cannot be had.
        """
        if self._member.subscriptions:
            raise InvalidMessage("this consumer shares the queues of topics; assign queues with another one")
        self._assigned = True
        await self._member.assign(queues)

    async def queues(self, topic: str) -> list[MessageQueue]:
        """All queues of a topic that can be read. Raises TopicNotFound or NoNameServer."""
        return list((await self._member.instance.routes.get(topic)).queues_to_read)

    @property
    def assignment(self) -> list[MessageQueue]:
        """The queues that this consumer reads now."""
        return sorted(self._member.assignment.intakes)

    # -- reading ------------------------------------------------------------------------------------------------

    async def poll(self, timeout: float = 1.0, max_messages: int = 32) -> list[ReceivedMessage]:
        """The next messages, at least one, or none after `timeout` seconds. Messages of one queue come in order.

        Cancelled, it has taken nothing. Raises ClientClosed once stopped.
        """
        if not self._running:
            raise ClientClosed("the consumer is not running: use it inside `async with`, or between start() and stop()")
        if self._auto_commit:
            self._settle()
        taken: list[Taken] = []
        try:
            async with asyncio.timeout(timeout):
                first = await self._member.ready.take()
        except TimeoutError:
            return []
        while first is not None:
            taken.append(first)
            first = self._member.ready.take_now() if len(taken) < max_messages else None
        for each in taken:
            each.finish()
        return [each.message for each in taken]

    def position(self, queue: MessageQueue) -> int:
        """The offset of the next message that `poll` gives of this queue. Raises InvalidMessage if it is not ours."""
        return self._intake(queue).window.commit_offset

    async def seek(self, queue: MessageQueue, offset: int) -> None:
        """Goes on reading this queue at `offset`, and commits that."""
        self._intake(queue)
        await self._member.assignment.move({queue: offset})

    async def seek_to_time(self, queue: MessageQueue, timestamp: int) -> None:
        """Goes on reading at the first message stored at `timestamp` (milliseconds since 1970) or later."""
        await self.seek(queue, await self._member.calls.offset_at(queue, timestamp))

    async def seek_to_begin(self, queue: MessageQueue) -> None:
        """Goes on reading at the queue's oldest message."""
        await self.seek(queue, await self._member.calls.min_offset(queue))

    async def seek_to_end(self, queue: MessageQueue) -> None:
        """Goes on reading at what comes from now on."""
        await self.seek(queue, await self._member.calls.max_offset(queue))

    # -- offsets ------------------------------------------------------------------------------------------------

    async def commit(self) -> None:
        """Commits everything that `poll` returned so far. Raises the first error; what failed is tried again."""
        self._settle()
        for error in (await self._member.assignment.commit()).values():
            raise error

    async def committed(self, queue: MessageQueue) -> int | None:
        """The group's offset on the broker, None where it has none. Raises NoBroker, NoAnswer or BrokerError."""
        return await self._member.calls.committed(self._member.role.group, queue)

    def _settle(self) -> None:
        for intake in self._member.assignment.intakes.values():
            intake.settled = intake.window.commit_offset

    def _intake(self, queue: MessageQueue) -> Intake:
        intake = self._member.assignment.intakes.get(queue)
        if intake is None:
            raise InvalidMessage(f"{queue_text(queue)} is not read by this consumer; see `assignment`")
        return intake
