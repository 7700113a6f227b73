"""Where the command line writes, and how it refuses: sentences on stderr and exit status 1, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from rocket_client import RocketError
from rocket_operator.problems import CannotStart, InvalidManifest

_PIPE_WIDTH = 200  # a pipe has no width of its own, and 80 columns would cut tables short

out = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
err = Console(stderr=True, highlight=False)

#: The name servers of `make run`.
NAMESRV = "localhost:9876;localhost:9877"

Namesrv = Annotated[
    str, typer.Option("--namesrv", "-n", envvar="NAMESRV_ADDR", help="The name servers, host:port;host:port.")
]


def table(*headers: str) -> Table:
    """An empty table in our style: narrow, nothing cut."""
    result = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        result.add_column(header, overflow="fold")
    return result


@contextmanager
def refusing(what: str = "rocketctl") -> Iterator[None]:
    """Turns what a person can mend into its sentences, each line led by `what` it is about."""
    try:
        yield
    except (CannotStart, InvalidManifest, RocketError) as error:
        for line in str(error).splitlines():
            err.print(f"{what}: {line}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
