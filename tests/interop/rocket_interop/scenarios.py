"""The scenarios: what is sent and consumed, and which judgement it must stand. The same for every client.

Each is a coroutine over a Stage that answers with faults; SCENARIOS at the end names them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from rocket_interop import judgement
from rocket_interop.judgement import Faults, Message
from rocket_interop.stage import Stage, of

from rocket_client import Admin

#: The tutorial's names are fixed, so two clients may not play it at the same time.
_tutorial_turn = asyncio.Lock()

#: Above the 4 KiB from which clients compress a body.
COMPRESSED_CHARACTERS = 12_000

#: A client that starts before its group's %RETRY% topic exists asks for its route 30 s later, then rebalances.
REDELIVERY_SECONDS = 80


async def tutorial(stage: Stage) -> Faults:
    """RocketMQ's first example: ten messages to ClusterTopicTest, printed by ClusterConsumerGroup."""
    asked = [Message("", f"Hello RocketMQ {i}", "TagA") for i in range(10)]
    async with _tutorial_turn:
        topic = {"topic": "ClusterTopicTest"}
        producer = await stage.start("produce", {"group": "ClusterProducerGroup", "mode": "sync"} | topic)
        await producer.send(asked)
        await producer.stop()
        consumer = await stage.start("push", {"group": "ClusterConsumerGroup", "tags": "*"} | topic)
        ids = {answer.msg_id for answer in producer.sent}
        await consumer.wait_until(lambda: ids <= {d.msg_id for d in consumer.received}, 40)
        await asyncio.sleep(1.5)
        await consumer.stop()
    # These messages have no keys, and the topic may hold others' too: they are told apart by the ids of their answers.
    keyed = [replace(message, key=message.body) for message in asked]
    sent = [replace(answer, key=message.key) for answer, message in zip(producer.sent, keyed, strict=False)]
    received = [replace(d, key=d.body) for d in consumer.received if d.msg_id in ids]
    faults = judgement.all_accepted(keyed, sent, producer.failed)
    return faults + judgement.each_once(keyed, received) + judgement.same_position(sent, received)


