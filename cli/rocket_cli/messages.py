"""`rocketctl send` and `consume`: messages by hand, to and from any cluster."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from rocket_cli import tutorial
from rocket_cli.console import NAMESRV, Namesrv, err, out, refusing
from rocket_client import Admin, FromWhere, Message, Producer, PushConsumer, ReceivedMessage

Topic = Annotated[str, typer.Argument(show_default=False)]


class Begin(StrEnum):
    """Where a consumer group begins that has no offsets yet."""

    FIRST = "first"
    LAST = "last"


def send(
    topic: Topic,
    body: Annotated[str, typer.Argument(help="The text, or - for one message from each line of standard input.")],
    namesrv: Namesrv = NAMESRV,
    tag: Annotated[str | None, typer.Option(help="By which consumers may choose.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="For looking it up later; may be repeated.")] = None,
    delay_level: Annotated[int, typer.Option(min=0, max=18, help="1 is a second, 18 two hours; 0 is at once.")] = 0,
) -> None:
    """Send a text to TOPIC."""
    texts = (line.rstrip("\n") for line in sys.stdin) if body == "-" else iter([body])
    with refusing():
        messages = (Message(topic, text, tags=tag, keys=key, delay_level=delay_level) for text in texts)
        asyncio.run(_send(namesrv, topic, messages))


async def _send(namesrv: str, topic: str, messages: Iterable[Message]) -> None:
    is_new: bool | None = None
    async with Producer(namesrv, group="rocketctl") as producer:
        for message in messages:
            if is_new is None:
                is_new = not await _has_topic(namesrv, topic)
            result = await producer.send(message)
            where = f"{result.queue.broker_name} queue {result.queue.queue_id} offset {result.queue_offset}"
            out.print(f"{result.status.name}  {result.message_id}  {where}", markup=False, soft_wrap=True)
            if is_new:
                is_new = False
                err.print(f"There was no topic {topic}: this message made it", markup=False, soft_wrap=True)


async def _has_topic(namesrv: str, topic: str) -> bool:
    async with Admin(namesrv) as admin:
        return await admin.has_topic(topic)


def consume(
    topic: Topic,
    namesrv: Namesrv = NAMESRV,
    group: Annotated[str, typer.Option(help="The consumer group; it goes on where it stopped.")] = "rocketctl",
    tags: Annotated[str, typer.Option(help='Which messages: "*", or "TagA || TagB".')] = "*",
    begin: Annotated[Begin, typer.Option(help="Where a group begins that is new.")] = Begin.FIRST,
    count: Annotated[int, typer.Option(min=0, help="Stop after so many; 0 is never.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print the messages of TOPIC as they come, until Ctrl-C."""
    where = FromWhere.FIRST if begin is Begin.FIRST else FromWhere.LAST
    with refusing(), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_consume(PushConsumer(namesrv, group, from_where=where), (topic, tags), count, as_json))


async def _consume(consumer: PushConsumer, subscription: tuple[str, str], count: int, as_json: bool) -> None:
    printed = 0
    async with consumer:
        await consumer.subscribe(*subscription)
        async for message in consumer:
            out.print(json_line(message) if as_json else text_line(message), markup=False, soft_wrap=True)
            printed += 1
            if printed == count:
                break


def find(
    topic: Topic,
    key: Annotated[str, typer.Argument(help="A key of the message, or its id.", show_default=False)],
    namesrv: Namesrv = NAMESRV,
    limit: Annotated[int, typer.Option(min=1, help="So many at the most.")] = 32,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print the messages of TOPIC that have KEY."""
    with refusing():
        found = asyncio.run(_find(namesrv, topic, key, limit))
    for message in found:
        out.print(json_line(message) if as_json else text_line(message), markup=False, soft_wrap=True)
    if not found:
        err.print(f"{topic} has no message with key {key}", markup=False, soft_wrap=True)
        raise typer.Exit(1)


async def _find(namesrv: str, topic: str, key: str, limit: int) -> list[ReceivedMessage]:
    async with Admin(namesrv) as admin:
        return await admin.messages_by_key(topic, key, limit=limit)


def check(namesrv: Namesrv = NAMESRV) -> None:
    """Send ten messages through a cluster and consume them; the exit status is 0 only if each came exactly once."""
    with refusing():
        whole = asyncio.run(tutorial.play(namesrv, lambda line: out.print(line, markup=False, soft_wrap=True)))
    raise typer.Exit(0 if whole else 1)


def text_line(message: ReceivedMessage) -> str:
    """A message for people: when and where it was stored, its tag, its text."""
    stored = datetime.fromtimestamp(message.store_timestamp / 1000, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
    place = f"{message.broker_name}/{message.queue_id}@{message.queue_offset}"
    tag = f" [{message.tags}]" if message.tags else ""
    return f"{stored} {place}{tag} {message.body.decode('utf-8', 'backslashreplace')}"


def json_line(message: ReceivedMessage) -> str:
    """A message for programs; a body that is no UTF-8 text has its odd bytes escaped."""
    fields = {
        "topic": message.topic,
        "broker": message.broker_name,
        "queue": message.queue_id,
        "offset": message.queue_offset,
        "messageId": message.message_id,
        "stored": message.store_timestamp,
        "reconsumeTimes": message.reconsume_times,
        "properties": message.properties,
        "body": message.body.decode("utf-8", "backslashreplace"),
    }
    return msgspec.json.encode(fields).decode()
