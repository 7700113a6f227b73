"""Apache's own name server and broker, started like ours: the reference that the client is tested against.

Needs a JDK and a folder with the jars of org.apache.rocketmq:rocketmq-namesrv and rocketmq-broker and all they
depend on (5.3.3 is what the tests know), named by the environment variable ROCKETMQ_JARS.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rocket_testing.cluster import Broker, Namesrv, broker_properties, is_registered, write_properties
from rocket_testing.ports import free_broker_port, free_port

_OPEN = [
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
]


def jars_folder() -> Path | None:
    """The folder that ROCKETMQ_JARS names, if it is set and there is a Java to run it."""
    folder = os.environ.get("ROCKETMQ_JARS")
    return Path(folder) if folder and shutil.which("java") else None


class ApacheServers:
    """Makes Apache's servers: ready once they printed their success line, a broker once it is registered, too."""

    def __init__(self, jars: Path) -> None:
        self._classpath = f"{jars}/*"

    def namesrv(self, folder: Path, **properties: str) -> Namesrv:
        port = int(properties.pop("listenPort", 0)) or free_port()
        home = folder / f"namesrv-{port}"
        home.mkdir(parents=True)
        file = home / "namesrv.conf"
        write_properties(file, {"listenPort": str(port), "kvConfigPath": str(home / "kvConfig.json"), **properties})
        server = Namesrv(
            name=f"Apache name server {port}",
            argv=self._java(home, "org.apache.rocketmq.namesrv.NamesrvStartup", file, "64m"),
            log=home / "log",
            is_ready=lambda: "boot success" in server.run_log(),
            environment={"ROCKETMQ_HOME": str(home)},
            port=port,
        )
        return server

    def broker(self, folder: Path, namesrv: str, **properties: str) -> Broker:
        port = int(properties.pop("listenPort", 0)) or free_broker_port()
        home = folder / f"broker-{port}"
        home.mkdir(parents=True)
        settings = {**broker_properties(home, port, namesrv), **properties}
        file = home / "broker.properties"
        write_properties(file, settings)
        server = Broker(
            name=f"Apache broker {settings['brokerName']} {port}",
            argv=self._java(home, "org.apache.rocketmq.broker.BrokerStartup", file, "320m"),
            log=home / "log",
            is_ready=lambda: "boot success" in server.run_log() and is_registered(server, namesrv),
            environment={"ROCKETMQ_HOME": str(home)},
            port=port,
            store=Path(settings["storePathRootDir"]),
            properties=settings,
        )
        return server

    def _java(self, home: Path, main: str, file: Path, heap: str) -> list[str]:
        memory = ["-Xms32m", f"-Xmx{heap}", "-XX:MaxDirectMemorySize=256m", "-XX:+UseSerialGC"]
        return ["java", *memory, *_OPEN, f"-Duser.home={home}", "-cp", self._classpath, main, "-c", str(file)]
