"""A name server and a broker for the client's tests: ours, or Apache's where ROCKETMQ_JARS names its jars."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rocket_testing.apache import ApacheServers, jars_folder
from rocket_testing.cluster import Cluster, Maker, OurServers


@pytest.fixture(scope="session")
def maker() -> Maker:
    """Who makes the servers."""
    jars = jars_folder()
    return OurServers() if jars is None else ApacheServers(jars)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, maker: Maker) -> Iterator[Cluster]:
    """One name server and one broker that all tests share: they use topics and groups of their own."""
    with Cluster(tmp_path_factory.mktemp("cluster"), maker) as shared:
        shared.add_namesrv()
        shared.add_broker()
        yield shared


@pytest.fixture
def own_cluster(tmp_path: Path, maker: Maker) -> Iterator[Cluster]:
    """A cluster for a test that starts and stops its servers."""
    with Cluster(tmp_path, maker) as mine:
        yield mine


_numbers = itertools.count()


@pytest.fixture
def namesrv(cluster: Cluster) -> str:
    """The shared cluster's name servers."""
    return cluster.namesrv


@pytest.fixture
def new_name(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """Makes names of topics and groups that no other test uses."""
    return lambda prefix: f"{prefix}-{next(_numbers)}"


@pytest.fixture
def topic(new_name: Callable[[str], str]) -> str:
    """A topic of this test's own; it does not exist yet."""
    return new_name("topic")


@pytest.fixture
def group(new_name: Callable[[str], str]) -> str:
    """A consumer group of this test's own."""
    return new_name("group")
