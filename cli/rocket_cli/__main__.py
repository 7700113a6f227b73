"""rocketctl: run clusters on this machine, and use any cluster that clients can reach."""

from __future__ import annotations

import typer

from rocket_cli import messages, status, topics, up

app = typer.Typer(name="rocketctl", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
app.command()(up.up)
app.command()(up.run)
app.command()(up.demo)
app.command()(messages.send)
app.command()(messages.consume)
app.command()(messages.check)
app.add_typer(topics.app, name="topic")
app.command()(status.status)


@app.callback()
def rocketctl() -> None:
    """Run RocketMQ clusters on this machine, and use any cluster that clients can reach."""


def main() -> None:
    app()


if __name__ == "__main__":
    main()
