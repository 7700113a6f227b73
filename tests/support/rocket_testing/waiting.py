"""Waiting for what nobody tells: asks again until it is so, with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(ask: Callable[[], Awaitable[T | None]], within: float = 30.0) -> T: ...
@overload
async def eventually(ask: Callable[[], T | None], within: float = 30.0) -> T: ...
async def eventually(ask: Callable[[], Any], within: float = 30.0) -> Any:
    """The first true result of `ask`, plain or awaited; AssertionError with the last one after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        result = ask()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"still {result!r} after {within:g} s")
        await asyncio.sleep(0.05)
