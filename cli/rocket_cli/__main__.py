"""rocketctl: run clusters on this machine, and use any cluster that clients can reach."""

from __future__ import annotations

import typer

from rocket_cli.up import up

app = typer.Typer(
    name="rocketctl", help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)
app.command()(up)


@app.callback()
def rocketctl() -> None:
    """Run RocketMQ clusters on this machine, and use any cluster that clients can reach."""


def main() -> None:
    app()


if __name__ == "__main__":
    main()
