"""Tells a running broker changed settings (UPDATE_BROKER_CONFIG, protocol section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping

from rocket_operator.objects.processes import Process


async def configure(process: Process, settings: Mapping[str, str]) -> None:
    """Raises OSError when the broker cannot be reached, ValueError when it refuses."""
    raise ValueError("not yet")
