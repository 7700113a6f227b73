"""The manifest's file: read at the start, then looked at again and again: editing it is how a cluster is scaled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rocket_operator import manifest
from rocket_operator.problems import CannotStart, InvalidManifest
from rocket_operator.spec import ClusterSpec

_LOOK_SECONDS = 0.5


class ManifestFile:
    """One file and the last good spec that it held. Making it reads it: raises CannotStart or InvalidManifest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CannotStart(f"cannot read it: {_reason(error)}") from error
        self._manifest: dict[str, Any] = manifest.read(self._text)
        self.spec = ClusterSpec.parse(self._manifest)

    async def follow(self, changed: Callable[[ClusterSpec], None], refused: Callable[[str], None]) -> None:
        """Never returns. Calls `changed` for each good edit, `refused` once for each other one.

        `changed` may raise InvalidManifest, which refuses the edit as well. A text counts when it was read twice in a
        row: half of a file that is being written may be a valid manifest too, of a smaller cluster.
        """
        before: str | None = self._text
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            text = self._look()
            if text is not None and text == before and text != self._text:
                self._text = text
                self._take(text, changed, refused)
            elif text is None and before is not None:
                refused(f"{self.path} cannot be read any more; what it said last stays in force")
            before = text

    def _look(self) -> str | None:
        try:
            return self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def _take(self, text: str, changed: Callable[[ClusterSpec], None], refused: Callable[[str], None]) -> None:
        try:
            new = manifest.read(text)
            spec = ClusterSpec.parse(new, previous=self._manifest)
            if spec != self.spec:
                changed(spec)
        except InvalidManifest as error:
            refused(f"{self.path} is not valid any more; what it said before stays in force\n{error}")
            return
        self._manifest, self.spec = new, spec


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8 text"
