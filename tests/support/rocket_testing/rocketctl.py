"""`rocketctl up` as a person runs it: a manifest in a folder, a process, its output, and signals.

Its name servers and brokers are the real ones, or stand-ins (stand_in.py) that start in no time and do as told.
Everything here blocks, with a deadline.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml

from rocket_testing import stand_in
from rocket_testing.ports import free_ports

DEADLINE_SECONDS = 20.0

_BROKERS_AFTER = 32
_PORT_OFFSETS = [*range(24), *(_BROKERS_AFTER + 100 * group + port for group in range(3) for port in range(-2, 28))]


@dataclass
class Rocketctl:
    """A cluster called `orders` on free ports. `programs` is where its programs are; None: the real ones."""

    folder: Path
    programs: Path | None = None
    first_port: int = field(default_factory=lambda: free_ports(*_PORT_OFFSETS))
    ran: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "cluster.yaml"

    @property
    def root(self) -> Path:
        return self.folder / "data"

    @property
    def broker_port(self) -> int:
        return self.first_port + _BROKERS_AFTER

    def write(
        self, servers: int = 1, groups: int = 1, slaves: int = 1, replication: str = "Async", **config: str
    ) -> None:
        """The manifest. `config` is for brokers."""
        spec = {
            "nameServer": {"replicas": servers, "port": self.first_port},
            "broker": {
                "groups": groups,
                "slavesPerGroup": slaves,
                "port": self.broker_port,
                "config": config,
                "replication": {"mode": replication},
            },
        }
        kind = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster", "metadata": {"name": "orders"}}
        self.file.write_text(yaml.safe_dump({**kind, "spec": spec}))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Runs `rocketctl`, by default `rocketctl up` on the manifest, and waits for nothing."""
        command = arguments or ("up",)
        options = ["--data", str(self.root)] + (["--programs", str(self.programs)] if self.programs else [])
        with (self.folder / "out").open("a") as out, (self.folder / "err").open("a") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "rocket_cli", command[0], str(self.file), *options, *command[1:]],
                stdout=out, stderr=err, text=True, cwd=self.folder,
            )  # fmt: skip
        self.ran.append(process)
        return process

    def up(self) -> None:
        """Starts it and waits until all is ready."""
        earlier = self.out.count("export NAMESRV_ADDR=")
        process = self.start()
        wait_for(
            lambda: self.out.count("export NAMESRV_ADDR=") > earlier or process.poll() is not None,
            lambda: f"all ready:\n{self.out}{self.err}",
        )
        assert process.poll() is None, self.err

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Sends the latest process a signal and waits for its exit status."""
        self.ran[-1].send_signal(number)
        return self.ran[-1].wait(DEADLINE_SECONDS)

    @property
    def out(self) -> str:
        return _text(self.folder / "out")

    @property
    def err(self) -> str:
        return _text(self.folder / "err")

    def said(self, sentence: str) -> None:
        """Waits until the sentence stands in the output."""
        wait_for(lambda: sentence in self.out, lambda: f"{sentence!r} in\n{self.out}{self.err}")

    def journal(self) -> list[str]:
        """What the stand-ins did, such as "start orders-broker-0-0"."""
        return [line.rsplit(" ", 1)[0] for line in _text(self.root / "journal").splitlines()]

    def pid(self, name: str) -> int:
        """The pid of a member's present process."""
        file = self.root / name / "pid"
        wait_for(lambda: _text(file).strip() != "", lambda: f"a pid in {file}")  # it may just be written anew
        return int(_text(file))

    def end(self) -> None:
        """Whatever still runs is killed."""
        for process in self.ran:
            process.kill()
            process.wait()
        for file in self.root.glob("*/pid"):
            with contextlib.suppress(psutil.Error, ValueError):  # it ended meanwhile
                member = psutil.Process(int(file.read_text()))
                if any(str(self.root) in argument for argument in member.cmdline()):
                    member.kill()


def stand_ins(folder: Path) -> Path:
    """A folder with an mqnamesrv and an mqbroker that only pretend."""
    folder.mkdir()
    for name in ("mqnamesrv", "mqbroker"):
        script = folder / name
        script.write_text(
            f"#!{sys.executable}\nimport runpy\nrunpy.run_path({stand_in.__file__!r}, run_name='__main__')\n"
        )
        script.chmod(0o755)
    return folder


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    """Looks until the condition holds: other processes send no events. `what` is said when it does not, in time."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS:.0f} s: {what()}"
        time.sleep(0.02)


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""
