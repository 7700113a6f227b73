"""The name server's key-value store: a few settings for all clients, kept in kvConfig.json in Apache's shape.

    {"configTable":{"ORDER_TOPIC_CONFIG":{"TopicA":"broker-a:8;broker-b:8"}}}

A change is on disk before it is told to anyone. Writing blocks the event loop for one small file: changes are made by
hand, a few a day.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Final

import msgspec

from rocket_net import durable_file
from rocket_wire.bodies.body import Body, written_new
from rocket_wire.errors import RequestError

ORDER_TOPIC_CONFIG: Final = "ORDER_TOPIC_CONFIG"
"""The namespace that says how many queues a globally ordered topic has on which group, by topic."""

Tables = dict[str, dict[str, str]]


class KvConfigFile(Body, frozen=True):
    """kvConfig.json."""

    config_table: Tables = written_new(dict)


class KvConfigError(Exception):
    """The file cannot be read. It is left as it is."""


class KvConfig:
    """Text by namespace and key."""

    def __init__(self, path: Path) -> None:
        """Reads the file; without one the store is empty. Raises KvConfigError."""
        self._path = path
        self._tables = _load(path)

    def get(self, namespace: str, key: str) -> str | None:
        """The value, or None."""
        return self._tables.get(namespace, {}).get(key)

    def namespace(self, namespace: str) -> dict[str, str] | None:
        """All keys of a namespace; None if it never had one."""
        return self._tables.get(namespace)

    def put(self, namespace: str, key: str, value: str) -> None:
        """Raises OSError, and then nothing is changed."""
        tables = copy.deepcopy(self._tables)
        tables.setdefault(namespace, {})[key] = value
        self._save(tables)

    def delete(self, namespace: str, key: str) -> None:
        """An absent key is no error. Raises OSError, and then nothing is changed."""
        if self.get(namespace, key) is None:
            return
        tables = copy.deepcopy(self._tables)
        del tables[namespace][key]
        self._save(tables)

    def _save(self, tables: Tables) -> None:
        durable_file.write(self._path, KvConfigFile(tables).encode())
        self._tables = tables


def _load(path: Path) -> Tables:
    try:
        content = durable_file.read(path)
        return KvConfigFile.decode(content).config_table if content and not content.isspace() else {}
    except (OSError, RequestError, msgspec.MsgspecError) as error:
        reason = error.remark if isinstance(error, RequestError) else error
        raise KvConfigError(f"kvConfigPath {path} cannot be read: {reason}") from None
