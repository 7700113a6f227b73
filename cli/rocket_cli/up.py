"""`rocketctl up`, `run` and `demo`: a cluster on this machine, as the manifest says, for as long as the command runs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer

from rocket_cli import local, tutorial
from rocket_cli.console import out, refusing
from rocket_cli.manifest_file import ManifestFile
from rocket_cli.view import PlainView, view

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

Work = Callable[[local.LocalCluster, PlainView], Awaitable[int | None]]
"""What is done once a cluster is ready. An exit status ends the cluster; None leaves it up until it is stopped."""


def up(file: File, data: Data = None, programs: Programs = None, once_ready: OnceReady = None) -> None:
    """Run a RocketCluster on this machine; edit the file to scale it, press Ctrl-C to stop it.

    COMMAND finds the name servers in NAMESRV_ADDR.
    """

    async def work(cluster: local.LocalCluster, shown: PlainView) -> int | None:
        return None if once_ready is None else await _run_command(once_ready, cluster, shown)

    _exit(file, local.Places(data, programs), work, if_stopped=0 if once_ready is None else 1)


def run(file: File, data: Data = None, programs: Programs = None) -> None:
    """Like `up`, and shows ten messages through the cluster once it is ready."""

    async def work(cluster: local.LocalCluster, shown: PlainView) -> int | None:
        await tutorial.play(cluster.addresses, shown.said)
        shown.said("The cluster stays up until Ctrl-C.")
        return None

    _exit(file, local.Places(data, programs), work, if_stopped=0)


def demo(file: File, data: Data = None, programs: Programs = None) -> None:
    """Like `run`, and stops; the exit status is 0 only if all ten messages came through exactly once."""

    async def work(cluster: local.LocalCluster, shown: PlainView) -> int | None:
        return 0 if await tutorial.play(cluster.addresses, shown.said) else 1

    _exit(file, local.Places(data, programs), work, if_stopped=1)


def how_to_connect(addresses: str) -> str:
    return f"Ready. Name servers for any RocketMQ client:\n  export NAMESRV_ADDR='{addresses}'"


def _exit(file: Path, places: local.Places, work: Work, if_stopped: int) -> None:
    """Ends the command with the status of `work`, or with `if_stopped` when a person ended it."""
    with refusing(str(file)):
        status = asyncio.run(_serve(ManifestFile(file), places, work))
    raise typer.Exit(if_stopped if status is None else status)


async def _serve(file: ManifestFile, places: local.Places, work: Work) -> int | None:
    """The status of `work`; None when the cluster was stopped by a signal."""
    with view(out) as shown:
        async with local.running(file, places, shown) as cluster:
            if not await cluster.until_ready():
                return None
            shown.said(how_to_connect(cluster.addresses))
            status = await _while_running(cluster, work(cluster, shown))
            if status is None:
                await cluster.running
            return status


async def _while_running(cluster: local.LocalCluster, work: Awaitable[int | None]) -> int | None:
    """What `work` comes to; None when the cluster was told to stop before."""
    working = asyncio.ensure_future(work)
    await asyncio.wait({working, cluster.running}, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        return working.result()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return None


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
