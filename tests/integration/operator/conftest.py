"""The operator's reconciler on a bench of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rocket_testing.operator_bench import Bench, bench


@pytest.fixture
async def b() -> AsyncIterator[Bench]:
    async with bench() as found:
        yield found
