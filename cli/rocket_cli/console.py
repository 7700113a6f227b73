"""Where the command line writes, and how it refuses: sentences on stderr and exit status 1, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from rocket_client import RocketError
from rocket_operator.problems import CannotStart, InvalidManifest

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Namesrv = Annotated[
    str, typer.Option("--namesrv", "-n", envvar="NAMESRV_ADDR", help="The name servers, host:port;host:port.")
]


@contextmanager
def refusing(what: str = "rocketctl") -> Iterator[None]:
    """Turns what a person can mend into its sentences, each line led by `what` it is about."""
    try:
        yield
    except (CannotStart, InvalidManifest, RocketError) as error:
        for line in str(error).splitlines():
            err.print(f"{what}: {line}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
