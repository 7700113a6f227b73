"""Consumes messages as they come, for a group whose members share them, or for itself alone.

A message is delivered again until it was acknowledged: an offset is committed only when everything below it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Final

import msgspec

from rocket_client.errors import ClientClosed, InvalidMessage
from rocket_client.intake import Taken
from rocket_client.member import FromWhere, GroupMember, Model, Role
from rocket_client.message import ReceivedMessage
from rocket_client.outgoing import check_topic
from rocket_client.retries import Retries
from rocket_client.settings import ConsumerSettings
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.heartbeat import ConsumeType

log = logging.getLogger("rocket.client")

Handler = Callable[["PushedMessage"], Awaitable[object]]

_NOT_RUNNING: Final = "the consumer is not running: use it inside `async with`, or between start() and stop()"


class PushedMessage(ReceivedMessage, frozen=True, gc=True):
    """A message that wants an answer: `ack`, or `retry`. The first one counts, further ones do nothing."""

    delivery: Delivery

    async def ack(self) -> None:
        """It is done with, and comes no more."""
        self.delivery.finish()

    async def retry(self, *, delay_level: int = 0) -> None:
        """It failed and shall come again.

        Concurrent consumers get it through the broker, after the delay of `delay_level` (1 to 18); 0: after a delay
        that grows with each failure (10 s, 30 s, 1 min ... 2 h), -1: never, it goes to the dead letter topic at once.
        After the group's number of tries (16) it goes there by itself. Orderly consumers get it again after
        ConsumerSettings.suspend_seconds, before any other of its queue. In broadcasting nothing is repeated.

        Where no broker can take it back, it comes again from this consumer's memory after 5 s.
        """
        await self.delivery.retry(delay_level)

    @property
    def is_settled(self) -> bool:
        """Whether it was answered."""
        return self.delivery.settled


class Delivery:
    """One message in an application's hands."""

    __slots__ = ("_retries", "_taken", "settled")

    def __init__(self, taken: Taken, retries: Retries) -> None:
        self.settled = False
        self._taken = taken
        self._retries = retries

    def finish(self) -> None:
        if not self.settled:
            self.settled = True
            self._taken.finish()

    def put_back(self) -> None:
        if not self.settled:
            self.settled = True
            self._taken.put_back()

    async def retry(self, delay_level: int) -> None:
        if not self.settled:
            self.settled = True
            try:
                await self._retries.retry(self._taken, delay_level)
            except asyncio.CancelledError:
                self._taken.put_back()
                raise


