"""The synchronous face: the same producer for programs without an event loop.

One private thread runs an event loop with a `Producer` in it; every method hands its work over and waits. Any number of
threads may use one SyncProducer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from rocket_client.errors import ClientClosed
from rocket_client.message import Message, SendResult
from rocket_client.producer import Producer
from rocket_client.settings import ProducerSettings
from rocket_wire.bodies.body import MessageQueue

T = TypeVar("T")


class SyncProducer:
    """`Producer` for synchronous programs: same names, same arguments, same errors.

    Example:

        with SyncProducer("localhost:9876", group="shop") as producer:
            producer.send(Message("orders", "one coffee"))
            later = [producer.send_later(Message("orders", f"order {number}")) for number in range(10)]
            print([future.result().queue_offset for future in later])
    """

    def __init__(self, namesrv: str, group: str = "DEFAULT_PRODUCER", settings: ProducerSettings | None = None) -> None:
        """Raises InvalidMessage (a ValueError) for an address list or group name that cannot be right."""
        self._producer = Producer(namesrv, group, settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> SyncProducer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the thread; servers are contacted by the first send."""
        if self._loop is not None:
            raise ClientClosed("the producer was started already")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rocket producer", daemon=True)
        self._thread.start()
        self._call(self._producer.start())

    def stop(self) -> None:
        """Leaves the group, closes the connections, ends the thread. May be called again."""
        if self._loop is None or self._thread is None:
            return
        try:
            self._call(self._producer.stop())
        finally:
            loop, self._loop = self._loop, None
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()
            loop.close()

    def send(
        self,
        message: Message,
        *,
        queue: MessageQueue | None = None,
        ordering_key: str | None = None,
        timeout: float = 3.0,
    ) -> SendResult:
        """As `Producer.send`."""
        return self._call(self._producer.send(message, queue=queue, ordering_key=ordering_key, timeout=timeout))

    def send_later(
        self,
        message: Message,
        *,
        queue: MessageQueue | None = None,
        ordering_key: str | None = None,
        timeout: float = 3.0,
    ) -> Future[SendResult]:
        """As `send`, but returns at once; the future has the result or the error."""
        return self._submit(self._producer.send(message, queue=queue, ordering_key=ordering_key, timeout=timeout))

    def send_oneway(
        self,
        message: Message,
        *,
        queue: MessageQueue | None = None,
        ordering_key: str | None = None,
        timeout: float = 3.0,
    ) -> None:
        """As `Producer.send_oneway`."""
        self._call(self._producer.send_oneway(message, queue=queue, ordering_key=ordering_key, timeout=timeout))

    def send_batch(
        self,
        messages: Sequence[Message],
        *,
        queue: MessageQueue | None = None,
        ordering_key: str | None = None,
        timeout: float = 3.0,
    ) -> list[SendResult]:
        """As `Producer.send_batch`."""
        return self._call(self._producer.send_batch(messages, queue=queue, ordering_key=ordering_key, timeout=timeout))

    def queues(self, topic: str, timeout: float = 3.0) -> list[MessageQueue]:
        """As `Producer.queues`."""
        return self._call(self._producer.queues(topic, timeout))

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        future = self._submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # an interrupted caller (Ctrl-C) waits no longer; what it asked for ends as well
            raise

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None:
            work.close()
            raise ClientClosed("the producer is not running: use it inside `with`, or between start() and stop()")
        return asyncio.run_coroutine_threadsafe(work, self._loop)
