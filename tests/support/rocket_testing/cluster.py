"""Name servers and brokers for tests: real processes, started by their console scripts, on free ports of 127.0.0.1.

    namesrv = start_namesrv(tmp_path)
    broker = start_broker(tmp_path, namesrv.address, brokerName="broker-a", flushDiskType="SYNC_FLUSH")
    broker.kill(); broker.start(); broker.stop()

Each start waits until the server is ready, with a deadline. Who starts a server stops it; `Cluster` does so for
several, as a context manager. How a server is made is a `Maker`: ours here, Apache's in `apache.py`.
"""

from __future__ import annotations

import contextlib
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from rocket_testing.asking import ask
from rocket_testing.ports import free_broker_port, free_port
from rocket_testing.process import Server, ServerFailed
from rocket_wire.bodies.route import ClusterInfo
from rocket_wire.codes import RequestCode
from rocket_wire.command import request

S = TypeVar("S", bound=Server)


@dataclass
class Namesrv(Server):
    """A name server process."""

    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@dataclass
class Broker(Server):
    """A broker process. `store` is its data folder, `properties` what its file says."""

    port: int = 0
    http_port: int = 0
    store: Path = Path()
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def broker_name(self) -> str:
        return self.properties["brokerName"]


class Maker(Protocol):
    """Makes servers that are not started yet."""

    def namesrv(self, folder: Path, **properties: str) -> Namesrv: ...

    def broker(self, folder: Path, namesrv: str, **properties: str) -> Broker: ...


class OurServers:
    """Makes `mqnamesrv` and `mqbroker` processes."""

    def namesrv(self, folder: Path, **properties: str) -> Namesrv:
        port = int(properties.pop("listenPort", 0)) or free_port()
        http_port = int(properties.pop("metricsPromExporterPort", 0)) or free_port()
        home = folder / f"namesrv-{port}"
        home.mkdir(parents=True)
        file = home / "namesrv.conf"
        write_properties(
            file,
            {
                "listenPort": str(port),
                "metricsPromExporterPort": str(http_port),
                "kvConfigPath": str(home / "kvConfig.json"),
                "configStorePath": str(home / "namesrv.properties"),
                **properties,
            },
        )
        return Namesrv(
            name=f"mqnamesrv {port}",
            argv=[console_script("mqnamesrv"), "-c", str(file)],
            log=home / "log",
            is_ready=lambda: answers_ready(http_port),
            port=port,
        )

    def broker(self, folder: Path, namesrv: str, **properties: str) -> Broker:
        port = int(properties.pop("listenPort", 0)) or free_broker_port()
        http_port = int(properties.pop("metricsPromExporterPort", 0)) or free_port()
        home = folder / f"broker-{port}"
        home.mkdir(parents=True)
        settings = {
            **broker_properties(home, port, namesrv),
            "metricsPromExporterPort": str(http_port),
            **properties,
        }
        file = home / "broker.properties"
        write_properties(file, settings)
        server = Broker(
            name=f"mqbroker {settings['brokerName']} {port}",
            argv=[console_script("mqbroker"), "-c", str(file)],
            log=home / "log",
            is_ready=lambda: answers_ready(http_port) and is_registered(server, namesrv),
            port=port,
            http_port=http_port,
            store=Path(settings["storePathRootDir"]),
            properties=settings,
        )
        return server


def start_namesrv(folder: Path, **properties: str) -> Namesrv:
    """One of our name servers, ready. Properties as in namesrv.conf."""
    return started(OurServers().namesrv(folder, **properties))


def start_broker(folder: Path, namesrv: str, **properties: str) -> Broker:
    """One of our brokers, registered with the name servers (`host:port;host:port`). Properties as in broker.conf.

    Defaults that differ from a broker's own: small files, and 127.0.0.1 as the address it advertises.
    """
    return started(OurServers().broker(folder, namesrv, **properties))


class Cluster:
    """Servers that end with the `with` block. `Cluster(folder, maker)` starts none by itself."""

    def __init__(self, folder: Path, maker: Maker | None = None) -> None:
        self.namesrvs: list[Namesrv] = []
        self.brokers: list[Broker] = []
        self._folder = folder
        self._maker = maker or OurServers()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for server in [*self.brokers, *self.namesrvs]:
            with contextlib.suppress(ServerFailed):
                server.kill()

    @property
    def namesrv(self) -> str:
        """All name servers' addresses, as clients are given them."""
        return ";".join(server.address for server in self.namesrvs)

    def add_namesrv(self, **properties: str) -> Namesrv:
        """Starts one more name server. Brokers started before do not know it."""
        server = self._maker.namesrv(self._folder, **properties)
        self.namesrvs.append(server)
        server.start()
        return server

    def add_broker(self, **properties: str) -> Broker:
        """Starts one more broker, registered with all name servers. Names count up: broker-a, broker-b, ..."""
        name = f"broker-{chr(ord('a') + len(self.brokers))}"
        server = self._maker.broker(self._folder, self.namesrv, **{"brokerName": name, **properties})
        self.brokers.append(server)
        server.start()
        return server


def broker_properties(home: Path, port: int, namesrv: str) -> dict[str, str]:
    """What every broker of a test is given; both our brokers and Apache's read it."""
    return {
        "brokerClusterName": "DefaultCluster",
        "brokerName": "broker-a",
        "brokerId": "0",
        "namesrvAddr": namesrv,
        "listenPort": str(port),
        "brokerIP1": "127.0.0.1",
        "brokerIP2": "127.0.0.1",
        "storePathRootDir": str(home / "store"),
        "storePathCommitLog": str(home / "store" / "commitlog"),
        "mappedFileSizeCommitLog": str(16 * 1024 * 1024),
        "maxHashSlotNum": "5000",
        "maxIndexNum": "20000",
    }


def write_properties(file: Path, properties: dict[str, str]) -> None:
    file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))


def console_script(name: str) -> str:
    """The script of this name that belongs to the running Python."""
    script = Path(sys.executable).parent / name
    if not script.exists():
        raise ServerFailed(f"{script} is absent: install the project into this environment (pip install -e .)")
    return str(script)


def answers_ready(http_port: int) -> bool:
    """Whether /readyz answers 200."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def is_registered(broker: Broker, namesrv: str) -> bool:
    """Whether every name server tells of this broker: one that is slow to start may get to know it late."""
    try:
        for address in filter(None, namesrv.split(";")):
            answer = ask(address, request(RequestCode.GET_BROKER_CLUSTER_INFO))
            known = ClusterInfo.decode(answer.body).broker_addr_table.get(broker.broker_name)
            if known is None or broker.address not in known.broker_addrs.values():
                return False
    except OSError:
        return False
    return True


def started(server: S) -> S:
    """The server, ready; it is ended when it does not become so."""
    try:
        server.start()
    except BaseException:
        with contextlib.suppress(ServerFailed):
            server.kill()
        raise
    return server