class PushConsumer:
    """Consumes messages in one asyncio event loop; it has no thread of its own.

    `namesrv` lists name servers, `host:port;host:port`. All consumers of one `group` must subscribe to the same. With
    `Model.CLUSTERING` they share the messages; with `Model.BROADCASTING` each gets all, and keeps its offsets in a file
    (ConsumerSettings.offset_folder). `orderly`: the messages of one queue one after the other, and on one consumer
    only; else any number at once. `from_where` is for a group
    that has no offsets yet; on a queue whose first message was never deleted, brokers let such a group begin with that
    one, whatever it says (protocol section 3.8).

    Example:

        async with PushConsumer("localhost:9876", group="billing", from_where=FromWhere.FIRST) as consumer:
            await consumer.subscribe("orders", "new || changed")
            async for message in consumer:
                if message.text == "last":
                    break
                if message.reconsume_times == 0 and message.text.startswith("strange"):
                    await message.retry(delay_level=2)  # comes again after 5 s
                print(message.text)  # acknowledged when the loop asks for the next one
    """

    def __init__(
        self,
        namesrv: str,
        group: str,
        *,
        model: Model = Model.CLUSTERING,
        orderly: bool = False,
        from_where: FromWhere = FromWhere.LAST,
        settings: ConsumerSettings | None = None,
    ) -> None:
        """Raises InvalidMessage (a ValueError) for an address list or group name that cannot be right."""
        self.settings = settings or ConsumerSettings()
        role = Role(group, ConsumeType.CONSUME_PASSIVELY, model, orderly, from_where)
        self._member = GroupMember(namesrv, role, self.settings)
        self._retries = Retries(self._member)
        self._workers: set[asyncio.Task[None]] = set()
        self._loops: dict[asyncio.Task[object] | None, _Loop] = {}
        self._running = False

    async def __aenter__(self) -> PushConsumer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        loop = self._loops.get(asyncio.current_task())
        if error is None and loop is not None:
            loop.finish()
        await self.stop()

    async def start(self) -> None:
        """Makes it usable. Raises InvalidMessage where a broadcasting consumer cannot keep its offsets."""
        if self._running:
            raise ClientClosed("the consumer was started already")
        await self._member.start()
        self._running = True
        if self._member.role.shares:
            await self._member.subscribe_retries()
        self._member.start_rebalancing()

    async def stop(self) -> None:
        """Hands out no more, waits for handlers at work (ConsumerSettings.shutdown_seconds), commits, leaves the group.

        Called by a handler, it does not wait for that one. May be called again.
        """
        if not self._running:
            return
        self._running = False
        self._member.ready.close()
        for loop in self._loops.values():
            loop.put_back()
        try:
            await self._wait_for_workers()
        finally:
            await self._member.stop()

    async def subscribe(self, topic: str, expression: str = "*") -> None:
        """Wants messages of a topic: all (`*`), or those with one of some tags (`TagA || TagB`).

        When it returns, this consumer's part of the queues is being read; what is sent from then on is not missed. A
        topic that does not exist yet is waited for. Subscribing again replaces the expression.
        Raises InvalidMessage for an expression without a tag, NoNameServer where none answers.
        """
        check_topic(topic)
        await self._member.subscribe(topic, expression)

    async def unsubscribe(self, topic: str) -> None:
        """Wants no more of a topic; what was acknowledged of it is committed."""
        await self._member.unsubscribe(topic)

    @property
    def queues(self) -> list[MessageQueue]:
        """The queues that this consumer reads now."""
        return sorted(self._member.assignment.intakes)

    # -- one by one ---------------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[PushedMessage]:
        """Messages one by one, until the consumer is stopped.

        Asking for the next message acknowledges the one before, if that was not answered. A loop that ends otherwise
        (break, an exception) leaves its last message open: it is acknowledged when the task that began the loop leaves
        the `async with` block without an exception; it comes again when that task begins a new loop, or ends; and else
        after a restart. Several tasks may loop, each over other messages. Cancelling a wait loses nothing.
        """
        task = asyncio.current_task()
        before = self._loops.get(task)
        if before is not None:
            before.put_back()
        elif task is not None:
            task.add_done_callback(self._task_ended)
        self._loops[task] = loop = _Loop(self._receive)
        return loop

    async def receive(self) -> PushedMessage:
        """The next message, which stays open until `ack` or `retry`. Raises ClientClosed once stopped."""
        message = await self._receive()
        if message is None:
            raise ClientClosed(_NOT_RUNNING)
        return message

    async def _receive(self) -> PushedMessage | None:
        taken = await self._take()
        return None if taken is None else self._message(taken)

    async def _take(self) -> Taken | None:
        if not self._running:
            return None
        return await self._member.ready.take()

    def _message(self, taken: Taken) -> PushedMessage:
        return PushedMessage(**msgspec.structs.asdict(taken.message), delivery=Delivery(taken, self._retries))

    def _task_ended(self, task: asyncio.Task[object]) -> None:
        loop = self._loops.pop(task, None)
        if loop is not None:
            loop.put_back()

    # -- many at once -------------------------------------------------------------------------------------------

    async def run(self, handler: Handler, *, concurrency: int = 20) -> None:
        """Calls `await handler(message)` for each message, at most `concurrency` at once, until stopped.

        When the handler returns, the message is acknowledged unless the handler answered it itself; when it raises, or
        takes longer than ConsumerSettings.handler_seconds, the message is retried. A handler that blocks stops
        everything: give such work to `asyncio.to_thread`. Cancelled, it cancels the handlers at work; their messages
        come again.

        Example:

            async def handle(message: PushedMessage) -> None:
                print(message.text)
                if message.text == "last":
                    await message.ack()
                    await consumer.stop()

            async with PushConsumer("localhost:9876", group="mail", from_where=FromWhere.FIRST) as consumer:
                await consumer.subscribe("orders")
                await consumer.run(handle, concurrency=8)
        """
        if concurrency < 1:
            raise InvalidMessage(f"concurrency={concurrency}: expected 1 or more")
        if not self._running:
            raise ClientClosed(_NOT_RUNNING)
        workers = [asyncio.create_task(self._work(handler), name="message handler") for _ in range(concurrency)]
        self._workers.update(workers)
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._workers.difference_update(workers)

    async def _work(self, handler: Handler) -> None:
        while (taken := await self._take()) is not None:
            message = self._message(taken)
            try:
                async with asyncio.timeout(self.settings.handler_seconds):
                    await handler(message)
            except Exception as error:
                log.warning("message %s of %s failed: %r", message.message_id, message.topic, error, exc_info=error)
                await message.retry()
            else:
                await message.ack()

    async def _wait_for_workers(self) -> None:
        others = self._workers - {asyncio.current_task()}
        if not others:
            return
        _, late = await asyncio.wait(others, timeout=self.settings.shutdown_seconds)
        if late:
            log.warning("%d handlers are still at work; their messages will come again", len(late))
            for worker in late:
                worker.cancel()
            await asyncio.gather(*late, return_exceptions=True)


class _Loop(AsyncIterator[PushedMessage]):
    """One `async for` over a consumer, and the message that it has in hand."""

    def __init__(self, receive: Callable[[], Awaitable[PushedMessage | None]]) -> None:
        self._receive = receive
        self._message: PushedMessage | None = None

    async def __anext__(self) -> PushedMessage:
        self.finish()
        self._message = await self._receive()
        if self._message is None:
            raise StopAsyncIteration
        return self._message

    def finish(self) -> None:
        """The message in hand is done with."""
        if self._message is not None:
            self._message.delivery.finish()

    def put_back(self) -> None:
        """The message in hand comes again, unless it was answered."""
        if self._message is not None:
            self._message.delivery.put_back()