async def _send_and_push(stage: Stage, mode: str) -> Faults:
    asked = stage.messages(16)
    asked[3] = replace(asked[3], body="你好, RocketMQ: ünïcödé")
    if mode != "batch":
        asked[5] = replace(asked[5], body="compress me " * (COMPRESSED_CHARACTERS // 12))
    producer = await stage.send(asked, mode)
    consumer = await stage.consumer()
    await stage.arrival(asked, consumer)
    await consumer.stop()
    faults = judgement.all_accepted(asked, producer.sent, producer.failed)
    faults += judgement.each_once(asked, consumer.received)
    return faults + judgement.same_position(producer.sent, consumer.received)


async def synchronous(stage: Stage) -> Faults:
    return await _send_and_push(stage, "sync")


async def asynchronous(stage: Stage) -> Faults:
    return await _send_and_push(stage, "async")


async def oneway(stage: Stage) -> Faults:
    return await _send_and_push(stage, "oneway")


async def batch(stage: Stage) -> Faults:
    return await _send_and_push(stage, "batch")


async def ordered(stage: Stage) -> Faults:
    """Four shards of eight messages each, interleaved; an orderly listener."""
    asked = [
        Message(f"{stage.run_name}-{shard}-{step}", f"step {step} of {shard}", "TagA", shard=shard)
        for step in range(8)
        for shard in ("apple", "pear", "plum", "quince")
    ]
    producer = await stage.send(asked, "ordered")
    consumer = await stage.consumer(listener="orderly")
    await stage.arrival(asked, consumer)
    await consumer.stop()
    faults = judgement.all_accepted(asked, producer.sent, producer.failed)
    faults += judgement.each_once(asked, consumer.received) + judgement.in_order(asked, consumer.received)
    return faults


async def _consume(stage: Stage, role: str) -> Faults:
    first, second = stage.messages(12, "first"), stage.messages(4, "second")
    producer = await stage.producer()
    await producer.send(first)
    consumer = await stage.consumer(role)
    await stage.arrival(first, consumer)
    # What comes while a consumer waits is found by another way than what lay there already.
    await producer.send(second)
    await stage.arrival(second, consumer)
    await producer.stop()
    await consumer.stop()
    faults = judgement.all_accepted(first + second, producer.sent, producer.failed)
    faults += judgement.each_once(first + second, consumer.received)
    return faults + judgement.same_position(producer.sent, consumer.received)


async def pull(stage: Stage) -> Faults:
    return await _consume(stage, "pull")


async def lite_pull(stage: Stage) -> Faults:
    return await _consume(stage, "lite")


async def tags(stage: Stage) -> Faults:
    """A subscription to two of three tags; messages without a tag belong to neither."""
    asked = [replace(m, tag=("TagA", "TagB", "TagC", "")[i % 4]) for i, m in enumerate(stage.messages(16))]
    producer = await stage.send(asked)
    consumer = await stage.consumer(tags="TagA || TagC")
    wanted = [message for message in asked if message.tag in ("TagA", "TagC")]
    await stage.arrival(wanted, consumer)
    await consumer.stop()
    faults = judgement.all_accepted(asked, producer.sent, producer.failed)
    return faults + judgement.each_once(wanted, consumer.received)


async def delay(stage: Stage) -> Faults:
    """No delay, one second, five seconds."""
    asked = [replace(m, delay_level=i % 3) for i, m in enumerate(stage.messages(9))]
    producer = await stage.producer()
    await producer.send(asked[:3])
    consumer = await stage.consumer()
    await producer.send(asked[3:])
    await stage.arrival(asked, consumer)
    await producer.stop()
    await consumer.stop()
    faults = judgement.all_accepted(asked, producer.sent, producer.failed)
    faults += judgement.each_once(asked, consumer.received)
    return faults + judgement.not_early(asked, producer.asked_at, consumer.received)


async def clustering(stage: Stage) -> Faults:
    """Two consumers of one group, in processes of their own: they share the messages."""
    asked = stage.messages(32)
    producer = await stage.producer()
    await producer.send(stage.messages(4, "topic"))
    consumers = {"one": await stage.consumer(), "two": await stage.consumer()}
    await stage.warm_up(producer, list(consumers.values()), lambda waves: all(waves) and sum(map(len, waves)) == 8)
    await producer.send(asked)
    await stage.arrival(asked, *consumers.values())
    for program in (producer, *consumers.values()):
        await program.stop()
    faults = judgement.all_accepted(asked, [s for s in producer.sent if "-m-" in s.key], producer.failed)
    return faults + judgement.shared(asked, of(asked, consumers))


async def broadcasting(stage: Stage) -> Faults:
    """Two consumers of one group, each of which gets everything."""
    asked = stage.messages(16)
    producer = await stage.producer()
    await producer.send(stage.messages(4, "topic"))
    consumers = {name: await stage.consumer(model="broadcasting") for name in ("one", "two")}
    await stage.warm_up(producer, list(consumers.values()), lambda waves: all(len(wave) == 8 for wave in waves))
    await producer.send(asked)
    for consumer in consumers.values():
        await stage.arrival(asked, consumer)
    for program in (producer, *consumers.values()):
        await program.stop()
    faults = judgement.all_accepted(asked, [s for s in producer.sent if "-m-" in s.key], producer.failed)
    return faults + judgement.each_to_all(asked, of(asked, consumers))


async def restart(stage: Stage) -> Faults:
    """A consumer is stopped, messages come meanwhile, it is started again."""
    first, second = stage.messages(12, "first"), stage.messages(12, "second")
    producer = await stage.producer()
    await producer.send(first)
    before = await stage.consumer()
    await stage.arrival(first, before)
    await asyncio.sleep(stage.client.commit_seconds)
    await before.stop()
    await producer.send(second)
    after = await stage.consumer()
    await stage.arrival(second, after)
    await after.stop()
    await producer.stop()
    faults = judgement.all_accepted(first + second, producer.sent, producer.failed)
    return faults + judgement.resumed(first, before.received, second, after.received)


async def retry(stage: Stage) -> Faults:
    """The listener fails at one message the first time; it comes again."""
    asked = stage.messages(8)
    failing = asked[-1]
    producer = await stage.producer()
    await producer.send(asked[:-1])
    consumer = await stage.consumer(failOnce=failing.key)
    await stage.arrival(asked[:-1], consumer)
    # Sent alone: the C++ client sends back what it pulled together with a message that failed.
    await producer.send([failing])
    await consumer.wait_until(lambda: [d.key for d in consumer.received].count(failing.key) > 1, REDELIVERY_SECONDS)
    await asyncio.sleep(1.5)
    await producer.stop()
    await consumer.stop()
    faults = judgement.all_accepted(asked, producer.sent, producer.failed)
    return faults + judgement.redelivered(asked, {failing.key}, consumer.received)


async def batch_queue(stage: Stage) -> Faults:
    """Batches to a topic where each is one record, with messages between them; the listener fails at one of a batch."""
    async with Admin(stage.namesrv) as admin:
        await admin.create_topic(stage.topic, queues=2, attributes={"queue.type": "BatchCQ"})
    asked = stage.messages(24)
    failing = asked[8]
    whole, alone = await stage.producer("batch"), await stage.producer()
    for begin in range(0, len(asked), 6):
        await whole.send(asked[begin : begin + 5], as_batch=True)
        await alone.send(asked[begin + 5 : begin + 6])
    consumer = await stage.consumer(failOnce=failing.key)
    await consumer.wait_until(lambda: [d.key for d in consumer.received].count(failing.key) > 1, REDELIVERY_SECONDS)
    await stage.arrival(asked, consumer)
    faults = []
    for program in (whole, alone, consumer):
        await program.stop()
    faults += judgement.all_accepted(asked, whole.sent + alone.sent, whole.failed | alone.failed)
    faults += judgement.same_position(alone.sent, consumer.received)
    return faults + judgement.redelivered(asked, {failing.key}, consumer.received)


async def mixed(stage: Stage) -> Faults:
    """This client reads what every other one has sent: plain, not ASCII, and compressed its way."""
    asked: list[Message] = []
    faults: Faults = []
    for number, other in enumerate(stage.others):
        part = stage.messages(3, f"from{number}")
        part[1] = replace(part[1], body="你好, RocketMQ: ünïcödé")
        part[2] = replace(part[2], body="compress me " * (COMPRESSED_CHARACTERS // 12))
        producer = await stage.producer(client=other)
        await producer.send(part)
        await producer.stop()
        faults += judgement.all_accepted(part, producer.sent, producer.failed)
        asked += part
    consumer = await stage.consumer()
    await stage.arrival(asked, consumer)
    await consumer.stop()
    return faults + judgement.each_once(asked, consumer.received)


SCENARIOS: Mapping[str, Callable[[Stage], Awaitable[Faults]]] = {
    "tutorial": tutorial,
    "sync": synchronous,
    "async": asynchronous,
    "oneway": oneway,
    "ordered": ordered,
    "batch": batch,
    "batch-queue": batch_queue,
    "pull": pull,
    "lite": lite_pull,
    "tags": tags,
    "delay": delay,
    "clustering": clustering,
    "broadcasting": broadcasting,
    "restart": restart,
    "retry": retry,
    "mixed": mixed,
}
