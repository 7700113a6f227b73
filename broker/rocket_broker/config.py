"""The settings as they are now: read at the start, some of them changed by UPDATE_BROKER_CONFIG while running.

A change goes through the same checks as the file and is written back to it, so that a restart keeps it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from rocket_broker import saved
from rocket_broker.settings import FORBIDDEN_KEYS, LIVE_KEYS, BrokerRole, BrokerSettings, complete
from rocket_net import properties_file
from rocket_net.properties_file import Configuration, Entry, Problem, SettingsError
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError

log = logging.getLogger("rocket.config")


class Source(NamedTuple):
    """Where a broker's settings come from: a file, and `key=value` words of the command line, which win over it.

    `is_kept`: the file belongs to somebody else; what a request changes is not written into it.
    """

    path: Path | None = None
    given: tuple[str, ...] = ()
    is_kept: bool = False


class LiveConfig:
    """Holds the current settings; processors read `settings` afresh at each request."""

    def __init__(self, configuration: Configuration[BrokerSettings], path: Path | None) -> None:
        self._configuration = configuration
        self._path = path
        self.settings = configuration.settings
        #: What this process is called, whatever its role becomes.
        self.node = f"{self.settings.broker_name}-{self.settings.broker_id}"
        self.on_change: Callable[[set[str]], None] = lambda keys: None

    def is_given(self, key: str) -> bool:
        """Whether somebody chose this key's value, rather than it being the default."""
        return key in self._configuration.given

    def pairs(self) -> dict[str, str]:
        """Every key and its value, those without a meaning here included."""
        return properties_file.pairs(self._configuration)

    def become(self, role: BrokerRole, broker_id: int) -> None:
        """Another role from now on, since a lease says so. It stands in no file."""
        self._take(self._configuration, role, broker_id)

    def _take(self, configuration: Configuration[BrokerSettings], role: BrokerRole, broker_id: int) -> None:
        self.settings = msgspec.structs.replace(configuration.settings, broker_role=role, broker_id=broker_id)
        self._configuration = msgspec.structs.replace(configuration, settings=self.settings)

    def update(self, content: bytes) -> None:
        """Applies properties text and saves it. Raises RequestError; then nothing has changed."""
        try:
            entries = properties_file.parse(content, "UPDATE_BROKER_CONFIG")
            self._check_live(entries)
            changed = properties_file.update(self._configuration, entries, "UPDATE_BROKER_CONFIG")
        except SettingsError as error:
            raise RequestError(ResponseCode.SYSTEM_ERROR, str(error)) from None
        for warning in changed.warnings:
            log.warning("%s", warning)
        self._save({entry.key: entry.value for entry in entries})
        self._take(changed, self.settings.broker_role, self.settings.broker_id)
        log.info("settings changed: %s", ", ".join(f"{entry.key}={entry.value}" for entry in entries))
        self.on_change({entry.key for entry in entries})

    def _check_live(self, entries: list[Entry]) -> None:
        now = self.pairs()
        for entry in entries:
            if entry.key in FORBIDDEN_KEYS:
                raise RequestError(ResponseCode.NO_PERMISSION, f"key {entry.key} can't be changed by a request")
            known = entry.key in now and entry.key not in self._configuration.unknown
            if known and entry.key not in LIVE_KEYS and now[entry.key] != entry.value:
                text = "cannot change while the broker runs; change it in the file and restart"
                raise SettingsError([Problem("UPDATE_BROKER_CONFIG", entry.line, entry.key, entry.value, text)])

    def _save(self, changes: dict[str, str]) -> None:
        if self._path is None:
            return
        try:
            saved.write(self._path, properties_file.rewrite(self._path.read_bytes(), changes))
        except OSError as error:
            remark = f"{self._path} cannot be written ({error}): nothing changed"
            raise RequestError(ResponseCode.SYSTEM_ERROR, remark) from None


def read(source: Source, namesrv: str | None = None) -> LiveConfig:
    """The configuration that a source describes. Raises SettingsError or OSError.

    `namesrv` comes from the command line and wins over everything.
    """
    path = source.path
    entries = properties_file.parse(path.read_bytes(), str(path)) if path is not None else []
    words = [_given(word) for word in source.given]
    if namesrv is not None:
        words.append(Entry("namesrvAddr", namesrv))
    given = {entry.key for entry in words}
    name = str(path) if path is not None else "settings"
    configuration = properties_file.load(
        BrokerSettings, [entry for entry in entries if entry.key not in given] + words, name
    )
    for warning in configuration.warnings:
        log.warning("%s", warning)
    # A file that all members of a group share says what its master is; a member that is told its number is a slave.
    is_role_given = "brokerRole" in (given if "brokerId" in given else configuration.given)
    try:
        settings = complete(configuration.settings, is_role_given=is_role_given)
    except ValueError as error:
        raise SettingsError([Problem(name, 0, "", None, str(error))]) from None
    return LiveConfig(msgspec.structs.replace(configuration, settings=settings), None if source.is_kept else path)


def _given(word: str) -> Entry:
    """One `--set key=value`. Raises SettingsError."""
    key, separator, value = word.partition("=")
    if not separator or not key.strip():
        raise SettingsError([Problem("--set", 0, "", None, f"{word!r} is not KEY=VALUE")])
    return Entry(key.strip(), value.strip())
