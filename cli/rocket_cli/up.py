"""`rocketctl up`, `run` and `demo`: a cluster on this machine, for as long as the command runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from rocket_cli import local, tutorial
from rocket_cli.console import out, refusing
from rocket_cli.manifest_file import ManifestFile
from rocket_cli.view import PlainView, view

READY_SECONDS = 60.0

File = Annotated[Path, typer.Argument(help="A manifest with one RocketCluster.", show_default=False)]
Data = Annotated[
    Path | None,
    typer.Option(help="The folder for messages, logs and settings. [default: data/NAME]", show_default=False),
]
Programs = Annotated[
    Path | None,
    typer.Option(
        help="Where mqnamesrv and mqbroker are. [default: beside rocketctl, else on PATH]", show_default=False
    ),
]
OnceReady = Annotated[
    str | None,
    typer.Option(metavar="COMMAND", help="Run this once all is ready, then stop and exit with its status."),
]

Act = Callable[[local.LocalCluster, PlainView], Awaitable[int | None]]


@dataclass(frozen=True, slots=True)
class Work:
    """What is done once a cluster is ready.

    An exit status from `act` ends the cluster; None leaves it up until a person stops it. `if_stopped` is the status
    when a person stops it before. `ready_seconds`: give up when the cluster takes longer. `prints`: it writes to the
    terminal by itself, so that there can be no table.
    """

    act: Act
    if_stopped: int = 0
    ready_seconds: float | None = None
    prints: bool = False


def up(file: File, data: Data = None, programs: Programs = None, once_ready: OnceReady = None) -> None:
    """Run a RocketCluster on this machine; edit the file to scale it, press Ctrl-C to stop it.

    COMMAND finds the name servers in NAMESRV_ADDR.
    """

    async def stay(cluster: local.LocalCluster, shown: PlainView) -> int | None:
        return None

    async def command(cluster: local.LocalCluster, shown: PlainView) -> int | None:
        return await _run_command(once_ready or "", cluster, shown)

    _exit(
        file, local.Places(data, programs), Work(stay) if once_ready is None else Work(command, 1, READY_SECONDS, True)
    )


def run(file: File, data: Data = None, programs: Programs = None) -> None:
    """Like `up`, and shows ten messages through the cluster once it is ready."""

    async def act(cluster: local.LocalCluster, shown: PlainView) -> int | None:
        await tutorial.play(cluster.addresses, shown.said)
        shown.said(f"{how_to_connect(cluster.addresses)}\nThe cluster stays up until Ctrl-C.")
        return None

    _exit(file, local.Places(data, programs), Work(act))


def demo(file: File, data: Data = None, programs: Programs = None) -> None:
    """Like `run`, and stops; the exit status is 0 only if all ten messages came through exactly once."""

    async def act(cluster: local.LocalCluster, shown: PlainView) -> int | None:
        return 0 if await tutorial.play(cluster.addresses, shown.said) else 1

    _exit(file, local.Places(data, programs), Work(act, 1, READY_SECONDS))


def how_to_connect(addresses: str) -> str:
    return f"Name servers for any RocketMQ client:\n  export NAMESRV_ADDR='{addresses}'"


def _exit(file: Path, places: local.Places, work: Work) -> None:
    with refusing(str(file)):
        status = asyncio.run(_serve(ManifestFile(file), places, work))
    raise typer.Exit(status)


async def _serve(file: ManifestFile, places: local.Places, work: Work) -> int:
    """The exit status."""
    with PlainView(out) if work.prints else view(out) as shown:
        async with local.running(file, places, shown) as cluster:
            if not await cluster.until_ready(work.ready_seconds):
                return work.if_stopped
            shown.said(f"Ready. {how_to_connect(cluster.addresses)}")
            acting = asyncio.ensure_future(work.act(cluster, shown))
            await asyncio.wait({acting, cluster.running}, return_when=asyncio.FIRST_COMPLETED)
            if not acting.done():
                acting.cancel()
                await asyncio.gather(acting, return_exceptions=True)
                return work.if_stopped
            status = acting.result()
            if status is None:
                await cluster.running
            return status or 0


async def _run_command(command: str, cluster: local.LocalCluster, shown: PlainView) -> int:
    """The command's exit status."""
    shown.said(f"running {command}")
    environment = os.environ | {"NAMESRV_ADDR": cluster.addresses}
    process = await asyncio.create_subprocess_shell(command, env=environment)
    try:
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
    return status if status >= 0 else 128 - status
