"""One message's way to an acknowledgement: choose a queue, ask its master, try again where that may help.

A message that may go anywhere is tried on another broker; one that is bound to a queue, by its sender or by an ordering
key, on the same queue once more. A refusal that another broker would repeat ends it at once, and so does the end of its
time (protocol section 2.5).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from rocket_client.errors import Attempt, BrokerError, NoAnswer, NoBroker, RocketError, SendFailed
from rocket_client.instance import Instance, refusal
from rocket_client.message import SendResult, SendStatus
from rocket_client.outgoing import Outgoing
from rocket_client.routes import TEMPLATE_TOPIC, Route, no_queue
from rocket_client.selection import Faults, Turns, by_key
from rocket_client.settings import ProducerSettings
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.codes import RETRY_ON_ANOTHER_BROKER, RequestCode
from rocket_wire.command import Command, request
from rocket_wire.errors import RequestError
from rocket_wire.headers.send import SendMessageAnswer, SendMessageV2

log = logging.getLogger("rocket.client")

_STATUSES: Final = frozenset(status.value for status in SendStatus)
#: Pause before the first further try, seconds; doubled before each next one.
_PAUSE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Wish:
    """Where a message shall go: to this queue, to its key's queue, or (neither) anywhere."""

    queue: MessageQueue | None = None
    ordering_key: str | None = None

    @property
    def is_bound(self) -> bool:
        return self.queue is not None or self.ordering_key is not None


ANYWHERE: Final = Wish()


class Sender:
    """Sends for one producer group."""

    def __init__(self, instance: Instance, group: str, settings: ProducerSettings) -> None:
        self._instance = instance
        self._group = group
        self.settings = settings
        self._turns = Turns()
        self._faults = Faults()

    async def route(self, topic: str, timeout: float) -> Route:
        """The topic's route, or the one that it will have once it is made."""
        return await self._instance.routes.get(topic, timeout, self.settings.new_topic_queues)

    async def send(self, out: Outgoing, wish: Wish, timeout: float) -> SendResult:
        """The acknowledgement. Raises SendFailed, or why no broker could be chosen. Seconds for everything."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        attempts: list[Attempt] = []
        while True:
            left = deadline - loop.time()
            queue, master = await self._choose(out.topic, wish, attempts, max(0.1, left))
            try:
                answer = await self._ask(master, self._request(out, queue), self._share(left, len(attempts)), left)
                self._faults.clear(queue.broker_name)
                return _result(answer, out, queue, master)
            except (BrokerError, NoAnswer) as error:
                attempts.append(Attempt(queue.broker_name, error))
                if isinstance(error, NoAnswer):
                    self._faults.report(queue.broker_name, loop.time())
                if not self._may_retry(attempts, deadline):
                    raise SendFailed(out.topic, attempts) from error
                log.info("message to %s is tried again: %s", out.topic, error)
            await self._before_next_try(out.topic, len(attempts), deadline)

    async def send_oneway(self, out: Outgoing, wish: Wish, timeout: float) -> None:
        """Hands the message to the connection; nobody tells what became of it."""
        queue, master = await self._choose(out.topic, wish, [], timeout)
        await self._instance.tell(master, self._request(out, queue, oneway=True), timeout)

    async def _choose(
        self, topic: str, wish: Wish, attempts: list[Attempt], timeout: float
    ) -> tuple[MessageQueue, str]:
        route = await self.route(topic, timeout)
        chosen = self._queue(route, wish, attempts)
        if chosen is None or route.master(chosen.broker_name) is None:
            route = await self._instance.routes.refresh(topic, timeout, self.settings.new_topic_queues)
            chosen = self._queue(route, wish, attempts)
        if chosen is None:
            raise no_queue(route, "write")
        master = route.master(chosen.broker_name)
        if master is None:
            raise NoBroker(
                f"broker group {chosen.broker_name!r} has no master now: topic {topic!r} cannot be written there"
            )
        return chosen, master

    def _queue(self, route: Route, wish: Wish, attempts: list[Attempt]) -> MessageQueue | None:
        if wish.queue is not None:
            return wish.queue
        queues = route.queues_to_write
        if not queues:
            return None
        if wish.ordering_key is not None:
            return by_key(queues, wish.ordering_key)
        avoid = self._faults.avoided(asyncio.get_running_loop().time())
        return self._turns.choose(route.topic, queues, avoid | {attempt.broker_name for attempt in attempts})

    async def _ask(self, master: str, question: Command, connect_within: float, timeout: float) -> Command:
        """The answer with one of the send statuses. A connection that cannot be made leaves time for another try."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        await self._instance.connect(master, connect_within)
        answer = await self._instance.answer(master, question, max(0.001, deadline - loop.time()))
        if answer.code not in _STATUSES:
            raise refusal(answer, master, question)
        return answer

    def _share(self, left: float, tried: int) -> float:
        return max(0.001, left / max(1, self.settings.retries + 1 - tried))

    def _may_retry(self, attempts: list[Attempt], deadline: float) -> bool:
        error = attempts[-1].error
        if isinstance(error, BrokerError) and error.code not in RETRY_ON_ANOTHER_BROKER:
            return False
        return len(attempts) <= self.settings.retries and asyncio.get_running_loop().time() < deadline

    async def _before_next_try(self, topic: str, tried: int, deadline: float) -> None:
        """A moment's pause, and a new route, within the time that is left; a route that cannot be had stays."""
        loop = asyncio.get_running_loop()
        left = deadline - loop.time()
        await asyncio.sleep(min(_PAUSE * 2 ** (tried - 1), left / 2))
        try:
            await self._instance.routes.refresh(topic, max(0.05, left / 4), self.settings.new_topic_queues)
        except RocketError as error:
            log.debug("route of %s: %s", topic, error)

    def _request(self, out: Outgoing, queue: MessageQueue, *, oneway: bool = False) -> Command:
        header = SendMessageV2(
            producer_group=self._group,
            topic=out.topic,
            default_topic=TEMPLATE_TOPIC,
            default_topic_queue_nums=self.settings.new_topic_queues,
            queue_id=queue.queue_id,
            sys_flag=out.sys_flag,
            born_timestamp=out.born_timestamp,
            flag=out.flag,
            properties=out.properties,
            reconsume_times=out.reconsume_times,
            unit_mode=False,
            max_reconsume_times=out.max_reconsume_times,
            batch=out.is_batch,
            broker_name=queue.broker_name,
        )
        code = RequestCode.SEND_BATCH_MESSAGE if out.is_batch else RequestCode.SEND_MESSAGE_V2
        return request(code, header, out.body, oneway=oneway)


def _result(answer: Command, out: Outgoing, queue: MessageQueue, address: str) -> SendResult:
    try:
        header = answer.header(SendMessageAnswer)
    except RequestError as error:
        raise NoAnswer(f"{address} answered what is no acknowledgement: {error}", maybe_done=True) from error
    return SendResult(
        status=SendStatus(answer.code),
        message_id=out.message_id,
        offset_message_id=header.msg_id,
        queue=MessageQueue(out.topic, queue.broker_name, header.queue_id),
        queue_offset=header.queue_offset,
    )
