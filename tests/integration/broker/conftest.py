"""A name server and a broker, real processes on free ports, shared by tests that use topics of their own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from rocket_testing.broker_talk import BrokerTalk, Dial
from rocket_testing.cluster import Broker, Cluster
from rocket_wire.frame import SerializeType

#: Every level a second long, so that tests of delays are short; the third is what a send-back begins with.
DELAYS = "1s 1s 1s"

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("shared")) as cluster:
        cluster.add_namesrv()
        broker = cluster.add_broker(messageDelayLevel=DELAYS)
        yield cluster
        assert broker.is_running, broker.log_tail()
        assert "Traceback" not in broker.run_log(), broker.log_tail(200)
        broker.stop()


@pytest.fixture
def broker(shared_cluster: Cluster) -> Broker:
    """The shared broker. Its settings and built-in topics are not to be changed."""
    return shared_cluster.brokers[0]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Servers of this test's own."""
    with Cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def dial() -> AsyncIterator[Dial]:
    """`dial(address)` gives a new client's connection; closed with the test."""
    talks: list[BrokerTalk] = []

    def dial(address: str, serialize: SerializeType = SerializeType.JSON) -> BrokerTalk:
        talks.append(BrokerTalk(address, serialize))
        return talks[-1]

    yield dial
    for talk in talks:
        await talk.close()


@pytest.fixture
async def talk(broker: Broker, dial: Dial) -> BrokerTalk:
    """A connection to the shared broker."""
    return dial(broker.address)


@pytest.fixture
def topic() -> str:
    """A topic's name that no other test uses."""
    return f"Topic-{next(_numbers)}"


@pytest.fixture
def group() -> str:
    """A consumer group's name that no other test uses."""
    return f"Group-{next(_numbers)}"
