"""Golden store directories: Apache's own name server and broker write them, from a fixed story that its clients play.

    python tests/interop/golden.py --version 5.3.3 tests/golden/apache        (`make golden`)

Writes store-clean, store-killed and store-batches (.tar.gz, and .json for what is in it) into the folder; nothing when
anything went otherwise than the story says. What is in them, and how it came there, tells
tests/golden/apache/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import io
import random
import shutil
import string
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rocket_interop import apache
from rocket_interop.apache import Cluster, Maker, ServerFailed
from rocket_interop.clients import BUILD, BuildError, Client, JavaBuild
from rocket_interop.cluster import ClusterError, wait_route
from rocket_interop.judgement import Message
from rocket_interop.listing import ListingError, batch_queues, index_headers, listing, queues, text
from rocket_interop.program import ProgramError
from rocket_interop.stage import ARRIVAL_SECONDS, ROUTE_SECONDS, SURPLUS_SECONDS, Stage

from rocket_client import Admin

_IPV4 = ("-Djava.net.preferIPv4Stack=true",)
SENDER = Client("java-5.5.0", JavaBuild("5.5.0"), (), _IPV4)
#: A 5.x client takes no name as long as `long_group` makes it.
LONG_CLIENT = Client("java-4.9.8", JavaBuild("4.9.8"), (), _IPV4)
#: What is stored has its queue entry and its keys within this.
DISPATCH_SECONDS = 10.0

PLAIN = [Message("", f"Hello RocketMQ {i}") for i in range(10)]
TAGGED = [
    Message("order-1 customer-7", "tagged 0", "TagA"),
    Message("order-2", "tagged 1", "TagB"),
    Message("order-1", "tagged 2", "TagA"),
    Message("", "tagged äöü 你好", "TagC"),
]
BATCH = [Message(f"batch-{i}", f"in a batch {i}", tag) for i, tag in enumerate(("TagA", "TagB", ""))]
DELAYED = [
    Message("soon", "delayed by one second", "TagA", delay_level=1),
    Message("late", "delayed by two hours", "TagB", delay_level=18),
]
BIG = [Message("big", "compress me " * 600, "TagA")]
PLAIN_AGAIN = [Message("", f"after the restart {i}") for i in range(3)]
LAST = [Message("order-3", "just before the kill", "TagA")]

#: How many messages each record of BatchCqTopic holds; 0 is a message that was sent alone.
BATCHES = (3, 0, 0, 5, 1, 20, 0, 2, 2, 7, 0, 1, 4, 0, 3, 0, 9, 2, 0, 1, 1, 6, 0, 8)

#: Beyond what was sent: the one delayed message once more, and twice each of two that a group failed at.
CLEAN_RECORDS = len(PLAIN + TAGGED + BATCH + DELAYED + BIG) + 150 + 1 + 4
KILLED_RECORDS = CLEAN_RECORDS + len(PLAIN_AGAIN + LAST) + 77


class GoldenError(Exception):
    """Something was otherwise than the story says."""


FAILURES = (BuildError, ClusterError, GoldenError, ListingError, ProgramError, ServerFailed)


def long_group(version: str) -> str:
    """Of 159 letters, so that its retry topic makes a record of version 2. From 5.4.0 on brokers take 120 at most."""
    takes_any = tuple(map(int, version.split(".")[:2])) < (5, 4)
    return "LongGroup".ljust(159 if takes_any else 120, "L")


def filler(count: int) -> list[Message]:
    """Bodies that an archive cannot shrink to nothing; few keys, so that the index has chains."""
    letters = random.Random(1)
    return [
        Message(f"fill-{i % 7}", f"filler {i} " + "".join(letters.choices(string.ascii_letters, k=180)), f"Tag{i % 3}")
        for i in range(count)
    ]


@dataclass(frozen=True)
class Story:
    """The clients of one broker."""

    stage: Stage
    store: Path
    long_group: str

    async def send(self, topic: str, messages: Sequence[Message], mode: str = "sync") -> None:
        producer = await self.stage.start("produce", {"topic": topic, "group": "GoldenProducer", "mode": mode})
        await producer.send(messages, as_batch=mode == "batch")
        await producer.stop()  # it has told of them all by then, of those without a key too
        accepted = [sent for sent in producer.sent if sent.status == "SEND_OK"]
        if len(accepted) != len(messages):
            raise GoldenError(f"{len(accepted)} of {len(messages)} messages to {topic} accepted: {producer.failed}")

    async def consume(self, topic: str, group: str, count: int, client: Client | None = None, **arguments: str) -> None:
        """A group's whole life: it gets so many messages, those that it fails at again, and no other."""
        await wait_route(self.stage.namesrv, topic, ROUTE_SECONDS)
        consumer = await self.stage.start("push", {"topic": topic, "group": group} | arguments, client)
        await consumer.wait_until(lambda: len(consumer.received) >= count, ARRIVAL_SECONDS)
        await asyncio.sleep(SURPLUS_SECONDS)
        await consumer.stop()
        if len(consumer.received) != count:
            raise GoldenError(f"{group} got {len(consumer.received)} messages instead of {count}")

    async def until_stopped(self) -> None:
        await self.send("PlainTopic", PLAIN)
        await self.send("TagTopic", TAGGED)
        await self.send("BatchTopic", BATCH, "batch")
        await self.send("DelayTopic", DELAYED)
        await self.send("BigTopic", BIG)
        await self.send("FillTopic", filler(150))
        await self.consume("TagTopic", "GoldenGroup", len(TAGGED) + 1, failOnce="order-2")
        await self.consume("PlainTopic", "GoldenOrderly", len(PLAIN), listener="orderly")
        await self.consume("BatchTopic", self.long_group, len(BATCH) + 1, LONG_CLIENT, failOnce="batch-1")
        await self.stored(CLEAN_RECORDS)

    async def until_killed(self) -> None:
        await self.send("PlainTopic", PLAIN_AGAIN)
        await self.send("FillTopic", filler(77))
        await self.send("TagTopic", LAST)
        await self.stored(KILLED_RECORDS)

    async def stored(self, count: int) -> None:
        """Waits until so many messages are in their queues, and the last of them in the index."""
        deadline = time.monotonic() + DISPATCH_SECONDS
        while True:
            entries = [entry for ids in queues(self.store).values() for listed in ids.values() for entry in listed]
            indexed = [header["endPhyOffset"] for header in index_headers(self.store).values()][-1]
            if len(entries) == count and indexed == max(entries)[0]:
                return
            if time.monotonic() > deadline:
                raise GoldenError(
                    f"{len(entries)} messages are in the queues, not {count}; the index ends at {indexed}"
                )
            await asyncio.sleep(0.05)


