"""Raw requests to one broker, as a client of no particular library would write them; answers come back unjudged.

talk = BrokerTalk("127.0.0.1:10911")
sent = await talk.send("Topic", b"body", TAGS="TagA")
pulled = await talk.pull("Topic", 0, sent.queue_offset)
await talk.close()
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple, Protocol

from rocket_net.client import Client
from rocket_net.connection import Connection
from rocket_wire import properties, record
from rocket_wire.bodies.heartbeat import ConsumerData, ConsumeType, HeartbeatData, MessageModel, SubscriptionData
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command, request
from rocket_wire.frame import SerializeType
from rocket_wire.headers.clients import NotifyConsumerIdsChanged
from rocket_wire.headers.header import Header
from rocket_wire.headers.offsets import QueryConsumerOffset, UpdateConsumerOffset
from rocket_wire.headers.pull import SUBSCRIPTION, SUSPEND, PullMessage, PullMessageAnswer
from rocket_wire.headers.send import SendMessage, SendMessageAnswer, SendMessageV2

#: Seconds. Every wait of a test ends by then.
DEADLINE = 10.0


class Sent(NamedTuple):
    """A message's answer."""

    code: int
    msg_id: str
    queue_id: int
    queue_offset: int


class Pulled(NamedTuple):
    """A pull's answer: its code, its four numbers, the records."""

    code: int
    header: PullMessageAnswer
    messages: list[record.Message]

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for message in self.messages]


class Dial(Protocol):
    """Makes connections that are closed with the test."""

    def __call__(self, address: str, serialize: SerializeType = SerializeType.JSON) -> BrokerTalk: ...


class BrokerTalk:
    """One client's connection to a broker. `told` has the groups that the broker says have changed."""

    def __init__(self, address: str, serialize: SerializeType = SerializeType.JSON) -> None:
        self.address = address
        self.told: asyncio.Queue[str] = asyncio.Queue()
        self._client = Client({RequestCode.NOTIFY_CONSUMER_IDS_CHANGED: self._notified}, serialize=serialize)

    async def __aenter__(self) -> BrokerTalk:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.close()

    async def ask(
        self, code: int, header: Header | None = None, body: bytes = b"", timeout: float = DEADLINE
    ) -> Command:
        """The answer, whatever its code."""
        return await self._client.call(self.address, request(code, header, body), timeout)

    async def must(self, code: int, header: Header | None = None, body: bytes = b"") -> Command:
        """The answer, which must be SUCCESS. Raises RequestError."""
        answer = await self.ask(code, header, body)
        answer.raise_for_code()
        return answer

    async def tell(self, code: int, header: Header | None = None, body: bytes = b"") -> None:
        """A one-way request."""
        await self._client.tell(self.address, request(code, header, body, oneway=True))

    async def send(self, topic: str, body: bytes = b"body", queue_id: int = 0, **pairs: str) -> Sent:
        """Stores a message with these properties. Raises RequestError where it is not stored."""
        answer = await self.ask(RequestCode.SEND_MESSAGE_V2, send_header(topic, queue_id, **pairs), body)
        if answer.code not in (0, 10, 11, 12):
            answer.raise_for_code()
        header = answer.header(SendMessageAnswer)
        return Sent(answer.code, header.msg_id, header.queue_id, header.queue_offset)

    async def pull(self, topic: str, queue_id: int, offset: int, **wishes: Any) -> Pulled:
        """One pull. Wishes are those of `pull_header`."""
        answer = await self.ask(RequestCode.PULL_MESSAGE, pull_header(topic, queue_id, offset, **wishes))
        if answer.code not in (0, 19, 20, 21):
            answer.raise_for_code()
        return Pulled(answer.code, answer.header(PullMessageAnswer), record.decode_all(answer.body))

    async def read(self, topic: str, queue_id: int = 0, offset: int = 0, **wishes: Any) -> list[record.Message]:
        """What the queue has from `offset` on, in as many pulls as it takes: a pull may end after any message."""
        messages: list[record.Message] = []
        async with asyncio.timeout(DEADLINE):
            while (pulled := await self.pull(topic, queue_id, offset, **wishes)).code in (0, 20):
                offset = pulled.header.next_begin_offset
                messages += pulled.messages
        return messages

    async def pull_all(self, topic: str, queue_id: int = 0, *, count: int, **wishes: Any) -> list[record.Message]:
        """The queue's first `count` messages, waiting for them. Raises TimeoutError."""
        messages: list[record.Message] = []
        offset = 0
        async with asyncio.timeout(DEADLINE):
            while len(messages) < count:
                pulled = await self.pull(topic, queue_id, offset, suspend_ms=500, **wishes)
                offset = pulled.header.next_begin_offset
                messages += pulled.messages
        return messages

    async def beat(self, group: str, *topics: str, client_id: str = "client@1", **more: Any) -> Command:
        """A heartbeat of a consumer that subscribes to these topics; `more` are further fields of its ConsumerData."""
        subscriptions = tuple(SubscriptionData(topic, sub_version=int(time.time() * 1000)) for topic in topics)
        fields = {
            "consume_type": ConsumeType.CONSUME_PASSIVELY,
            "message_model": MessageModel.CLUSTERING,
            "subscription_data_set": subscriptions,
        } | more
        heartbeat = HeartbeatData(client_id, consumer_data_set=(ConsumerData(group, **fields),))
        return await self.must(RequestCode.HEART_BEAT, None, heartbeat.encode())

    async def commit(self, group: str, topic: str, queue_id: int, offset: int) -> Command:
        return await self.ask(RequestCode.UPDATE_CONSUMER_OFFSET, UpdateConsumerOffset(group, topic, queue_id, offset))

    async def offset(self, group: str, topic: str, queue_id: int = 0, *, zero: bool | None = False) -> int | None:
        """The group's offset, None where the broker has none. `zero`: setZeroIfNotFound."""
        header = QueryConsumerOffset(group, topic, queue_id, zero)
        answer = await self.ask(RequestCode.QUERY_CONSUMER_OFFSET, header)
        if answer.code == ResponseCode.QUERY_NOT_FOUND:
            return None
        answer.raise_for_code()
        return int(answer.fields()["offset"])

    def _notified(self, notice: Command, _: Connection) -> None:
        self.told.put_nowait(notice.header(NotifyConsumerIdsChanged).consumer_group)


def send_header(topic: str, queue_id: int = 0, **pairs: str) -> SendMessage:
    """The header of a send in the short spelling; `pairs` are the message's properties."""
    now = int(time.time() * 1000)
    text = properties.encode(pairs).decode()
    return SendMessageV2("producers", topic, "TBW102", 4, queue_id, 0, now, 0, text)


def pull_header(
    topic: str, queue_id: int, offset: int, *, group: str = "PullGroup", tags: str | None = "*", suspend_ms: int = 0,
    max_messages: int = 32, commit_offset: int | None = None, sub_version: int = 0,
) -> PullMessage:  # fmt: skip
    """The header of a pull. `tags` None: as the group is subscribed; `suspend_ms`: how long it may be held."""
    flags = (0 if tags is None else SUBSCRIPTION) | (SUSPEND if suspend_ms else 0) | (commit_offset is not None)
    return PullMessage(
        group, topic, queue_id, offset, max_messages, flags, commit_offset or 0, suspend_ms, sub_version, tags, "TAG"
    )
