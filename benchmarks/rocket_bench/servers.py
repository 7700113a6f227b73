"""The processes that are measured: started for a block, stopped at its end, their output kept in a file beside them."""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rocket_bench.frames import SendFrame, is_success

BENCHMARKS = Path(__file__).resolve().parents[1]
#: Measurements, logs and, while they run, the stores of the brokers.
BUILD = BENCHMARKS.parent / ".build" / "bench"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
#: Below the range from which the kernel serves outgoing connections.
_PORTS = range(20000, 32000)


class ServerFailed(Exception):
    """A server did not come up, or went away. The text says where its output is."""


@dataclass(frozen=True)
class Target:
    """A server that takes sends, and keeps them in `folder`.

    `start_seconds` went by from its start to the first acknowledged send.
    """

    name: str
    port: int
    pid: int
    namesrv: str = ""
    start_seconds: float = 0.0
    folder: Path = BUILD


@contextmanager
def process(name: str, arguments: Sequence[str], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program while the block does. It gets SIGTERM at the end, and is killed when that does not help."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with log_of(name).open("wb") as log:
        running = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(BENCHMARKS), **environment},
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def echo() -> Iterator[Target]:
    """The server that only answers."""
    port = free_port()
    with process("echo", [sys.executable, "-m", "rocket_bench.echo", str(port)]) as running:
        yield Target("echo", port, running.pid, start_seconds=first_send(port, running))


@dataclass(frozen=True)
class Programs:
    """A name server and a broker, as the words of a command to which `-c FILE` is added."""

    name: str
    namesrv: Sequence[str]
    broker: Sequence[str]


def our_programs() -> Programs:
    """The console scripts of the running Python's environment."""
    scripts = Path(sys.executable).parent
    return Programs("ours", [str(scripts / "mqnamesrv")], [str(scripts / "mqbroker")])


@contextmanager
def cluster(programs: Programs, **changes: str) -> Iterator[Target]:
    """A name server and a broker with an empty store and the settings of a new user, but for `changes`."""
    name = programs.name
    with ExitStack() as stack:
        folder = stack.enter_context(store_folder(name))
        namesrv = free_port()
        write_properties(folder / "namesrv.conf", namesrv_properties(folder, namesrv))
        settings = {**broker_properties(folder, namesrv), **changes}
        write_properties(folder / "broker.conf", settings)

        def start(kind: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
            arguments = [*command, "-c", str(folder / f"{kind}.conf")]
            return stack.enter_context(process(f"{name}-{kind}", arguments, ROCKETMQ_HOME=str(folder)))

        wait_listening(namesrv, start("namesrv", programs.namesrv))
        port = int(settings["listenPort"])
        running = start("broker", programs.broker)
        seconds = first_send(port, running)
        yield Target(name, port, running.pid, f"127.0.0.1:{namesrv}", seconds, folder)


@contextmanager
def store_folder(name: str) -> Iterator[Path]:
    """A folder for a broker's store, gone after the block."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=BUILD) as folder:
        yield Path(folder)


def namesrv_properties(folder: Path, port: int) -> dict[str, str]:
    return {
        "listenPort": str(port),
        "metricsPromExporterPort": str(free_port()),
        "kvConfigPath": str(folder / "kvConfig.json"),
        "configStorePath": str(folder / "namesrv.properties"),
    }


def broker_properties(folder: Path, namesrv_port: int) -> dict[str, str]:
    """What a broker of ours and one of Apache's are both given; each takes what it knows."""
    return {
        "brokerClusterName": "BenchmarkCluster",
        "brokerName": "broker-a",
        "brokerId": "0",
        "namesrvAddr": f"127.0.0.1:{namesrv_port}",
        "brokerIP1": "127.0.0.1",
        "listenPort": str(free_port(-2, 0, 1)),
        "metricsPromExporterPort": str(free_port()),
        "storePathRootDir": str(folder / "store"),
        "storePathCommitLog": str(folder / "store" / "commitlog"),
        "flushDiskType": "ASYNC_FLUSH",
        "autoCreateTopicEnable": "true",
    }


def write_properties(file: Path, properties: Mapping[str, str]) -> None:
    file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))


def free_port(*offsets: int) -> int:
    """A port such that port + offset is free for each offset (port itself without offsets)."""
    for port in random.sample(_PORTS, 500):
        if all(_is_free(port + offset) for offset in offsets or (0,)):
            return port
    raise ServerFailed("no free port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def wait_listening(port: int, running: subprocess.Popen[bytes]) -> None:
    """Returns once the port takes connections. Raises ServerFailed when that takes too long or the process ended."""
    for _ in _until_ended(running):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return


def first_send(port: int, running: subprocess.Popen[bytes]) -> float:
    """Seconds from now until the server acknowledged one message."""
    begin = time.perf_counter()
    message = bytes(SendFrame(0, "BenchmarkTest", 0, 128, binary=False).numbered(0))
    for _ in _until_ended(running):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(message)
                answer = connection.recv(4096)
        except OSError:
            continue
        if len(answer) > 18 and is_success(answer, 0):
            return time.perf_counter() - begin
    raise AssertionError("unreachable: the loop ends by ServerFailed")


def wait_line(
    running: subprocess.Popen[bytes], log: Path, pattern: re.Pattern[str], seen: int, seconds: float
) -> re.Match[str]:
    """The next line of a program's output that fits, after `seen` such lines. Raises ServerFailed when none comes."""
    for _ in _until_ended(running, seconds):
        found = list(pattern.finditer(log.read_text(errors="replace")))
        if len(found) > seen:
            return found[seen]
    raise AssertionError("unreachable: the loop ends by ServerFailed")


def _until_ended(running: subprocess.Popen[bytes], seconds: float = _START_SECONDS) -> Iterator[None]:
    """One turn every few milliseconds, for as long as it makes sense to try."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and running.poll() is None:
        yield
        time.sleep(0.005)
    raise ServerFailed(f"{running.args!r} ended or did not come up; its output is in {BUILD}")


def log_of(name: str) -> Path:
    return BUILD / f"{name}.log"