async def send_batches(stage: Stage, topic: str) -> None:
    """Java's producers, one of batches and one of single messages, in turn."""
    names = {"topic": topic, "group": "GoldenProducer"}
    whole = await stage.start("produce", names | {"mode": "batch"})
    alone = await stage.start("produce", names | {"mode": "sync"})
    for number, count in enumerate(BATCHES):
        messages = [Message(f"k-{number}-{part}", f"message {part} of {number}") for part in range(max(count, 1))]
        await (whole if count else alone).send(messages, as_batch=bool(count))
    for producer, wanted in ((whole, sum(BATCHES)), (alone, BATCHES.count(0))):
        await producer.stop()
        if [sent.status for sent in producer.sent] != ["SEND_OK"] * wanted:
            raise GoldenError(f"not all messages to {topic} are accepted: {producer.sent} {producer.failed}")


async def make_batches(maker: Maker, home: Path, version: str, made: Path) -> None:
    """A broker with one topic, whose queue is of batches: 24 records in three files of at most ten entries."""
    with Cluster(home, maker) as cluster:
        await asyncio.to_thread(cluster.add_namesrv)
        broker = await asyncio.to_thread(apache.run_broker, maker, home, cluster)
        stage = Stage(SENDER, [], "golden-batches", cluster.namesrv, "golden", BUILD / "logs")
        try:
            async with Admin(cluster.namesrv) as admin:
                await admin.create_topic("BatchCqTopic", queues=1, attributes={"queue.type": "BatchCQ"})
            await send_batches(stage, "BatchCqTopic")
            await _dispatched(broker.store)
            await asyncio.to_thread(broker.stop)
            keep(broker.store, "store-batches", version, made)
        finally:
            await stage.clear()


