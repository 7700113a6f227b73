"""Pulls one queue into its window, as long as a consumer has that queue (protocol section 3.8).

    broker ──pull──► window (waiting, running) ──take──► application
                        ▲ full: no pull               finish ──► commit_offset

Every answer moves `pulled_to`; an answer PULL_OFFSET_MOVED replaces the window, since what it held is from elsewhere.
Where the master is gone, or the broker suggests so, another member of its group is asked.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from rocket_client.broker_calls import BrokerCalls
from rocket_client.errors import NoAnswer, RocketError
from rocket_client.incoming import read_messages
from rocket_client.instance import Instance, milliseconds, refusal
from rocket_client.message import ReceivedMessage, queue_text
from rocket_client.process_queue import ProcessQueue
from rocket_client.routes import MASTER
from rocket_client.settings import ConsumerSettings
from rocket_client.subscription import fits
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.heartbeat import SubscriptionData
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command, request
from rocket_wire.errors import ProtocolError, RequestError
from rocket_wire.headers.pull import COMMIT_OFFSET, SUBSCRIPTION, SUSPEND, PullMessage, PullMessageAnswer

log = logging.getLogger("rocket.client")

#: FLOW_CONTROL: ask again soon.
_FLOW_CONTROL: Final = 215
#: Longest pause after a failed pull, and after a pull that was answered at once without a message, seconds.
_LONGEST_PAUSE: Final = 3.0
_EMPTY_PAUSE: Final = 0.1
#: How much later than the broker's long poll an answer may come, seconds.
_POLL_GRACE: Final = 10.0
#: How long a broker that gave no answer is left for another of its group, seconds.
_AVOID_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Surroundings:
    """What all intakes of one consumer share."""

    instance: Instance
    calls: BrokerCalls
    group: str
    settings: ConsumerSettings
    subscription: Callable[[str], SubscriptionData | None]
    #: Whether the group's offsets may travel with pulls.
    commits: bool
    orderly: bool
    #: A pull consumer's: it says itself how far it is.
    is_asked: bool
    #: Called when messages came.
    arrived: Callable[[Intake], None]
    #: Called when the broker moved the queue's offset; the intake goes on from there.
    moved: Callable[[Intake], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """A message in somebody's hands: to be finished, or put back."""

    intake: Intake
    window: ProcessQueue[ReceivedMessage]
    message: ReceivedMessage

    def finish(self) -> bool:
        """It is done with. False where it was before."""
        done = self.window.finish(self.message.queue_offset)
        self.intake.changed()
        return done

    def put_back(self, reconsume_times: int | None = None) -> None:
        """It waits again, in its old place."""
        message = self.message
        if reconsume_times is not None:
            message = msgspec.structs.replace(message, reconsume_times=reconsume_times)
        self.window.put_back(message)
        self.intake.changed()

    @property
    def is_current(self) -> bool:
        """Whether its queue still belongs to this consumer: where not, somebody else gets the message as well."""
        return not self.intake.closed and self.window is self.intake.window


