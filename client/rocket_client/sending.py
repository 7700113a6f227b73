"""One message's way to an acknowledgement: choose a queue, ask its master, try again where that may help.

A message that may go anywhere is tried on another broker; one that is bound to a queue, by its sender or by an ordering
key, on the same queue once more. A refusal that another broker would repeat ends it at once, and so does the end of its
time (protocol section 2.5). While nobody can be reached, nothing was sent, and it is tried until its time ends: so a
broker that restarts, or a group that changes its master, is hardly noticed.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass
from typing import Final

from rocket_client.errors import Attempt, BrokerError, NoAnswer, NoBroker, RocketError, SendFailed
from rocket_client.instance import Instance, refusal
from rocket_client.message import SendResult, SendStatus
from rocket_client.outgoing import Outgoing
from rocket_client.routes import Route, no_queue
from rocket_client.selection import Faults, Turns, by_key
from rocket_client.settings import ProducerSettings
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.codes import RETRY_ON_ANOTHER_BROKER, RETRY_ON_ANOTHER_QUEUE, RequestCode
from rocket_wire.command import Command, request
from rocket_wire.errors import RequestError
from rocket_wire.headers.send import SendMessageAnswer, SendMessageV2
from rocket_wire.topic_names import AUTO_CREATE_TOPIC

log = logging.getLogger("rocket.client")

_STATUSES: Final = frozenset(status.value for status in SendStatus)
#: Pause before the first further try, doubled before each next one, and its bound. Seconds.
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 0.5


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
        deadline = _now() + timeout
        attempts: list[Attempt] = []
        for tried in itertools.count():
            try:
                return await self._try(out, wish, attempts, deadline)
            except NoBroker as error:
                if not self._may_retry(error, wish, attempts, deadline):
                    raise
            except (BrokerError, NoAnswer) as error:
                if not self._may_retry(error, wish, attempts, deadline):
                    raise SendFailed(out.topic, attempts) from error
                log.info("message to %s is tried again: %s", out.topic, error)
            await self._before_next_try(out.topic, tried, deadline)
        raise AssertionError("counting never ends")

    async def _try(self, out: Outgoing, wish: Wish, attempts: list[Attempt], deadline: float) -> SendResult:
        queue, master = await self._choose(out.topic, wish, attempts, deadline - _now())
        question = self._request(out, queue)
        try:
            await self._instance.connect(master, max(0.001, self._share(len(attempts)) * (deadline - _now())))
            answer = await self._instance.answer(master, question, max(0.001, deadline - _now()))
            if answer.code not in _STATUSES:
                raise refusal(answer, master, question)
            result = _result(answer, out, queue, master)
        except (BrokerError, NoAnswer) as error:
            attempts.append(Attempt(queue.broker_name, error))
            if isinstance(error, NoAnswer):
                self._faults.report(queue.broker_name, _now())
            raise
        self._faults.clear(queue.broker_name)
        return result

    async def send_oneway(self, out: Outgoing, wish: Wish, timeout: float) -> None:
        """Hands the message to the connection; nobody tells what became of it."""
        queue, master = await self._choose(out.topic, wish, [], timeout)
        await self._instance.tell(master, self._request(out, queue, oneway=True), timeout)

    async def _choose(
        self, topic: str, wish: Wish, attempts: list[Attempt], timeout: float
    ) -> tuple[MessageQueue, str]:
        timeout = max(0.1, timeout)
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
        avoid = self._faults.avoided(_now())
        return self._turns.choose(route.topic, queues, avoid | {attempt.broker_name for attempt in attempts})

    def _share(self, tried: int) -> float:
        """The part of the time left that connecting may take: a host that is gone must leave some for another."""
        return 1 / max(2, self.settings.retries + 1 - tried)

    def _may_retry(self, error: RocketError, wish: Wish, attempts: list[Attempt], deadline: float) -> bool:
        """Refusals and lost answers are bounded in number; where nothing was sent, only the time is."""
        if _now() >= deadline:
            return False
        codes = RETRY_ON_ANOTHER_BROKER if wish.queue is not None else RETRY_ON_ANOTHER_QUEUE
        if isinstance(error, BrokerError) and error.code not in codes:
            return False
        return sum(map(_may_have_arrived, attempts)) <= self.settings.retries

    async def _before_next_try(self, topic: str, tried: int, deadline: float) -> None:
        """A pause that grows, and a new route, within the time that is left; a route that cannot be had stays."""
        left = deadline - _now()
        await asyncio.sleep(min(_FIRST_PAUSE * 2 ** min(tried, 10), _LONGEST_PAUSE, left / 2))
        try:
            await self._instance.routes.refresh(topic, max(0.05, left / 4), self.settings.new_topic_queues)
        except RocketError as error:
            log.debug("route of %s: %s", topic, error)

    def _request(self, out: Outgoing, queue: MessageQueue, *, oneway: bool = False) -> Command:
        header = SendMessageV2(
            producer_group=self._group,
            topic=out.topic,
            default_topic=AUTO_CREATE_TOPIC,
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


def _may_have_arrived(attempt: Attempt) -> bool:
    return not isinstance(attempt.error, NoAnswer) or attempt.error.maybe_done


def _now() -> float:
    return asyncio.get_running_loop().time()
