"""Where the command line writes, and how it refuses: sentences on stderr and exit status 1, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from rocket_operator.problems import CannotStart, InvalidManifest

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turns what a person can mend into its sentences, each line led by `what` it is about."""
    try:
        yield
    except (CannotStart, InvalidManifest) as error:
        for line in str(error).splitlines():
            err.print(f"{what}: {line}", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
