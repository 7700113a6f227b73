"""One store directory, opened by our broker and by Apache's in turn: each finds and goes on with what the other left.

Apache's client sends and consumes before each change of the broker; afterwards it must find every message at its place,
go on where its group was, and send more. Whose broker begins is the row's name; it is stopped in order, or killed.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rocket_interop import apache, judgement
from rocket_interop.apache import Broker, Cluster, Maker, OurServers, ServerFailed
from rocket_interop.clients import BUILD, BuildError, Client, JavaBuild
from rocket_interop.judgement import Faults, Message, Sent
from rocket_interop.stage import Stage

from rocket_broker.store.tools.findings import Verdict
from rocket_broker.store.tools.verify import verify
from rocket_client import Admin
from rocket_wire.bodies.offsets import ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper

__all__ = ["SCENARIOS", "ServerFailed", "client", "play"]

VERSION = "5.5.0"

#: Apache's broker saves offsets for the first time ten seconds after its start.
_SAVE_SECONDS = 20.0

#: Of the one delayed message of each turn: the first level, one second.
_LEVEL = 1

SCENARIOS = {
    f"store-{first}-{how}": (first, how == "killed") for first in ("ours", "apache") for how in ("stopped", "killed")
}


def client() -> Client:
    """The row's client: Apache's, of the broker's version."""
    return Client(f"apache-broker-{VERSION}", JavaBuild(VERSION), tuple(SCENARIOS))


@dataclass(frozen=True)
class _Turn:
    """One broker's time with the store."""

    maker: Maker
    number: int
    is_killed: bool = False


async def play(scenario: str, run_name: str) -> Faults:
    """Three turns: one broker, the other, and the first again."""
    first, is_killed = SCENARIOS[scenario]
    try:
        theirs = await apache.servers(VERSION)
    except BuildError as error:
        return [str(error)]
    makers: list[Maker] = [OurServers(), theirs]
    if first == "apache":
        makers.reverse()
    turns = [_Turn(makers[0], 0, is_killed), _Turn(makers[1], 1, is_killed), _Turn(makers[0], 2)]
    with tempfile.TemporaryDirectory(prefix="rocketcluster-stores-") as folder, Cluster(Path(folder)) as cluster:
        await asyncio.to_thread(cluster.add_namesrv)
        stage = Stage(client(), [], scenario, cluster.namesrv, run_name, BUILD / "logs")
        try:
            return await _play(stage, turns, Path(folder) / "store", cluster)
        finally:
            await stage.clear()


async def _play(stage: Stage, turns: Sequence[_Turn], store: Path, cluster: Cluster) -> Faults:
    faults: Faults = []
    asked: list[Message] = []
    sent: list[Sent] = []
    batches = replace(stage, scenario=f"{stage.scenario}-batches")  # a topic of its own, of the other kind
    in_batches: list[Message] = []
    for turn in turns:
        broker = await asyncio.to_thread(_broker, turn, store, cluster)
        new = _messages(stage, turn.number)
        for mode, part in (("sync", new[:-8]), ("batch", new[-8:])):
            producer = await stage.send(part, mode)
            faults += judgement.all_accepted(part, producer.sent, producer.failed)
            sent += producer.sent
        asked += new
        faults += await _read(stage, f"group-{turn.number}", asked, sent)
        faults += await _read(stage, "group", new, sent)
        if not in_batches:
            await _make_batch_topic(batches)
        in_batches += (part := batches.messages(40, f"whole{turn.number}"))
        faults += await _send_batches(batches, part)
        faults += await _read(batches, f"batches-{turn.number}", in_batches, [])
        faults += await _saved(store, f"{stage.topic}@{stage.group}-group", len(asked), turn.number + 1)
        await asyncio.to_thread(broker.kill if turn.is_killed else broker.stop)
        report = verify(store).report
        if report.verdict is Verdict.DAMAGED:
            faults.append(f"after turn {turn.number} the store is damaged: {report.findings}")
    return faults


async def _make_batch_topic(stage: Stage) -> None:
    async with Admin(stage.namesrv) as admin:
        await admin.create_topic(stage.topic, queues=2, attributes={"queue.type": "BatchCQ"})


async def _send_batches(stage: Stage, messages: Sequence[Message]) -> Faults:
    """In batches of one, two, three and so on, so that there are several files of entries for each queue."""
    producer = await stage.producer("batch")
    begin, size = 0, 1
    while begin < len(messages):
        await producer.send(messages[begin : begin + size], as_batch=True)
        begin, size = begin + size, size % 4 + 1
    await producer.stop()
    return judgement.all_accepted(messages, producer.sent, producer.failed)


def _messages(stage: Stage, turn: int) -> list[Message]:
    """Enough for several files of each kind: with tags, some delayed, some not ASCII, and eight for a batch."""
    plain = [
        replace(m, tag=f"Tag{i % 3}", body=m.body + "." * 300) for i, m in enumerate(stage.messages(90, f"t{turn}"))
    ]
    plain[3] = replace(plain[3], body="你好, RocketMQ: ünïcödé")
    plain[4] = replace(plain[4], delay_level=_LEVEL)
    return plain + [replace(m, tag="") for m in stage.messages(8, f"batch{turn}")]


async def _read(stage: Stage, group: str, wanted: Sequence[Message], sent: Sequence[Sent]) -> Faults:
    """What a group has not had yet is `wanted`, each once and where its producer was told that it is."""
    consumer = await stage.consumer(group=f"{stage.group}-{group}")
    await stage.arrival(wanted, consumer)
    await consumer.stop()
    here = {message.key for message in wanted if not message.delay_level}  # delayed ones are stored twice
    faults = judgement.each_once(wanted, consumer.received)
    faults += judgement.same_position([s for s in sent if s.key in here], consumer.received)
    return [f"{group}: {fault}" for fault in faults]


async def _saved(store: Path, key: str, messages: int, delayed: int) -> Faults:
    """Waits until it is saved what a group has consumed and the broker delivered: a kill before that repeats it."""
    consumed: dict[int, int] = {}
    delivered: dict[int, int] = {}
    deadline = time.monotonic() + _SAVE_SECONDS
    while time.monotonic() < deadline:
        table = ConsumerOffsetSerializeWrapper.decode(_content(store / "config" / "consumerOffset.json"))
        consumed = table.offset_table.get(key, {})
        delivered = DelayOffsetSerializeWrapper.decode(_content(store / "config" / "delayOffset.json")).offset_table
        if sum(consumed.values()) == messages and delivered.get(_LEVEL) == delayed:
            return []
        await asyncio.sleep(0.2)
    wanted = f"{messages} messages consumed, {delayed} delivered of level {_LEVEL}"
    return [
        f"after {_SAVE_SECONDS:g} s saved are {consumed} for {key} and {delivered} for the delay levels, not {wanted}"
    ]


def _content(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b"{}"


def _broker(turn: _Turn, store: Path, cluster: Cluster) -> Broker:
    """The turn's broker, started on the store; the cluster ends it at the latest."""
    properties = {
        "storePathRootDir": str(store),
        "storePathCommitLog": str(store / "commitlog"),
        "brokerName": "broker-a",
        "flushConsumerOffsetInterval": "500",
        "flushDelayOffsetInterval": "500",
    }
    return apache.run_broker(turn.maker, store.parent, cluster, **properties)
