"""`rocketctl group` and `find` against a real broker."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine

import pytest
from typer.testing import CliRunner, Result

from rocket_cli.__main__ import app
from rocket_client import Admin, FromWhere, Message, Producer, PushConsumer

Command = Callable[..., Coroutine[None, None, Result]]


@pytest.fixture
async def consumed(namesrv: str, new_name: Callable[[str], str]) -> tuple[str, str]:
    """A topic with ten messages in one queue, and a group that has consumed three of them."""
    topic, group = new_name("ctl"), new_name("ctl-group")
    async with Admin(namesrv) as admin:
        await admin.create_topic(topic, queues=1)
    async with Producer(namesrv, group="p") as producer:
        for number in range(10):
            await producer.send(Message(topic, f"body {number}", keys=f"key-{number}"))
    async with asyncio.timeout(30), PushConsumer(namesrv, group, from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe(topic)
        for _ in range(3):
            await (await consumer.receive()).ack()
    return topic, group


@pytest.fixture
def rocketctl(namesrv: str) -> Command:
    """Runs a command beside the test's event loop; gives its result."""

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(functools.partial(CliRunner().invoke, app, [*words, "-n", namesrv]))

    return run


async def test_a_group_is_listed_and_its_lag_told(consumed: tuple[str, str], rocketctl: Command) -> None:
    topic, group = consumed
    assert group in (await rocketctl("group", "list")).stdout.splitlines()
    shown = await rocketctl("group", "lag", group, "--topic", topic)
    assert shown.exit_code == 0
    assert shown.stdout.split()[-1] == "7"


async def test_a_group_can_be_sent_elsewhere(consumed: tuple[str, str], rocketctl: Command) -> None:
    topic, group = consumed
    for to, left in (("end", "0"), ("begin", "10")):
        assert (await rocketctl("group", "reset", group, topic, "--to", to, "--yes")).exit_code == 0
        assert (await rocketctl("group", "lag", group, "--topic", topic)).stdout.split()[-1] == left


async def test_a_time_that_is_none_is_refused(consumed: tuple[str, str], rocketctl: Command) -> None:
    refused = await rocketctl("group", "reset", *reversed(consumed), "--to", "yesterday", "--yes")
    assert refused.exit_code == 2
    assert "neither begin nor end nor a time" in refused.stderr


async def test_messages_are_found_by_key(consumed: tuple[str, str], rocketctl: Command) -> None:
    topic, _ = consumed
    assert "body 4" in (await rocketctl("find", topic, "key-4")).stdout
    nothing = await rocketctl("find", topic, "no-key")
    assert nothing.exit_code == 1
    assert f"{topic} has no message with key no-key" in nothing.stderr
