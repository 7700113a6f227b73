"""The cluster that the suite runs against: found, or started with `rocketctl up` and stopped at the end."""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
QUICKSTART = "examples/quickstart/cluster.yaml"  # in the project's folder, where rocketctl is started

READY_SECONDS = 60
STOP_SECONDS = 30
ASK_SECONDS = 3

GET_ROUTEINFO_BY_TOPIC = 105
#: A broker that lets clients make topics says so by a route of this one.
TEMPLATE_TOPIC = "TBW102"


class ClusterError(Exception):
    """No cluster to run against."""


async def wait_ready(namesrv: str, seconds: float) -> None:
    """Returns once every name server knows a broker that takes new topics. Raises ClusterError at the deadline."""
    await wait_route(namesrv, TEMPLATE_TOPIC, seconds)


async def wait_route(namesrv: str, topic: str, seconds: float) -> None:
    """Returns once every name server has a route of the topic. Raises ClusterError at the deadline."""
    deadline = time.monotonic() + seconds
    for address in namesrv.split(";"):
        host, port = address.rsplit(":", 1)
        while not await _has_route(host, int(port), topic):
            if time.monotonic() > deadline:
                raise ClusterError(f"the name server {address} gave no route of {topic} in {seconds:.0f} s")
            await asyncio.sleep(0.1)


@asynccontextmanager
async def started(manifest: str, namesrv: str) -> AsyncIterator[None]:
    """The manifest's cluster, in a temporary data folder, for as long as the block runs."""
    rocketctl = Path(sys.executable).with_name("rocketctl")
    if not rocketctl.exists():
        raise ClusterError(f"{rocketctl.name} is not installed beside {sys.executable}")
    if any([await _listens(address) for address in namesrv.split(";")]):
        raise ClusterError(f"something listens on {namesrv} already; without --up it would be used")
    with tempfile.TemporaryDirectory(prefix="rocketcluster-interop-") as folder:
        log = Path(folder) / "rocketctl.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(str(rocketctl), "up", manifest, "--data", str(Path(folder) / "data")),
                cwd=PROJECT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )
        try:
            await _started(process, namesrv, log)
            yield
        finally:
            await _stop(process)


async def _started(process: asyncio.subprocess.Process, namesrv: str, log: Path) -> None:
    ready = asyncio.create_task(wait_ready(namesrv, READY_SECONDS))
    ended = asyncio.create_task(process.wait())
    await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        ready.cancel()
        raise ClusterError(f"rocketctl up ended with status {process.returncode}: {_last_lines(log)}")
    ended.cancel()
    await ready


def _last_lines(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").strip().splitlines()[-5:])


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ClusterError(f"rocketctl up did not stop within {STOP_SECONDS} s of SIGINT") from None


async def _listens(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    try:
        async with asyncio.timeout(ASK_SECONDS):
            _reader, writer = await asyncio.open_connection(host, int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _has_route(host: str, port: int, topic: str) -> bool:
    header = {
        "code": GET_ROUTEINFO_BY_TOPIC,
        "language": "PYTHON",
        "version": 401,
        "opaque": 1,
        "flag": 0,
        "extFields": {"topic": topic},
    }
    text = json.dumps(header).encode()
    try:
        async with asyncio.timeout(ASK_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(struct.pack(">II", 4 + len(text), len(text)) + text)
            _total, header_length = struct.unpack(">II", await reader.readexactly(8))
            answer = json.loads(await reader.readexactly(header_length))
            writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
        return False
    return bool(answer["code"] == 0)