class Intake:
    """One queue of one consumer."""

    def __init__(self, around: Surroundings, queue: MessageQueue, start: int) -> None:
        self.queue = queue
        self.begun_at = start
        self.window: ProcessQueue[ReceivedMessage] = ProcessQueue(start)
        self.in_line = False
        self.closed = False
        self.last_pull = 0
        self.last_take = 0
        #: For orderly queues: until when (loop time) this client holds the queue's lock.
        self.locked_until = 0.0
        #: What a pull consumer allows to be committed; None: what its window says.
        self.settled: int | None = start if around.is_asked else None
        self._around = around
        self._room = asyncio.Event()
        self._broker_id = MASTER
        self._avoid = ""
        self._avoid_until = 0.0
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    # -- for those who consume ----------------------------------------------------------------------------------

    @property
    def commit_offset(self) -> int:
        """The offset that may be committed."""
        return self.window.commit_offset if self.settled is None else self.settled

    def has_more(self) -> bool:
        """Whether `take` would give a message now."""
        if self.closed or not self.window.waiting:
            return False
        return not self._around.orderly or (self.window.running == 0 and self._is_locked())

    def take(self) -> Taken | None:
        """The next message, in the caller's hands from now on."""
        if not self.has_more():
            return None
        message = self.window.take()
        self.last_take = milliseconds()
        return None if message is None else Taken(self, self.window, message)

    def changed(self) -> None:
        """There may be room for more, and a message to hand out."""
        self._room.set()
        self._around.arrived(self)

    def start(self) -> None:
        """Begins to pull."""
        self._task = self._around.instance.background.start(self._run(), f"pull of {queue_text(self.queue)}")

    def close(self) -> None:
        """Nothing more is pulled or handed out; what runs may finish."""
        self.closed = True
        if self._task is not None:
            self._task.cancel()

    def restart_at(self, offset: int) -> None:
        """Goes on from `offset` at once; what was pulled, and what runs of it, no longer counts."""
        if self._task is not None:
            self._task.cancel()
        self._replace_window(offset)
        self.start()

    async def idle(self, seconds: float) -> None:
        """Waits until nothing runs, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                while self.window.running:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            log.debug("%s: %d messages are still in hand", queue_text(self.queue), self.window.running)

    def _is_locked(self) -> bool:
        return asyncio.get_running_loop().time() < self.locked_until

    # -- pulling ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self.closed:
            if self._is_full():
                self._room.clear()
                await self._room.wait()
                continue
            try:
                await self._pull_once()
                self._failures = 0
            except Exception as error:  # whatever it is, the queue must go on being read
                await self._recover(error)

    def _is_full(self) -> bool:
        window, settings = self.window, self._around.settings
        return (
            len(window) >= settings.max_buffered_messages
            or window.bytes >= settings.max_buffered_bytes
            or window.span >= settings.max_span
        )

    async def _pull_once(self) -> None:
        address = await self._address()
        window, offset = self.window, self.window.pulled_to
        question = self._question(address, offset)
        began = time.monotonic()
        timeout = self._around.settings.long_poll_seconds + _POLL_GRACE
        try:
            answer = await self._around.instance.answer(address, question, timeout)
        except NoAnswer:
            self._avoid, self._avoid_until = address, began + _AVOID_SECONDS
            raise
        self.last_pull = milliseconds()
        if self.closed or window is not self.window:
            return
        if answer.code == _FLOW_CONTROL:
            await asyncio.sleep(0.02)
        elif answer.code == ResponseCode.PULL_OFFSET_MOVED:
            self._move(answer.header(PullMessageAnswer).next_begin_offset)
        else:
            self._accept(answer, address, question)
            if window.pulled_to == offset and time.monotonic() - began < _EMPTY_PAUSE:
                await asyncio.sleep(_EMPTY_PAUSE)  # a broker that does not hold pulls must not be asked without pause

    def _accept(self, answer: Command, address: str, question: Command) -> None:
        if answer.code not in (
            ResponseCode.SUCCESS,
            ResponseCode.PULL_NOT_FOUND,
            ResponseCode.PULL_RETRY_IMMEDIATELY,
        ):
            raise refusal(answer, address, question)
        header = answer.header(PullMessageAnswer)
        self._broker_id = header.suggest_which_broker_id
        messages = read_messages(answer.body, self.queue) if answer.code == ResponseCode.SUCCESS else []
        wanted = self._around.subscription(self.queue.topic)
        if wanted is not None:
            messages = [message for message in messages if fits(wanted, message.tags)]
        self.window.add(messages, header.next_begin_offset)
        self._around.arrived(self)

    def _question(self, address: str, offset: int) -> Command:
        around = self._around
        wanted = around.subscription(self.queue.topic)
        flags = SUSPEND | SUBSCRIPTION
        route = around.instance.routes.cached(self.queue.topic)
        is_master = route is not None and address == route.master(self.queue.broker_name)
        if around.commits and self.commit_offset > 0 and is_master:
            flags |= COMMIT_OFFSET
        return request(
            RequestCode.PULL_MESSAGE,
            PullMessage(
                consumer_group=around.group,
                topic=self.queue.topic,
                queue_id=self.queue.queue_id,
                queue_offset=offset,
                max_msg_nums=around.settings.pull_batch,
                sys_flag=flags,
                commit_offset=self.commit_offset if flags & COMMIT_OFFSET else 0,
                suspend_timeout_millis=int(around.settings.long_poll_seconds * 1000),
                sub_version=wanted.sub_version if wanted is not None else 0,
                subscription=wanted.sub_string if wanted is not None else "*",
                expression_type="TAG",
            ),
        )

    def _move(self, offset: int) -> None:
        log.warning(
            "%s: the broker moved offset %d to %d; what was pulled is dropped",
            queue_text(self.queue), self.window.pulled_to, offset,
        )  # fmt: skip
        self._replace_window(offset)
        self._around.moved(self)

    def _replace_window(self, offset: int) -> None:
        self.window = ProcessQueue(offset)
        if self.settled is not None:
            self.settled = offset

    # -- whom to ask --------------------------------------------------------------------------------------------

    async def _address(self) -> str:
        address = await self._around.calls.address(self.queue, self._broker_id)
        if address != self._avoid or time.monotonic() > self._avoid_until:
            return address
        route = await self._around.instance.routes.get(self.queue.topic)
        others = [each for each in route.brokers.get(self.queue.broker_name, {}).values() if each != address]
        return others[0] if others else address

    async def _recover(self, error: Exception) -> None:
        self._failures += 1
        level = logging.WARNING if self._failures == 1 else logging.DEBUG
        trace = None if isinstance(error, RocketError | RequestError | ProtocolError) else error
        log.log(level, "pull of %s failed, tried again: %s", queue_text(self.queue), error, exc_info=trace)
        await asyncio.sleep(min(_LONGEST_PAUSE, 0.1 * 2**self._failures))
        try:
            await self._around.instance.routes.refresh(self.queue.topic)
        except RocketError as refresh_error:
            log.debug("route of %s: %s", self.queue.topic, refresh_error)
