"""Tells a running broker changed settings (UPDATE_BROKER_CONFIG, protocol section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping

from rocket_client import Admin, RocketError
from rocket_operator.objects.ports import CLIENTS
from rocket_operator.objects.processes import LOOPBACK, Process


async def configure(process: Process, settings: Mapping[str, str]) -> None:
    """Returns when the broker has taken the settings over. Raises ValueError when it does not."""
    try:
        async with Admin(process.settings["namesrvAddr"]) as admin:
            await admin.update_broker_config(f"{LOOPBACK}:{process.ports[CLIENTS]}", settings)
    except RocketError as error:
        raise ValueError(str(error)) from error
