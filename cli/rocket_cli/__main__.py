"""rocketctl: run clusters on this machine, and use any cluster that clients can reach."""

from __future__ import annotations

from importlib import metadata
from typing import Annotated

import typer

from rocket_cli import groups, messages, status, store, switchover, topics, up
from rocket_cli.console import out

app = typer.Typer(name="rocketctl", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.command()(up.up)
app.command()(up.run)
app.command()(up.demo)
app.command()(messages.send)
app.command()(messages.consume)
app.command()(messages.check)
app.command()(messages.find)
app.add_typer(topics.app, name="topic")
app.add_typer(groups.app, name="group")
app.add_typer(store.app, name="store")
app.command()(status.status)
app.command()(switchover.switchover)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"rocketctl {metadata.version('rocketcluster')}", markup=False)
        raise typer.Exit


@app.callback()
def rocketctl(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run RocketMQ clusters on this machine, and use any cluster that clients can reach."""


def main() -> None:
    app()


if __name__ == "__main__":
    main()
