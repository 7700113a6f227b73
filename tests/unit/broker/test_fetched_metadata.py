"""A slave takes over its master's offsets only where its own log has what they speak of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rocket_broker.delay import DelayOffsets
from rocket_broker.groups import ConsumerGroups
from rocket_broker.offsets import ConsumerOffsets
from rocket_broker.replication import metadata
from rocket_broker.replication.link import MasterLink
from rocket_broker.replication.metadata import Metadata, MetadataFollower
from rocket_broker.saved import Saver
from rocket_broker.settings import BrokerSettings
from rocket_broker.topics import Topics
from rocket_net.connection import Connection
from rocket_net.server import Server
from rocket_testing.waiting import eventually
from rocket_wire.bodies.groups import SubscriptionGroupWrapper
from rocket_wire.bodies.offsets import ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper
from rocket_wire.bodies.registration import KVTable
from rocket_wire.bodies.topics import TopicConfig, TopicConfigSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command

MASTERS_END = 1000


class Store:
    """As much of a slave's store as the follower asks for."""

    def __init__(self) -> None:
        self.max_position = 0
        self.held = {"Gone", "Here"}
        self.newest: dict[str, int] = {}
        self.deleted: list[str] = []

    def queues(self) -> list[tuple[str, int]]:
        return [(topic, 0) for topic in sorted(self.held)]

    def has_since(self, topic: str, position: int) -> bool:
        return self.newest.get(topic, -1) >= position

    def delete_topic(self, topic: str) -> None:
        self.deleted.append(topic)


@pytest.fixture
async def master() -> AsyncIterator[str]:
    """The address of a master whose log ends at MASTERS_END."""
    tables = {
        RequestCode.GET_ALL_TOPIC_CONFIG: TopicConfigSerializeWrapper(
            {"Here": TopicConfig("Here")}, DataVersion(0, 1, 1)
        ),
        RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG: SubscriptionGroupWrapper({}, {}, DataVersion(0, 1, 1)),
        RequestCode.GET_ALL_CONSUMER_OFFSET: ConsumerOffsetSerializeWrapper({"Here@G": {0: 61}}, DataVersion(0, 1, 1)),
        RequestCode.GET_ALL_DELAY_OFFSET: DelayOffsetSerializeWrapper({1: 7}, DataVersion(0, 1, 1)),
        RequestCode.GET_BROKER_RUNTIME_INFO: KVTable({"commitLogMaxOffset": str(MASTERS_END)}),
    }

    def handler(table: object) -> Callable[[Command, Connection], Command]:
        return lambda request, _: request.reply(body=table.encode())  # type: ignore[attr-defined] # all have it

    server = Server({int(code): handler(table) for code, table in tables.items()})
    port = await server.start("127.0.0.1", 0)
    yield f"127.0.0.1:{port}"
    await server.stop()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def tables(store: Store, tmp_path: Path) -> Metadata:
    return Metadata(
        topics=Topics(BrokerSettings, 18, lambda: 0),
        groups=ConsumerGroups(BrokerSettings, lambda: 0),
        offsets=ConsumerOffsets(lambda: 0),
        delay_offsets=DelayOffsets(),
        savers={name: Saver(tmp_path / name, lambda: b"{}") for name in ("topics", "groups", "delays")},
        topics_changed=lambda: None,
        store=store,  # type: ignore[arg-type] # it is asked for nothing else
    )


async def fetch(master: str, tables: Metadata, *, is_connected: bool = True) -> bool:
    """One round; whether everything was taken over."""
    follower = MetadataFollower(MasterLink(address=master, is_connected=is_connected), tables)
    await follower._fetch_all(master)
    await follower.stop()
    return follower.is_synchronized


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "_REACH_SECONDS", 0.1)


async def test_what_the_log_has_is_taken_over(master: str, tables: Metadata, store: Store) -> None:
    store.max_position = MASTERS_END
    assert await fetch(master, tables)
    assert tables.offsets.table == {"Here@G": {0: 61}}
    assert tables.delay_offsets.table == {1: 7}
    assert store.deleted == ["Gone"]


@pytest.mark.usefixtures("impatient")
async def test_offsets_of_what_the_log_lacks_are_not(master: str, tables: Metadata, store: Store) -> None:
    store.max_position = MASTERS_END - 1
    assert not await fetch(master, tables)
    assert (tables.offsets.table, tables.delay_offsets.table) == ({}, {})
    assert store.deleted == []
    assert "Here" in tables.topics.table, "topics are taken over whatever the log has"


async def test_they_are_once_the_log_has_it(master: str, tables: Metadata, store: Store) -> None:
    fetching = asyncio.ensure_future(fetch(master, tables))
    await eventually(lambda: "Here" in tables.topics.table, 5)
    store.max_position = MASTERS_END
    assert await asyncio.wait_for(fetching, 5)
    assert tables.delay_offsets.table == {1: 7}


@pytest.mark.usefixtures("impatient")
async def test_nothing_is_deleted_at_the_word_of_a_master_that_is_not_followed(
    master: str, tables: Metadata, store: Store
) -> None:
    """It may have lost its disk."""
    store.max_position = MASTERS_END
    assert not await fetch(master, tables, is_connected=False)
    assert store.deleted == []


async def test_a_topic_with_messages_newer_than_the_question_is_a_new_one(
    master: str, tables: Metadata, store: Store
) -> None:
    store.max_position = MASTERS_END
    store.newest["Gone"] = MASTERS_END
    assert await fetch(master, tables)
    assert store.deleted == []
