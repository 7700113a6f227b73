"""A clock that stands until a test moves it."""

from __future__ import annotations


class Clock:
    """Call it for the time in milliseconds, from no particular beginning."""

    def __init__(self, now: int = 1_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 1000)
