"""How long a group takes no writes when its master changes, and what senders see of it.

    python benchmarks/failover.py                   five rounds each, about four minutes
    python benchmarks/failover.py --rounds 20

A master and a slave with failover and synchronous replication, the lease in a folder, its times as by default. Eight
clients send one message after the other, and try again as a producer does. The time without writes is the longest one
between two acknowledgements of anybody around the event; an error is a send that a client gave up.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rocket_bench import servers
from rocket_bench.servers import ServerFailed

from rocket_broker.failover.file_lease import FileLease
from rocket_client import Admin, Message, Producer, RocketError, ServerAdmin

_GROUP = "broker-a"
_TOPIC = "Failover"
_CLIENTS = 8
_WITHIN = 60.0
_CALM_SECONDS = 2.0


@dataclass
class Members:
    """The two brokers, by number; the lease is in `lease`."""

    lease: Path
    namesrv: str
    commands: list[list[str]]
    addresses: list[str]
    stack: ExitStack
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, number: int) -> None:
        name = f"failover-{number}"
        self.running[number] = self.stack.enter_context(servers.process(name, self.commands[number]))

    async def holder(self, least: int = 1) -> int | None:
        """The master's number; None while there is none, or so many are not yet in the sync set."""
        lease = await FileLease(self.lease, "benchmark").read()
        return int(lease.holder[-1]) if lease.holder and len(lease.sync_set) >= least else None

    async def complete(self) -> int:
        """The master's number, once both are in the sync set."""
        deadline = time.monotonic() + _WITHIN
        while (holder := await self.holder(least=2)) is None:
            if time.monotonic() > deadline:
                raise ServerFailed(f"the group is not complete within {_WITHIN:g} s")
            await asyncio.sleep(0.05)
        return holder


@contextmanager
def group() -> Iterator[Members]:
    with ExitStack() as stack:
        folder = stack.enter_context(servers.store_folder("failover"))
        namesrv = servers.free_port()
        programs = servers.our_programs()
        servers.write_properties(folder / "namesrv.conf", servers.namesrv_properties(folder, namesrv))
        command = [*programs.namesrv, "-c", str(folder / "namesrv.conf")]
        servers.wait_listening(namesrv, stack.enter_context(servers.process("failover-namesrv", command)))
        members = Members(folder / "lease", f"127.0.0.1:{namesrv}", [], [], stack)
        for number in range(2):
            home = folder / str(number)
            home.mkdir()
            settings = servers.broker_properties(home, namesrv) | {
                "brokerName": _GROUP,
                "brokerId": str(number),
                "brokerRole": "SYNC_MASTER",
                "leaseStore": f"file:{members.lease}",
            }
            servers.write_properties(home / "broker.conf", settings)
            members.commands.append([*programs.broker, "-c", str(home / "broker.conf")])
            members.addresses.append(f"127.0.0.1:{settings['listenPort']}")
            members.start(number)
        yield members


async def switch_over(members: Members, master: int) -> None:
    async with ServerAdmin() as admin:
        await admin.hand_over(members.addresses[master])


async def stop(members: Members, master: int) -> None:
    await _end(members, master, signal.SIGTERM)


async def kill(members: Members, master: int) -> None:
    await _end(members, master, signal.SIGKILL)


async def _end(members: Members, master: int, number: signal.Signals) -> None:
    process = members.running[master]
    process.send_signal(number)
    await asyncio.to_thread(process.wait)


EVENTS: dict[str, Callable[[Members, int], Awaitable[None]]] = {
    "planned switchover": switch_over,
    "master stops in order": stop,
    "master killed": kill,
}


@dataclass
class Sent:
    """When sends were acknowledged, and how many were given up."""

    times: list[float] = field(default_factory=list)
    errors: int = 0


async def _send(namesrv: str, sent: Sent) -> None:
    async with Producer(namesrv) as producer:
        while True:
            try:
                await producer.send(Message(_TOPIC, b"x" * 128))
            except RocketError:
                sent.errors += 1
                await asyncio.sleep(0.05)
            else:
                sent.times.append(time.monotonic())


async def measure(members: Members, event: Callable[[Members, int], Awaitable[None]]) -> tuple[float, int]:
    """Seconds without writes around one event, and errors."""
    master = await members.complete()
    sent = Sent()
    tasks = [asyncio.create_task(_send(members.namesrv, sent)) for _ in range(_CLIENTS)]
    await asyncio.sleep(_CALM_SECONDS)
    await event(members, master)
    deadline = time.monotonic() + _WITHIN
    while await members.holder() in (None, master) or time.monotonic() - (sent.times or [0.0])[-1] > 0.5:
        if time.monotonic() > deadline:
            raise ServerFailed(f"no writes for {_WITHIN:g} s")
        await asyncio.sleep(0.02)
    await asyncio.sleep(_CALM_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if members.running[master].poll() is not None:
        members.start(master)
    times = sorted(sent.times)
    return max(after - before for before, after in pairwise(times)), sent.errors


async def measure_all(rounds: int) -> dict[str, list[tuple[float, int]]]:
    with group() as members:
        await members.complete()
        async with Admin(members.namesrv) as admin:
            await admin.create_topic(_TOPIC, queues=8)
        found: dict[str, list[tuple[float, int]]] = {name: [] for name in EVENTS}
        for _ in range(rounds):
            for name, event in EVENTS.items():
                found[name].append(await measure(members, event))
    return found


def main(rounds: Annotated[int, typer.Option(help="how often each event happens")] = 5) -> None:
    """Measures and prints a table."""
    table = Table("event", "seconds without writes: median", "longest", f"errors of {_CLIENTS} clients a time")
    for name, figures in asyncio.run(measure_all(rounds)).items():
        seconds, errors = zip(*figures, strict=True)
        table.add_row(name, f"{median(seconds):.2f}", f"{max(seconds):.2f}", f"{median(errors):g}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
