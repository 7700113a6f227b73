"""The program `mqnamesrv`: its command line, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from rocket_net.client import Client
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import request
from rocket_wire.headers.routes import GetKvConfig, GetRouteinfoByTopic, PutKvConfig

DEADLINE = 30.0
Run = Callable[..., Awaitable[asyncio.subprocess.Process]]


@pytest.fixture
async def mqnamesrv(tmp_path: Path) -> AsyncIterator[Run]:
    """Starts the program with these arguments; killed with the test if it still runs."""
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rocket_namesrv", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={"HOME": str(tmp_path)},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Exit status, stdout and stderr, once it has ended."""
    async with asyncio.timeout(DEADLINE):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE):
        return (await process.stdout.readline()).decode().rstrip()


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "namesrv.conf"
    write(path, "\ufefflistenPort=0 // 任意\r\nmetricsPromExporterPort = 0\r\nbindAddress=127.0.0.1\r\nqueueColour=red")
    return path


def write(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop(mqnamesrv: Run, conf: Path, client: Client, number: int) -> None:
    process = await mqnamesrv("-c", str(conf))
    assert await line(process) == f"load config properties file OK, {conf}"
    banner = await line(process)
    match = re.fullmatch(r"The Name Server boot success\. serializeType=JSON, address (127\.0\.0\.1:[1-9]\d+)", banner)
    assert match is not None, banner
    assert re.match(r"Metrics and health on http://0\.0\.0\.0:[1-9]\d+/metrics", await line(process))
    unknown = request(RequestCode.GET_ROUTEINFO_BY_TOPIC, GetRouteinfoByTopic("T"))
    assert (await client.call(match[1], unknown)).code == ResponseCode.TOPIC_NOT_EXIST
    process.send_signal(number)
    status, _, errors = await ended(process)
    assert status == 0
    assert f"{conf}:4: key queueColour means nothing here" in errors


async def test_stored_values_outlive_a_kill(mqnamesrv: Run, conf: Path, client: Client) -> None:
    for code, header in (
        (RequestCode.PUT_KV_CONFIG, PutKvConfig("N", "k", "v")),
        (RequestCode.GET_KV_CONFIG, GetKvConfig("N", "k")),
    ):
        process = await mqnamesrv("-c", str(conf))
        await line(process)
        address = (await line(process)).rpartition(" ")[2]
        (await client.call(address, request(code, header))).raise_for_code()
        process.kill()
        await ended(process)


async def test_print_shows_the_settings_and_ends(mqnamesrv: Run, conf: Path) -> None:
    status, out, _ = await ended(await mqnamesrv("-p", "-c", str(conf)))
    assert status == 0
    assert {"listenPort=0", "queueColour=red", f"configStorePath={conf}"} <= set(out.splitlines())


async def test_help_names_the_options(mqnamesrv: Run) -> None:
    status, out, _ = await ended(await mqnamesrv("-h"))
    assert status == 0
    assert all(option in out for option in ("--configFile", "--namesrvAddr", "--printConfigItem"))


async def test_malformed_settings_stop_the_start_with_every_problem(mqnamesrv: Run, conf: Path) -> None:
    write(conf, "listenPort=nine\norderMessageEnable=maybe\n")
    status, _, errors = await ended(await mqnamesrv("-c", str(conf)))
    assert status == 1
    assert f"{conf}:1: listenPort = 'nine': expected a whole number from 0 to 65535" in errors
    assert f"{conf}:2: orderMessageEnable = 'maybe': expected true or false" in errors
    assert "Traceback" not in errors


async def test_a_missing_file_stops_the_start(mqnamesrv: Run, tmp_path: Path) -> None:
    status, _, errors = await ended(await mqnamesrv("-c", str(tmp_path / "nothing.conf")))
    assert (status, "nothing.conf: No such file" in errors, "Traceback" in errors) == (1, True, False)


@pytest.mark.parametrize("key", ["listenPort", "metricsPromExporterPort"])
async def test_a_port_in_use_stops_the_start(mqnamesrv: Run, conf: Path, key: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        write(conf, f"listenPort=0\nmetricsPromExporterPort=0\nbindAddress=127.0.0.1\n{key}={port}\n")
        status, _, errors = await ended(await mqnamesrv("-c", str(conf)))
    assert status == 1
    assert re.search(rf"port {port} .*in use", errors)
    assert "Traceback" not in errors
