"""Which topics were deleted, and when, as a position of the log: a log that is read again must not bring them back.

    deletedTopics      a JSON object: topic to where the log ended when it was deleted, bytes

A deleted topic's records stay in the log until their segment expires. Queues that are made again from the log leave
them out. Apache's broker does not know the file; a copied commitlog/ alone has none, and then every topic comes back.

No position may lie behind the log's end: a log that is shorter than it was, or begins anew, would come to that position
with messages that nobody deleted. Every start sees to it, before anything is appended.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from rocket_broker.store.errors import is_no_room, refused
from rocket_broker.store.files import File, sync_folder

NAME: Final = "deletedTopics"

_decoder: Final = msgspec.json.Decoder(dict[str, int])


class Deletions:
    """The deleted topics of the store in `root`."""

    def __init__(self, root: Path, logger: logging.Logger) -> None:
        self._path = root / NAME
        self._logger = logger
        self._positions: dict[str, int] = {}

    def load(self) -> None:
        """Reads the file. One that cannot be understood counts as absent: rather a topic too many than one too few.

        Raises OSError.
        """
        try:
            self._positions = _decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            self._positions = {}
        except msgspec.DecodeError as error:
            self._logger.error("%s is ignored, deleted topics may come back: %s", self._path, error)

    def end_at(self, end: int) -> None:
        """The log ends at `end`. On the disk when this returns. Raises OSError."""
        positions = {topic: min(position, end) for topic, position in self._positions.items() if end}
        if positions != self._positions:
            self._positions = positions
            try:
                self._save()
            except OSError as error:
                if not is_no_room(error):
                    raise
                self._path.unlink()  # rather a topic that comes back than a message that goes
                sync_folder(self._path.parent)

    def add(self, topic: str, end: int, first: int) -> None:
        """The topic is deleted; the log goes from `first` to `end`. On the disk when this returns. Raises OSError.

        Where there is no room it is not, and one line says so: a deletion is what makes room.
        """
        kept = {name: position for name, position in self._positions.items() if position > first}
        self._positions = kept | {topic: end}
        try:
            self._save()
        except OSError as error:
            if not is_no_room(error):
                raise
            self._logger.error("%s", refused(f"no room to note that topic {topic} is deleted: it may come back", error))

    def has(self, topic: str, position: int) -> bool:
        """Whether the record at `position` is of a topic that was deleted after it."""
        return position < self._positions.get(topic, 0)

    def _save(self) -> None:
        aside = f"{self._path}.tmp"
        file = File(aside, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        file.write(0, msgspec.json.encode(self._positions))
        file.sync()
        os.rename(aside, self._path)
        sync_folder(self._path.parent)
