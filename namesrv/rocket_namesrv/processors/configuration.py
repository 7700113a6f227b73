"""Requests to read and change the name server's own settings."""

from __future__ import annotations

from rocket_namesrv.parts import Parts
from rocket_net.connection import Connection
from rocket_wire.command import Command


def update_namesrv_config(parts: Parts, request: Command, connection: Connection) -> Command:
    """Changes the settings that the body, properties text, names: all of them or none."""
    parts.settings.update(request.body, f"request from {connection.peer}")
    return request.reply()


def get_namesrv_config(parts: Parts, request: Command, connection: Connection) -> Command:
    """All settings as properties text."""
    return request.reply(body=parts.settings.text().encode())
