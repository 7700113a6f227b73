"""The C++ side of the interop suite: role=produce|push|pull and further name=value arguments.

The official C++ client is reached through the wheel `rocketmq`, which carries librocketmq.so and a ctypes layer over
its C interface. The runner gives this file a virtual environment of its own: the wheel is no dependency of the project.

A program of this suite decides nothing. It does what its standard input says, prints one JSON line for each message
that it sent or received, and leaves when its input ends; the runner judges the lines.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from rocketmq import client
from rocketmq.ffi import _CConsumeStatus, dll

ASYNC_DEADLINE_SECONDS = 30
PAUSE_SECONDS = 0.1
SEND_TIMEOUT_MILLISECONDS = 10_000  # the client's own 3 s are too little where many programs start at once

Arguments = dict[str, str]
printing = threading.Lock()


def show(event: str, **fields: Any) -> None:
    line = {"event": event, "at": int(time.time() * 1000)} | {k: v for k, v in fields.items() if v is not None}
    with printing:
        print(json.dumps(line), flush=True)


def show_received(message: Any) -> None:
    show(
        "received",
        key=(message.keys or b"").decode() or None,
        tag=(message.tags or b"").decode() or None,
        body=message.body.decode(),
        topic=message.topic,
        queueId=message.queue_id,
        queueOffset=message.queue_offset,
        msgId=message.id,
        reconsumeTimes=message.reconsume_times,
    )


def lines() -> Iterator[str]:
    for line in sys.stdin:
        yield line.rstrip("\n")


class Order:
    """A line of a producer's input: key TAB tag TAB delayLevel TAB shard TAB body; empty means absent."""

    def __init__(self, topic: str, line: str) -> None:
        self.key, tag, delay_level, self.shard, body = line.split("\t", 4)
        self.message = client.Message(topic)
        self.message.set_body(body)
        if self.key:
            self.message.set_keys(self.key)
        if tag:
            self.message.set_tags(tag)
        if delay_level:
            self.message.set_delay_time_level(int(delay_level))


class Sender:
    """Sends in one mode: sync, async, oneway, ordered or batch (where an empty line closes a batch)."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._batch: list[Order] = []
        self._unanswered = 0
        self._answered = threading.Condition()

    def send(self, mode: str, line: str) -> None:
        if mode == "batch":
            self._collect(line)
            return
        order = Order(self._topic, line)
        try:
            getattr(self, f"_send_{mode}")(order)
        except Exception as error:
            show("failed", key=order.key, error=repr(error))

    def wait_answered(self) -> None:
        with self._answered:
            self._answered.wait_for(lambda: self._unanswered == 0, ASYNC_DEADLINE_SECONDS)

    def _send_sync(self, order: Order) -> None:
        self._show_sent(order, self._producer.send_sync(order.message))

    def _send_oneway(self, order: Order) -> None:
        self._producer.send_oneway(order.message)
        show("sent", key=order.key)

    def _send_ordered(self, order: Order) -> None:
        self._show_sent(order, self._producer.send_orderly(order.message, sum(order.shard.encode())))

    def _send_async(self, order: Order) -> None:
        with self._answered:
            self._unanswered += 1
        self._producer.send_async(
            order.message,
            lambda result: self._answer(lambda: self._show_sent(order, result)),
            lambda error: self._answer(lambda: show("failed", key=order.key, error=repr(error))),
        )

    def _answer(self, show_it: Callable[[], None]) -> None:
        show_it()
        with self._answered:
            self._unanswered -= 1
            self._answered.notify_all()

    def _collect(self, line: str) -> None:
        if line:
            self._batch.append(Order(self._topic, line))
            return
        try:
            self._producer.send_batch([order.message for order in self._batch])
        except Exception as error:
            for order in self._batch:
                show("failed", key=order.key, error=repr(error))
        else:
            for order in self._batch:
                show("sent", key=order.key)
        self._batch = []

    @staticmethod
    def _show_sent(order: Order, result: Any) -> None:
        status = "SEND_OK" if result.status == client.SendStatus.OK else result.status.name
        # The C interface does not say which queue a message went to, so its offset alone would tell nothing.
        show("sent", key=order.key, status=status, msgId=result.msg_id)


def produce(arguments: Arguments) -> None:
    producer = client.Producer(arguments["group"], timeout=SEND_TIMEOUT_MILLISECONDS)
    producer.set_namesrv_addr(arguments["namesrv"])
    producer.start()
    show("ready")
    sender = Sender(producer, arguments["topic"])
    for line in lines():
        sender.send(arguments.get("mode", "sync"), line)
    sender.wait_answered()
    show("stopped")
    producer.shutdown()


def push(arguments: Arguments) -> None:
    fail_once = set(arguments.get("failOnce", "").split(",")) - {""}
    broadcasting = arguments.get("model") == "broadcasting"
    consumer = client.PushConsumer(
        arguments["group"],
        orderly=arguments.get("listener") == "orderly",
        message_model=client.MessageModel.BROADCASTING if broadcasting else client.MessageModel.CLUSTERING,
    )
    consumer.set_namesrv_addr(arguments["namesrv"])

    def on_message(_consumer: int, handle: int) -> int:
        message = client.RecvMessage(handle)
        show_received(message)
        later = message.reconsume_times == 0 and (message.keys or b"").decode() in fail_once
        status = _CConsumeStatus.RECONSUME_LATER if later else _CConsumeStatus.CONSUME_SUCCESS
        return int(status)

    # The wheel's own subscribe() loses the answer of a listener that fails, so the layer below it is used.
    dll.Subscribe(consumer._handle, arguments["topic"].encode(), arguments.get("tags", "*").encode())
    consumer._register_callback(on_message)
    consumer.start()
    show("ready")
    for _line in lines():
        continue
    show("stopped")
    consumer.shutdown()


def pull(arguments: Arguments) -> None:
    consumer = client.PullConsumer(arguments["group"])
    consumer.set_namesrv_addr(arguments["namesrv"])
    consumer.start()
    show("ready")
    ended = threading.Event()

    def await_end() -> None:
        for _line in lines():
            continue
        ended.set()

    threading.Thread(target=await_end, daemon=True).start()
    while not ended.wait(PAUSE_SECONDS):
        for message in consumer.pull(arguments["topic"], arguments.get("tags", "*")):
            show_received(message)
    show("stopped")
    consumer.shutdown()


def main() -> None:
    arguments = dict(word.split("=", 1) for word in sys.argv[1:])
    # Each says "stopped" before it shuts the library down, which at times aborts in one of its own threads.
    {"produce": produce, "push": push, "pull": pull}[arguments["role"]](arguments)
    # The library's own threads and destructors would otherwise race with the interpreter's end.
    os._exit(0)


if __name__ == "__main__":
    main()
