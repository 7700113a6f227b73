"""The JSON tables of a store (`config/*.json`), each with the one before as `.bak` (protocol section 4.8)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from rocket_wire import fastjson
from rocket_wire.bodies.groups import SubscriptionGroupWrapper
from rocket_wire.bodies.offsets import ConsumerOffsetSerializeWrapper, DelayOffsetSerializeWrapper
from rocket_wire.bodies.topics import TopicConfigSerializeWrapper
from rocket_wire.errors import RequestError

_BACKUP: Final = ".bak"
#: What each file holds, and how much of it.
_KNOWN: Final[dict[str, tuple[Callable[[bytes], Any], Callable[[Any], int]]]] = {
    "topics.json": (TopicConfigSerializeWrapper.decode, lambda table: len(table.topic_config_table)),
    "subscriptionGroup.json": (SubscriptionGroupWrapper.decode, lambda table: len(table.subscription_group_table)),
    "consumerOffset.json": (
        ConsumerOffsetSerializeWrapper.decode, lambda table: sum(map(len, table.offset_table.values())),
    ),
    "delayOffset.json": (DelayOffsetSerializeWrapper.decode, lambda table: len(table.offset_table)),
}  # fmt: skip


class Table(NamedTuple):
    """One file: how many topics, groups or offsets it has (None: not known), and what is wrong with it, if anything.

    `has_backup`: there is a `.bak` beside it that can be read.
    """

    path: Path
    entries: int | None
    problem: str
    has_backup: bool


def tables(root: Path) -> list[Table]:
    """Every table of the store. Raises OSError."""
    folder = root / "config"
    names = {path.name.removesuffix(_BACKUP) for path in folder.glob("*.json*") if path.suffix in (".json", _BACKUP)}
    return [_look(folder / name) for name in sorted(names)]


def topic_names(root: Path) -> set[str] | None:
    """The topics of topics.json, or of its backup; None where neither can be read."""
    for name in ("topics.json", f"topics.json{_BACKUP}"):
        try:
            return set(TopicConfigSerializeWrapper.decode((root / "config" / name).read_bytes()).topic_config_table)
        except (FileNotFoundError, ValueError, RequestError):
            continue
    return None


def backup(path: Path) -> Path:
    """Where the table before is."""
    return path.with_name(path.name + _BACKUP)


def _look(path: Path) -> Table:
    count, problem = _read(path, path.name)
    return Table(path, count, problem, not _read(backup(path), path.name)[1])


def _read(path: Path, name: str) -> tuple[int | None, str]:
    decode, count = _KNOWN.get(name, (fastjson.parse, None))
    try:
        table = decode(path.read_bytes())
    except FileNotFoundError:
        return None, "is missing"
    except (ValueError, RequestError) as error:
        return None, f"cannot be read: {error}"
    return (None if count is None else count(table)), ""
