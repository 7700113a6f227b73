"""`rocketctl up`: a cluster on this machine, as the manifest says, for as long as the command runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from rocket_cli import local
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


def up(file: File, data: Data = None, programs: Programs = None, once_ready: OnceReady = None) -> None:
    """Run a RocketCluster on this machine; edit the file to scale it, press Ctrl-C to stop it.

    COMMAND finds the name servers in NAMESRV_ADDR.
    """
    with refusing(str(file)):
        status = asyncio.run(_up(ManifestFile(file), local.Places(data, programs), once_ready))
    raise typer.Exit(status)


async def _up(file: ManifestFile, places: local.Places, once_ready: str | None) -> int:
    with view(out) as shown:
        async with local.running(file, places, shown) as cluster:
            if not await cluster.until_ready():
                return 1 if once_ready else 0
            shown.said(how_to_connect(cluster.addresses))
            if once_ready is not None:
                return await _run(once_ready, cluster, shown)
            await cluster.running
    return 0


async def _run(command: str, cluster: local.LocalCluster, shown: PlainView) -> int:
    """The command's exit status; it ends with the cluster, should that be stopped first."""
    shown.said(f"running {command}")
    environment = os.environ | {"NAMESRV_ADDR": cluster.addresses}
    process = await asyncio.create_subprocess_shell(command, env=environment)
    ended = asyncio.create_task(process.wait())
    await asyncio.wait({ended, cluster.running}, return_when=asyncio.FIRST_COMPLETED)
    if not ended.done():
        process.terminate()
    status = await ended
    return status if status >= 0 else 128 - status


def how_to_connect(addresses: str) -> str:
    return f"Ready. Name servers for any RocketMQ client:\n  export NAMESRV_ADDR='{addresses}'"
