"""Messages that flow while a test changes things, with a ledger: what was acknowledged must arrive.

A program of its own, since it runs in the cluster's network: `python -m rocket_testing.e2e.traffic NAMESRV TOPIC
GROUP`. It sends and consumes until its standard input ends, waits for what is still under way, and prints a report.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rocket_client import FromWhere, Message, NoNameServer, Producer, PushConsumer, RocketError
from rocket_testing.e2e.images import PROJECT
from rocket_testing.e2e.kubernetes import Kubernetes
from rocket_testing.waiting import eventually

_PAUSE_SECONDS = 0.01
_LATE_SECONDS = 60.0
_END_SECONDS = 120.0


@dataclass
class Report:
    """How it went: numbers of messages, and the acknowledged ones that did not arrive."""

    acknowledged: int = 0
    failed: int = 0
    missing: list[str] = field(default_factory=list)
    repeated: int = 0
    errors: list[str] = field(default_factory=list)


class Traffic:
    """A producer and a consumer group that run beside a test."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._report: Report | None = None

    def finish(self) -> Report:
        """Stops sending, waits until everything acknowledged has arrived, and tells."""
        if self._report is None:
            output, errors = self._process.communicate("", timeout=_END_SECONDS)
            if self._process.returncode:
                raise AssertionError(f"the traffic ended with {self._process.returncode}:\n{errors[-3000:]}")
            self._report = Report(**json.loads(output.splitlines()[-1]))
        return self._report

    def assert_nothing_lost(self) -> Report:
        report = self.finish()
        assert report.missing == [], report
        assert report.acknowledged > 0, report
        return report


@contextmanager
def traffic(kubernetes: Kubernetes, namesrv: str, topic: str = "traffic", group: str = "traffic") -> Iterator[Traffic]:
    """Runs while the block does; the topic is there when it begins."""
    command = kubernetes.joined(sys.executable, "-m", "rocket_testing.e2e.traffic", namesrv, topic, group)
    environment = kubernetes.environment | {"PYTHONPATH": str(PROJECT / "tests" / "support")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first == "flowing\n", first + (process.stderr.read() if process.stderr and not first else "")
            yield Traffic(process)
        finally:
            process.kill()


async def _first(producer: Producer, topic: str) -> None:
    """Sends the first message. A node's rules for a Service come a moment after its pods are ready."""
    async with asyncio.timeout(_LATE_SECONDS):
        while True:
            try:
                await producer.send(Message(topic, "first"))
                return
            except NoNameServer:
                await asyncio.sleep(0.2)


async def _flow(namesrv: str, topic: str, group: str) -> Report:
    report, acknowledged, received = Report(), set[str](), Counter[str]()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    async with (
        Producer(namesrv, group=f"{group}-producer") as producer,
        PushConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer,
    ):
        await _first(producer, topic)
        await consumer.subscribe(topic)
        receiving = asyncio.create_task(_receive(consumer, received))
        print("flowing", flush=True)
        number = 0
        while not stop.is_set():
            body = f"{group}:{number}"
            number += 1
            try:
                await producer.send(Message(topic, body))
            except RocketError as error:
                report.failed += 1
                report.errors = [*report.errors, str(error)[:200]][-3:]
            else:
                acknowledged.add(body)
            await asyncio.sleep(_PAUSE_SECONDS)
        await _arrived(acknowledged, received)
        receiving.cancel()
    report.acknowledged = len(acknowledged)
    report.missing = sorted(acknowledged - received.keys())[:20]
    report.repeated = sum(times - 1 for times in received.values())
    return report


async def _receive(consumer: PushConsumer, received: Counter[str]) -> None:
    async for message in consumer:
        received[message.text] += 1


async def _arrived(acknowledged: set[str], received: Counter[str]) -> None:
    """Returns when everything is there, or when nothing more can be expected."""
    with contextlib.suppress(AssertionError):  # what is missing then is in the report
        await eventually(lambda: acknowledged <= received.keys(), within=_LATE_SECONDS)


if __name__ == "__main__":
    print(json.dumps(vars(asyncio.run(_flow(*sys.argv[1:])))))
