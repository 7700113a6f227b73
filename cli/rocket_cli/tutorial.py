"""The scenario of RocketMQ's tutorials: ten greetings through a topic, each printed once by its consumer."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable

from rocket_client import FromWhere, Message, Producer, PushConsumer, SendStatus

TOPIC, TAG = "ClusterTopicTest", "TagA"
PRODUCER_GROUP, CONSUMER_GROUP = "ClusterProducerGroup", "ClusterConsumerGroup"
COUNT = 10

_DEADLINE_SECONDS = 60.0
_LATE_SECONDS = 1.0  # for a message that comes twice to come again

Say = Callable[[str], None]


async def play(namesrv: str, say: Say) -> bool:
    """Sends ten messages and consumes them. True when each was stored as the cluster promises and came exactly once.

    What did not is said.
    """
    key = f"tutorial-{secrets.token_hex(4)}"  # what earlier runs left in the topic is not ours
    say(f"Producer group {PRODUCER_GROUP} sends to topic {TOPIC}:")
    stored = True
    async with Producer(namesrv, group=PRODUCER_GROUP) as producer:
        for text in _texts():
            result = await producer.send(Message(TOPIC, text, tags=TAG, keys=key))
            stored &= result.status is SendStatus.SEND_OK
            say(
                f"  {result.status.name}  {result.message_id}  {result.queue.broker_name} queue {result.queue.queue_id}"
            )
    if not stored:
        say("A status other than SEND_OK: stored by the master, and not yet by a slave or on the disk.")
    say(f"Consumer group {CONSUMER_GROUP}, subscribed to *, receives:")
    seen: Counter[str] = Counter()
    async with PushConsumer(namesrv, CONSUMER_GROUP, from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe(TOPIC, "*")
        await _receive(consumer, key, seen, say)
    return _all_once(seen, say) and stored


async def _receive(consumer: PushConsumer, key: str, seen: Counter[str], say: Say) -> None:
    """Counts our messages by their text until all are there, and for a moment more."""
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS) as limit:
            async for message in consumer:
                ours = key in message.keys
                say(
                    f"  {message.text}  [{message.tags}] {message.message_id}"
                    + ("" if ours else "  (of an earlier run)")
                )
                seen.update([message.text] if ours else [])
                if ours and len(seen) == COUNT:
                    limit.reschedule(asyncio.get_running_loop().time() + _LATE_SECONDS)
    except TimeoutError:
        pass  # all that will come has come


def _all_once(seen: Counter[str], say: Say) -> bool:
    wrong = {text: seen[text] for text in _texts() if seen[text] != 1}
    for text, times in wrong.items():
        say(f"{text!r} came {times} times")
    if not wrong:
        say(f"All {COUNT} messages came through, each once.")
    return not wrong


def _texts() -> list[str]:
    return [f"Hello RocketMQ {number}" for number in range(COUNT)]