async def _dispatched(store: Path) -> None:
    deadline = time.monotonic() + DISPATCH_SECONDS
    while len(batch_queues(store).get("BatchCqTopic", {}).get("0", [])) < len(BATCHES):
        if time.monotonic() > deadline:
            raise GoldenError(f"the queue of batches has only {batch_queues(store)}")
        await asyncio.sleep(0.05)


async def make(version: str, folder: Path) -> None:
    """Writes the six files into the folder. Raises one of FAILURES."""
    for client in (SENDER, LONG_CLIENT):
        if missing := client.build.missing():
            raise BuildError(f"missing: {missing}")
        await client.build.make()
    maker = await apache.servers(version)
    with tempfile.TemporaryDirectory(prefix="rocketcluster-golden-") as place:
        home, made = Path(place), Path(place) / "made"
        made.mkdir()
        with Cluster(home, maker) as cluster:
            await asyncio.to_thread(cluster.add_namesrv)
            broker = await asyncio.to_thread(apache.run_broker, maker, home, cluster)
            stage = Stage(SENDER, [], "golden", cluster.namesrv, "golden", BUILD / "logs")
            story = Story(stage, broker.store, long_group(version))
            try:
                await story.until_stopped()
                await asyncio.to_thread(broker.stop)
                keep(broker.store, "store-clean", version, made)
                await asyncio.to_thread(broker.start)
                await story.until_killed()
                await asyncio.to_thread(broker.kill)
                keep(broker.store, "store-killed", version, made)
            finally:
                await stage.clear()
        (home / "batches").mkdir()
        await make_batches(maker, home / "batches", version, made)
        shutil.copytree(made, folder, dirs_exist_ok=True)


def keep(store: Path, name: str, version: str, made: Path) -> None:
    """Packs a store that was left, with its listing. Raises GoldenError when it is not what the archive is for."""
    found = listing(store, name, version, SENDER.command({}))
    last = found["records"][-1]
    if found["clean"] != (name != "store-killed"):
        raise GoldenError(f"{name}: the broker left {'no ' if found['clean'] else ''}abort file")
    if found["clean"] == (found["checkpoint"]["physicMsgTimestamp"] < last["storeTimestamp"]):
        raise GoldenError(
            f"{name}: the log ends at {last['storeTimestamp']}, and the checkpoint: {found['checkpoint']}"
        )
    (made / f"{name}.json").write_text(text(found))
    (made / f"{name}.tar.gz").write_bytes(packed(store))


def packed(store: Path) -> bytes:
    """The directory's files, in order and without times and owners: what is the same has the same archive."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for path in sorted(path for path in store.rglob("*") if path.is_file()):
            member = tarfile.TarInfo(path.relative_to(store).as_posix())
            content = path.read_bytes()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(tar.getvalue(), mtime=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the archives go; files of the same names are replaced")
    parser.add_argument("--version", default="5.3.3", help="of Apache's servers (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        asyncio.run(make(arguments.version, arguments.folder))
    except FAILURES as error:
        print(f"golden: {error}", file=sys.stderr)
        return 1
    print(f"golden: Apache RocketMQ {arguments.version} wrote {arguments.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
