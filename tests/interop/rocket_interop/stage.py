"""What a scenario has at hand: programs of its client, names of its own, and waits with deadlines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rocket_interop.clients import Client, environment
from rocket_interop.cluster import wait_route
from rocket_interop.judgement import Message, Received
from rocket_interop.program import Program

#: A topic that was made by a send is known to the name servers within this.
ROUTE_SECONDS = 10
#: Within this all messages of a scenario are there, or the judgement says which are not.
ARRIVAL_SECONDS = 40
#: So long is looked for messages that should not come, once all that should are there.
SURPLUS_SECONDS = 1.5
#: Consumers share queues within this: the slowest client rebalances every 20 s.
WARM_SECONDS = 60
#: One wave of the warm-up is given so long to arrive.
WAVE_SECONDS = 3


@dataclass
class Stage:
    """One scenario of one client. `run_name` is unique to the run, so that topics and groups are too."""

    client: Client
    others: Sequence[Client]
    scenario: str
    namesrv: str
    run_name: str
    logs: Path
    programs: list[Program] = field(default_factory=list)

    @property
    def topic(self) -> str:
        return self._unique("topic")

    @property
    def group(self) -> str:
        return self._unique("group")

    def _unique(self, kind: str) -> str:
        # Names allow letters, digits, - and _ only.
        client = self.client.name.replace(".", "_")
        return f"interop-{self.run_name}-{client}-{self.scenario}-{kind}"

    def messages(self, count: int, prefix: str = "m") -> list[Message]:
        return [
            Message(f"{self.run_name}-{prefix}-{i:02d}", f"Hello RocketMQ {prefix} {i}", "TagA") for i in range(count)
        ]

    async def producer(self, mode: str = "sync", client: Client | None = None) -> Program:
        """A producer program, ready to send; another client's where one is named."""
        names = {"topic": self.topic, "group": f"{self.group}-producers"}
        return await self.start("produce", names | {"mode": mode}, client)

    async def consumer(self, role: str = "push", **arguments: str) -> Program:
        """A consumer program, started once the topic is known: a client that asks too early asks again after 30 s."""
        await wait_route(self.namesrv, self.topic, ROUTE_SECONDS)
        return await self.start(role, {"topic": self.topic, "group": self.group} | arguments)

    async def start(self, role: str, arguments: dict[str, str], client: Client | None = None) -> Program:
        """A program in a role, with these arguments; tests that use their own names start here."""
        name = f"{role}-{len(self.programs)}"
        command = (client or self.client).command({"role": role, "namesrv": self.namesrv} | arguments)
        log = self.logs / f"{self.client.name}-{self.scenario}-{name}.log"
        program = await Program.start(name, command, environment(), log)
        self.programs.append(program)
        return program

    async def send(self, messages: Sequence[Message], mode: str = "sync") -> Program:
        """Sends these with a producer of their own, which is gone afterwards."""
        producer = await self.producer(mode)
        await producer.send(messages, as_batch=mode == "batch")
        await producer.stop()
        return producer

    async def arrival(self, wanted: Iterable[Message], *consumers: Program) -> None:
        """Waits until these are there, and a little for what should not be; judges nothing."""
        keys = {message.key for message in wanted}
        await together(lambda: keys <= set().union(*map(keys_of, consumers)), consumers, ARRIVAL_SECONDS)
        await asyncio.sleep(SURPLUS_SECONDS)

    async def warm_up(
        self, producer: Program, consumers: Sequence[Program], enough: Callable[[list[set[str]]], bool]
    ) -> None:
        """Sends waves until one of them reaches the consumers as it should once they have settled.

        Consumers that have just met hand queues over to each other, and deliveries of that moment may be repeated:
        at-least-once is all that RocketMQ promises there. What is judged is sent afterwards.
        """
        async with asyncio.timeout(WARM_SECONDS):
            for number in range(WARM_SECONDS):
                wave = self.messages(8, f"warm{number}")
                keys = {message.key for message in wave}
                await producer.send(wave)
                settled = await together(
                    lambda keys=keys: enough([keys_of(consumer) & keys for consumer in consumers]),  # type: ignore[misc]
                    consumers,
                    WAVE_SECONDS,
                )
                if settled:
                    return

    async def clear(self) -> None:
        """Ends what still runs."""
        for program in self.programs:
            await program.kill()


def keys_of(consumer: Program) -> set[str]:
    return {delivery.key for delivery in consumer.received}


def of(messages: Sequence[Message], consumers: Mapping[str, Program]) -> dict[str, list[Received]]:
    """The deliveries of these messages alone, by consumer: the warm-up's are not judged."""
    keys = {message.key for message in messages}
    return {name: [d for d in consumer.received if d.key in keys] for name, consumer in consumers.items()}


async def together(is_so: Callable[[], bool], consumers: Sequence[Program], seconds: float) -> bool:
    """Whether something that depends on several programs became so within the deadline."""
    waits = [asyncio.create_task(consumer.wait_until(is_so, seconds)) for consumer in consumers]
    done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in pending:
        wait.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await wait
    return any(wait.result() for wait in done) or is_so()
