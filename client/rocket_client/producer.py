"""Sends messages: one by one, in batches, in order, or without waiting for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rocket_client.errors import ClientClosed, InvalidMessage, RocketError
from rocket_client.heartbeat import Heartbeat
from rocket_client.instance import Instance, milliseconds
from rocket_client.message import Message, SendResult
from rocket_client.outgoing import Identity, batch_of, check_group, outgoing
from rocket_client.sending import Sender, Wish
from rocket_client.settings import ProducerSettings
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.heartbeat import HeartbeatData, ProducerData
from rocket_wire.codes import RequestCode
from rocket_wire.command import request
from rocket_wire.headers.clients import UnregisterClient


class Producer:
    """Sends messages to RocketMQ, from one asyncio event loop. Any number of sends may be under way at once.

    `namesrv` lists name servers, `host:port;host:port`; `group` names what this application is to operators.
    Use it in `async with`, or call `start` and `stop`. It has no thread of its own.

    Example:

        async with Producer("localhost:9876", group="shop") as producer:
            result = await producer.send(Message("orders", "one coffee", tags="new", keys="order-17"))
            print(result.message_id, result.queue, result.queue_offset)

            await producer.send(Message("orders", "with milk", tags="changed"), ordering_key="order-17")
            await producer.send(Message("orders", "ask again", delay_level=3))  # delivered after 10 s
            await producer.send_batch([Message("orders", f"cup {number}") for number in range(10)])

            many = [producer.send(Message("orders", f"order {number}")) for number in range(100)]
            await asyncio.gather(*many)
    """

    def __init__(self, namesrv: str, group: str = "DEFAULT_PRODUCER", settings: ProducerSettings | None = None) -> None:
        """Raises InvalidMessage (a ValueError) for an address list or group name that cannot be right."""
        check_group(group)
        self.group = group
        self.settings = settings or ProducerSettings()
        self._instance = Instance(namesrv)
        self._sender = Sender(self._instance, group, self.settings)
        self._heartbeat = Heartbeat(self._instance, self._heartbeat_content, self._addresses)
        self._instance.on_route_change.append(lambda _: self._heartbeat.soon())

    async def __aenter__(self) -> Producer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Makes it usable; servers are contacted by the first send."""
        if self._instance.is_open:
            raise ClientClosed("the producer was started already")
        await self._instance.start()
        self._heartbeat.start()

    async def stop(self) -> None:
        """Leaves its group and closes its connections. Sends under way fail. May be called again."""
        if not self._instance.is_open:
            return
        try:
            await self._leave()
        finally:
            await self._instance.close()

    async def send(
        self,
        message: Message,
        *,
        queue: MessageQueue | None = None,
        ordering_key: str | None = None,
        timeout: float = 3.0,
    ) -> SendResult:
        """Sends one message and returns its acknowledgement.

        It goes to any queue of its topic, the queues taking turns; or to `queue`; or to the queue that belongs to
        `ordering_key`: messages with one key, sent one after the other, are consumed in that order by an orderly
        consumer. A failed try is repeated (ProducerSettings.retries), on another broker where the queue is free; a
        message may then be stored twice. `timeout` is in seconds, for all tries together.

        Raises InvalidMessage (nothing was sent), TopicNotFound, NoBroker, NoNameServer (nothing was stored), or
        SendFailed, which tells whether the message may have been stored.

        Cancelled, it leaves open whether the message was stored.
        """
        out = outgoing(message, self.settings, self._identity(ordering_key))
        return await self._sender.send(out, _wish(queue, ordering_key), timeout)

    async def send_oneway(
        self,
        message: Message,
        *,
        queue: MessageQueue | None = None,
        ordering_key: str | None = None,
        timeout: float = 3.0,
    ) -> None:
        """Sends one message without an acknowledgement: fast, and lost without a word where something fails.

        Raises what `send` raises before anything is sent, and NoAnswer where there is no connection.
        """
        out = outgoing(message, self.settings, self._identity(ordering_key))
        await self._sender.send_oneway(out, _wish(queue, ordering_key), timeout)

    async def send_batch(
        self,
        messages: Sequence[Message],
        *,
        queue: MessageQueue | None = None,
        ordering_key: str | None = None,
        timeout: float = 3.0,
    ) -> list[SendResult]:
        """Sends messages of one topic as one request: all are stored, next to each other in one queue, or none.

        The results stand in the order of the messages. Together they may have ProducerSettings.max_message_bytes;
        none may be delayed. Raises as `send` does.
        """
        identities = [self._identity(ordering_key) for _ in messages]
        out = batch_of(messages, self.settings, identities)
        result = await self._sender.send(out, _wish(queue, ordering_key), timeout)
        return _parts(result, [identity.message_id for identity in identities])

    async def queues(self, topic: str, timeout: float = 3.0) -> list[MessageQueue]:
        """The queues to which messages of this topic can be sent now. Raises TopicNotFound or NoNameServer."""
        return list((await self._sender.route(topic, timeout)).queues_to_write)

    def _identity(self, ordering_key: str | None) -> Identity:
        return Identity(self._instance.next_message_id(), milliseconds(), ordering_key)

    # -- being known --------------------------------------------------------------------------------------------

    def _heartbeat_content(self) -> HeartbeatData:
        return HeartbeatData(client_id=self._instance.client_id, producer_data_set=(ProducerData(self.group),))

    def _addresses(self) -> set[str]:
        if not self._instance.is_open:
            return set()
        return {address for route in self._instance.routes.known for address in route.addresses(masters_only=True)}

    async def _leave(self) -> None:
        header = UnregisterClient(client_id=self._instance.client_id, producer_group=self.group)
        for address in self._addresses():
            if self._instance.net.open_connection(address) is None:
                continue
            try:
                await self._instance.ask(address, request(RequestCode.UNREGISTER_CLIENT, header), timeout=2.0)
            except RocketError:
                continue  # the broker forgets us when the connection closes


def _wish(queue: MessageQueue | None, ordering_key: str | None) -> Wish:
    if queue is not None and ordering_key is not None:
        raise InvalidMessage("queue and ordering_key exclude each other: a key chooses its queue by itself")
    return Wish(queue, ordering_key)


def _parts(result: SendResult, message_ids: Sequence[str]) -> list[SendResult]:
    offset_ids = result.offset_message_id.split(",")
    offset_ids += [offset_ids[-1]] * (len(message_ids) - len(offset_ids))
    return [
        SendResult(result.status, message_id, offset_id, result.queue, result.queue_offset + index)
        for index, (message_id, offset_id) in enumerate(zip(message_ids, offset_ids, strict=False))
    ]
