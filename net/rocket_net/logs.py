"""How a process of ours logs: one line an event, as text for people or as a JSON object for collectors."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

FORMATS: Final = ("text", "json")
LEVELS: Final = ("debug", "info", "warning", "error")

#: What every record has; whatever else it has, its caller gave as `extra`.
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, what the caller gave as `extra`, and the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def reason(error: Exception) -> str:
    """An error for people: what went wrong and with which file, without the number that the system has for it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds --log-format and --log-level to a program's options."""
    parser.add_argument("--log-format", choices=FORMATS, default="text", help="one JSON object a line, or plain text")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="what is logged")


def configure(form: str = "text", level: str = "info") -> None:
    """Sends the process's log to standard error. `form` is one of FORMATS, `level` one of LEVELS."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
