"""Senders that keep a ledger while servers fail: raw requests, and the project's own producer.

    ledger = Ledger()
    async with sending(ledger, RawSender("raw", broker.address), ClientSender("client", namesrv)):
        ...kill, freeze, restart...
        known = ledger.so_far()  # the senders go on while their queues are read
        assert not known.faults(await stored(broker.address))
    assert not ledger.faults(await stored(broker.address))

Each sender sends one request after the other, so that its order is known, and rests a moment after each, so that a
test's load stays small. A raw sender never sends a message again; a client does as ProducerSettings says.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from rocket_client import Message, Producer, ProducerSettings, RocketError, SendFailed, SendResult
from rocket_net.errors import TransportError
from rocket_testing.broker_talk import BrokerTalk, send_header
from rocket_testing.ledger import Key, Ledger, Place, Stored, body_of
from rocket_wire import record
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command
from rocket_wire.frame import SerializeType
from rocket_wire.headers.offsets import GetMaxOffset
from rocket_wire.headers.send import SendMessageAnswer

#: As many as a producer asks for when its first send makes the topic.
QUEUES = 4
TOPIC = "Ledger"

#: Seconds that a raw sender waits for an answer, and rests after a failure.
_ANSWER_SECONDS = 2.0
_REST_SECONDS = 0.02
_STATUSES = frozenset({0, 10, 11, 12})


class Sender(Protocol):
    """Sends until it is cancelled, and writes down what came of it."""

    async def run(self, ledger: Ledger) -> None: ...


class RawSender:
    """SEND_MESSAGE_V2 (310), or with `batch` above 1 SEND_BATCH_MESSAGE (320), over a connection of its own."""

    def __init__(
        self, name: str, address: str, *, topic: str = TOPIC, batch: int = 1, size: int = 1500, rest: float = 0.004
    ) -> None:
        """`size`: bodies have up to so many bytes. `rest`: pause after each request, seconds."""
        self.name = name
        self._topic = topic
        self._batch = batch
        self._size = size
        self._rest = rest
        self._number = 0
        self._talk = BrokerTalk(address, SerializeType.ROCKETMQ if batch > 1 else SerializeType.JSON)

    async def run(self, ledger: Ledger) -> None:
        try:
            while True:
                await self.send_once(ledger)
                await asyncio.sleep(self._rest)
        finally:
            await self.close()

    async def close(self) -> None:
        await self._talk.close()

    async def send_once(self, ledger: Ledger) -> None:
        """One request, its outcome in the ledger."""
        keys = [Key(self.name, self._number + index) for index in range(self._batch)]
        place = Place(self._topic, self._number // self._batch % QUEUES)
        self._number += self._batch
        bodies = [body_of(key, random.randrange(1, self._size)) for key in keys]
        for key, body in zip(keys, bodies, strict=True):
            ledger.note_sent(key, body)
        try:
            answer = await self._ask(place, bodies)
        except TransportError as error:
            ledger.refusals[type(error).__name__] += 1
            await asyncio.sleep(_REST_SECONDS)
            return
        if answer.code not in _STATUSES:
            ledger.refusals[f"code {answer.code}"] += 1
            await asyncio.sleep(_REST_SECONDS)
            return
        header = answer.header(SendMessageAnswer)
        for index, key in enumerate(keys):
            ledger.note_acknowledged(key, answer.code, place, header.queue_offset + index)

    async def _ask(self, place: Place, bodies: list[bytes]) -> Command:
        header = send_header(place.topic, place.queue_id)
        if self._batch == 1:
            return await self._talk.ask(RequestCode.SEND_MESSAGE_V2, header, bodies[0], _ANSWER_SECONDS)
        body = record.join_batch([record.BatchItem(body, b"") for body in bodies])
        return await self._talk.ask(RequestCode.SEND_BATCH_MESSAGE, header, body, _ANSWER_SECONDS)


class ClientSender:
    """The project's producer: single messages, or with `batch` above 1 batches, to queues that take turns."""

    def __init__(self, name: str, namesrv: str, *, batch: int = 1, retries: int = 2, rest: float = 0.006) -> None:
        self.name = name
        self._namesrv = namesrv
        self._batch = batch
        self._retries = retries
        self._rest = rest
        self._number = 0

    async def run(self, ledger: Ledger) -> None:
        if self._retries:
            ledger.repeating.add(self.name)
        async with Producer(self._namesrv, settings=ProducerSettings(retries=self._retries)) as producer:
            while True:
                await self._send_once(producer, ledger)
                await asyncio.sleep(self._rest)

    async def _send_once(self, producer: Producer, ledger: Ledger) -> None:
        keys = [Key(self.name, self._number + index) for index in range(self._batch)]
        self._number += self._batch
        messages = [Message(TOPIC, body_of(key, random.randrange(1, 1500))) for key in keys]
        for key, message in zip(keys, messages, strict=True):
            ledger.note_sent(key, message.content)
        try:
            results = await self._results(producer, messages)
        except RocketError as error:
            ledger.refusals[_why(error)] += 1
            await asyncio.sleep(_REST_SECONDS)
            return
        for key, result in zip(keys, results, strict=True):
            place = Place(result.queue.topic, result.queue.queue_id)
            ledger.note_acknowledged(key, result.status.value, place, result.queue_offset)

    async def _results(self, producer: Producer, messages: list[Message]) -> list[SendResult]:
        if self._batch > 1:
            return await producer.send_batch(messages)
        return [await producer.send(messages[0])]


@contextlib.asynccontextmanager
async def sending(ledger: Ledger, *senders: Sender) -> AsyncIterator[None]:
    """These senders are at work inside the block; one that fails fails it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sender.run(ledger)) for sender in senders]
        yield
        for task in tasks:
            task.cancel()


async def acknowledged(ledger: Ledger, more: int, within: float = 20.0) -> None:
    """Returns when so many more messages are acknowledged than are now. Raises AssertionError."""
    wanted, deadline = len(ledger.acknowledged) + more, time.monotonic() + within
    while len(ledger.acknowledged) < wanted:
        assert time.monotonic() < deadline, f"{len(ledger.acknowledged)} of {wanted}; refusals: {ledger.refusals}"
        await asyncio.sleep(0.01)


async def stored(address: str, topics: Iterable[str] = (TOPIC,), queues: int = QUEUES) -> dict[Place, list[Stored]]:
    """Everything that the broker at `address` has of these topics, read queue by queue from the first offset."""
    talk = BrokerTalk(address)
    try:
        places = [Place(topic, queue_id) for topic in topics for queue_id in range(queues)]
        return {place: await _whole_queue(talk, place) for place in places}
    finally:
        await talk.close()


async def _whole_queue(talk: BrokerTalk, place: Place) -> list[Stored]:
    answer = await talk.must(RequestCode.GET_MAX_OFFSET, GetMaxOffset(place.topic, place.queue_id))
    end = int(answer.fields()["offset"])
    messages: list[Stored] = []
    offset = 0
    while offset < end:
        pulled = await talk.pull(place.topic, place.queue_id, offset)
        assert pulled.header.next_begin_offset > offset, f"{place} gives nothing at {offset} of {end}: {pulled}"
        offset = pulled.header.next_begin_offset
        messages += [Stored(message.queue_offset, message.body) for message in pulled.messages]
    return messages


def _why(error: RocketError) -> str:
    if isinstance(error, SendFailed) and error.attempts:
        last = error.attempts[-1].error
        code = getattr(last, "code", None)
        return f"SendFailed: code {code}" if code is not None else f"SendFailed: {type(last).__name__}"
    return type(error).__name__
