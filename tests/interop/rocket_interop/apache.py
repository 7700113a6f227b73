"""Apache's own name server and broker, of any version: jars from Maven, started as the tests' support starts them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rocket_interop.clients import BUILD, PROJECT, run_tool

sys.path.insert(0, str(PROJECT / "tests" / "support"))  # the servers of the tests, ours and Apache's

from rocket_testing.apache import ApacheServers  # found by the line above
from rocket_testing.cluster import Broker, Cluster, Maker, OurServers, started  # as above
from rocket_testing.process import ServerFailed  # as above

__all__ = ["Broker", "Cluster", "Maker", "OurServers", "ServerFailed", "run_broker", "servers"]

#: A Java broker on a busy machine, on a store that it has to recover.
_START_SECONDS = 90.0

#: Small, so that every kind of file rolls over; a store's files have one size, whoever opens it.
_SMALL_FILES = {
    "mappedFileSizeCommitLog": "65536",
    "mappedFileSizeConsumeQueue": "400",
    "mapperFileSizeBatchConsumeQueue": "460",
    "maxHashSlotNum": "100",
    "maxIndexNum": "400",
    "timerWheelEnable": "false",
}


async def servers(version: str) -> ApacheServers:
    """The maker of this version's servers; their jars are fetched once. Raises BuildError."""
    jars = BUILD / f"apache-{version}"
    if not jars.exists():
        partial = jars.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        pom = ("-f", str(PROJECT / "benchmarks" / "apache" / "pom.xml"), f"-Drocketmq.version={version}")
        goal = ("dependency:copy-dependencies", f"-DoutputDirectory={partial}", "-DincludeScope=runtime")
        await run_tool(["mvn", "-q", "-B", *pom, *goal])
        partial.rename(jars)
    return ApacheServers(jars)


def run_broker(maker: Maker, folder: Path, cluster: Cluster, **properties: str) -> Broker:
    """A broker with small files, ready; the cluster ends it at the latest. Raises ServerFailed."""
    broker = maker.broker(folder, cluster.namesrv, **_SMALL_FILES, **properties)
    broker.patience = _START_SECONDS
    cluster.brokers.append(broker)
    return started(broker)
