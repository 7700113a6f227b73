"""A clock that stands until a test moves it."""

from __future__ import annotations

import pytest

from rocket_testing.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
