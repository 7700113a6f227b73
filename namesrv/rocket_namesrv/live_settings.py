"""The settings of a running name server, which a request may change; a change is in the file before it holds."""

from __future__ import annotations

import logging
from pathlib import Path

from rocket_namesrv.settings import READ_AT_START, NamesrvSettings
from rocket_net import durable_file, properties_file
from rocket_net.properties_file import Configuration, Entry, SettingsError
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError

log = logging.getLogger("rocket.namesrv")


class LiveSettings:
    """Ask `current` for the settings at each use: the answer may differ."""

    def __init__(self, configuration: Configuration[NamesrvSettings]) -> None:
        self._configuration = configuration

    @property
    def current(self) -> NamesrvSettings:
        return self._configuration.settings

    def text(self) -> str:
        """All keys, sorted, as properties text."""
        return properties_file.text(dict(sorted(properties_file.pairs(self._configuration).items())))

    def update(self, body: bytes, source: str) -> None:
        """Changes what the properties text in `body` names. Raises RequestError, and then nothing is changed."""
        try:
            entries = properties_file.parse(body, source)
            refused = sorted({entry.key for entry in entries} & self.current.fixed_keys)
            if refused:
                remark = f"Can not update config in black list: {', '.join(refused)}"
                raise RequestError(ResponseCode.NO_PERMISSION, remark)
            self._refuse_read_at_start(entries)
            changed = properties_file.update(self._configuration, entries, source)
            if entries:
                self._save({entry.key: entry.value for entry in entries})
        except (SettingsError, OSError) as error:
            raise RequestError(ResponseCode.SYSTEM_ERROR, f"nothing was changed: {error}") from None
        self._configuration = changed
        for warning in changed.warnings:
            log.warning("%s", warning)
        for entry in entries:
            log.info("%s changed %s to %s", source, entry.key, entry.value)

    def is_given(self, key: str) -> bool:
        """Whether somebody set this key, be it to its default."""
        return key in self._configuration.given

    def _refuse_read_at_start(self, entries: list[Entry]) -> None:
        present = properties_file.pairs(self._configuration)
        for entry in entries:
            if entry.key in READ_AT_START and entry.value != present[entry.key]:
                remark = f"{entry.key} is read at the start only: change it in the file and restart"
                raise RequestError(ResponseCode.SYSTEM_ERROR, f"nothing was changed: {remark}")

    def _save(self, changes: dict[str, str]) -> None:
        path = Path(self.current.config_store_path)
        content = durable_file.read(path) or b""
        durable_file.write(path, properties_file.rewrite(content, changes))
