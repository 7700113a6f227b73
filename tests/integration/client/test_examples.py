"""Every example in the client's documentation is run, against a real cluster.

An example is the indented block after a line `Example:` in a docstring. It runs as it stands, with the names of the
package at hand and the cluster's address in place of localhost:9876.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from importlib import import_module

import pytest

import rocket_client
from rocket_client import Admin, Message, Producer

PATIENCE = 30

#: What an application developer looks at first; each has to have an example.
SHOWN = ("Admin", "Message", "Producer", "PullConsumer", "PushConsumer", "ServerAdmin", "SyncProducer")


def docstrings() -> Iterator[tuple[str, str]]:
    """Every docstring of the package, with the name of what it belongs to."""
    yield "rocket_client", rocket_client.__doc__ or ""
    for found in pkgutil.iter_modules(rocket_client.__path__):
        module = import_module(f"rocket_client.{found.name}")
        yield found.name, module.__doc__ or ""
        for name, member in inspect.getmembers(module, inspect.isclass):
            if member.__module__ != module.__name__:
                continue
            yield name, inspect.getdoc(member) or ""
            for method, function in inspect.getmembers(member, inspect.isfunction):
                if function.__qualname__.startswith(f"{name}."):
                    yield f"{name}.{method}", inspect.getdoc(function) or ""


def examples() -> dict[str, str]:
    """The source of each example."""
    found = {}
    for name, text in docstrings():
        _, mark, after = text.partition("Example:\n")
        lines = []
        for line in after.splitlines():
            if line and not line.startswith("    "):
                break
            lines.append(line)
        if mark:
            found[name] = textwrap.dedent("\n".join(lines)).strip()
    return found


def test_what_a_developer_looks_at_first_has_an_example() -> None:
    assert [name for name in SHOWN if not examples().get(name)] == []


@pytest.mark.parametrize("name", sorted(examples()))
async def test_an_example_runs(name: str, namesrv: str) -> None:
    async with Admin(namesrv) as admin, Producer(namesrv) as producer:
        await admin.create_topic("orders")
        for text in ("one coffee", "strange coffee", "last"):
            await producer.send(Message("orders", text, tags="new"))
    source = examples()[name].replace("localhost:9876", namesrv)
    code = compile(source, f"example of {name}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names = {"asyncio": asyncio, **{each: getattr(rocket_client, each) for each in rocket_client.__all__}}
    async with asyncio.timeout(PATIENCE):
        running = eval(code, names)  # what compile() with top-level await gives is a coroutine, or None without any
        if running is not None:
            await running
