"""The broker's tables in config/ are lost or damaged: what has messages is a topic again, and is read as before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rocket_testing.broker_talk import BrokerTalk
from rocket_testing.cluster import Broker

TOPICS = [f"Topic-{number}" for number in range(4)]


async def fill(broker: Broker) -> None:
    talk = BrokerTalk(broker.address)
    for topic in TOPICS:
        for queue_id in range(3):
            await talk.send(topic, f"{topic} {queue_id}".encode(), queue_id)
    await talk.close()


async def is_whole(broker: Broker) -> bool:
    talk = BrokerTalk(broker.address)
    read = {(topic, queue): await talk.read(topic, queue) for topic in TOPICS for queue in range(3)}
    await talk.close()
    return all(
        [message.body for message in messages] == [f"{topic} {queue}".encode()]
        for (topic, queue), messages in read.items()
    )


def lose(config: Path) -> None:
    for path in config.iterdir():
        path.unlink()


def damage_the_newest(config: Path) -> None:
    """Its backup does not know the last topic."""
    (config / "topics.json").write_bytes((config / "topics.json").read_bytes()[:100])
    assert TOPICS[-1] not in (config / "topics.json.bak").read_text()


@pytest.mark.parametrize("harm", [lose, damage_the_newest])
async def test_topics_whose_table_is_lost_are_known_again_from_their_messages(master: Broker, harm: object) -> None:
    await fill(master)
    await asyncio.to_thread(master.kill)
    assert callable(harm)
    harm(master.store / "config")
    await asyncio.to_thread(master.start)
    assert await is_whole(master)
    assert f"topic {TOPICS[-1]} is known again from its messages" in master.run_log()
    if harm is damage_the_newest:
        assert "topics.json is damaged" in master.run_log()
    await asyncio.to_thread(master.restart)
    assert await is_whole(master)
    assert "known again" not in master.run_log()
