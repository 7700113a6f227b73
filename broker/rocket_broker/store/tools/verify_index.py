"""Checks the index against the records of the log: the index has their keys, in their order, and nothing else.

Entries come in the order of the log, so both are read side by side. Each slot's chain is followed in memory as it was
made: 4 bytes a slot, of one file at a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from rocket_broker.store.index import BATCH, Pending, keys_of
from rocket_broker.store.index_file import Key
from rocket_broker.store.tools.findings import Findings, Part, Severity
from rocket_broker.store.tools.folder import State, StoreFolder
from rocket_broker.store.tools.index_files import IndexEntry, IndexView, index_paths
from rocket_broker.store.tools.verify_log import LogCheck
from rocket_wire import properties, record

_TRANSACTION: Final = 0xC
_ROLLED_BACK: Final = 0xC
_MAX_SECONDS: Final = 0x7FFFFFFF


class IndexCheck:
    """Is shown every record (`see`), then asked to `finish`. `is_damaged`: it has to be made anew."""

    def __init__(self, store: StoreFolder, log: LogCheck, findings: Findings) -> None:
        self.entries = 0
        self.is_damaged = False
        self._store = store
        self._log = log
        self._findings = findings
        self.files = index_paths(store.root)
        self.is_checked = self._is_checked()
        self._rest = self._entries()
        self._next = next(self._rest, None)
        self._missing = 0
        self._batch: list[Pending] = []

    def _is_checked(self) -> bool:
        """Whether there is one, and a start would rely on it."""
        checkpoint = self._store.checkpoint
        is_off = checkpoint.position is not None and checkpoint.queues >= 0 and not checkpoint.index_file
        return bool(self.files) and not is_off and not checkpoint.is_remaking

    def see(self, message: record.Message) -> None:
        """The log has this record."""
        if self.is_checked and message.sys_flag & _TRANSACTION != _ROLLED_BACK:
            self._batch.append((message.position, message.store_timestamp, message.topic, message.properties))
            if len(self._batch) == BATCH:  # many hashes at once cost much less than one at a time
                self._compare()

    def _compare(self) -> None:
        keys: dict[int, list[Key]] = {position: [] for position, _, _, _ in self._batch}
        for key in keys_of(self._batch):
            keys[key[1]].append(key)
        for waiting in self._batch:
            self._compare_one(waiting, keys[waiting[0]])
        self._batch.clear()

    def _compare_one(self, waiting: Pending, wanted: list[Key]) -> None:
        position = waiting[0]
        self._pass_strays(position)
        found: list[tuple[IndexEntry, int]] = []
        while self._next is not None and self._next[0].position == position:
            found.append(self._next)
            self._next = next(self._rest, None)
        if found:
            if self._missing:
                self._damage("records are not in the index", f"{self._missing} before position {position}")
                self._missing = 0
            if not _are_right(found, wanted, _tag_key(waiting)):
                self._wrong("entries have another key or time than their record", position)
        elif wanted:
            self._missing += 1

    def _pass_strays(self, position: int) -> None:
        """Entries of places before `position` at which no record was read."""
        while self._next is not None and self._next[0].position < position:
            stray = self._next[0].position
            if stray >= self._log.first and not self._log.is_damaged(stray):
                self._wrong("entries are of no record", stray)
            self._next = next(self._rest, None)

    def finish(self) -> None:
        """Says what is missing or too much at the end."""
        if not self.is_checked:
            return
        self._compare()
        if self._missing:
            self._unindexed()
        while self._next is not None:
            position = self._next[0].position
            if self._store.state is not State.RUNNING:
                self._wrong("entries are of records that the log does not have", position)
            self._next = next(self._rest, None)

    def _unindexed(self) -> None:
        if self._store.state is State.CLEAN:
            self._damage("records are not in the index", f"the last {self._missing}", self._missing)
        else:
            self._findings.add(
                Part.INDEX, Severity.UNFINISHED, "records are not in the index yet", count=self._missing
            )  # fmt: skip

    def _wrong(self, what: str, position: int) -> None:
        """An entry that is not right; the newest ones of a broker that was killed are made again by a start."""
        if self._store.state is not State.CLEAN and position >= self._store.trusted:
            self._findings.add(Part.INDEX, Severity.UNFINISHED, what, f"position {position}")
        else:
            self._damage(what, f"position {position}")

    def _damage(self, what: str, example: str, count: int = 1) -> None:
        self.is_damaged = True
        self._findings.add(Part.INDEX, Severity.DAMAGE, what, example, count)

    # -- the files --------------------------------------------------------------------------------------------------

    def _entries(self) -> Iterator[tuple[IndexEntry, int]]:
        """Every entry whose place in its file is right, and from when on its seconds count, ms."""
        if not self.is_checked:
            return
        before: IndexView | None = None
        for path in self.files:
            view = IndexView(path)
            if view.slots:
                entries = self._of_file(view, is_last=path == self.files[-1])
                yield from ((entry, _begin_of(view, entry, number, before)) for number, entry in entries)
                before = view
            elif view.count > 1 or view.size == 0:
                self._damage("files of the index have no shape of an index file", f"{path}: {view.size} bytes")

    def _of_file(self, view: IndexView, *, is_last: bool) -> Iterator[tuple[int, IndexEntry]]:
        """Entries in order, by their number."""
        newest = array("i", bytes(4 * view.slots))
        behind, broken = -1, 0
        held: IndexEntry | None = None  # until the next shows whether it is in order
        for number, entry in enumerate(view.entries(), 1):
            self.entries += 1
            slot = entry.hash % view.slots
            broken += entry.before != newest[slot]
            newest[slot] = number
            if held is not None and held.position <= entry.position and held.position >= behind:
                behind = held.position
                yield number - 1, held
            elif held is not None:
                self._wrong("entries are out of order", held.position)
            held = entry
        if held is not None:
            yield view.count - 1, held
        broken += self._broken_slots(view, newest, is_last=is_last)
        if broken:
            self._chains(view, broken, is_last=is_last)

    def _broken_slots(self, view: IndexView, newest: array[int], *, is_last: bool) -> int:
        """Slots that do not hold their newest entry; of an index that is written to, they may know of later ones."""
        slots = view.newest()
        if slots == newest:
            return 0
        is_open = is_last and self._store.state is not State.CLEAN
        return sum(
            held != known and not (is_open and held >= view.count)
            for held, known in zip(slots, newest, strict=False)
            if held or known
        )

    def _chains(self, view: IndexView, broken: int, *, is_last: bool) -> None:
        what, example = "links between entries of one slot are broken", view.path.name
        if is_last and self._store.state is not State.CLEAN:
            self._findings.add(Part.INDEX, Severity.UNFINISHED, what, example, broken)
        else:
            self._damage(what, example, broken)


def _begin_of(view: IndexView, entry: IndexEntry, number: int, before: IndexView | None) -> int:
    """From when on an entry's seconds count, ms: from its file's begin.

    Apache's broker counts those of a file's first entry from the end of the file before, which may have expired.
    """
    begin: int = view.begin_time
    if number > 1 or not entry.seconds:
        return begin
    return begin - 1000 * entry.seconds if before is None else int(before.end_time)


def _are_right(found: list[tuple[IndexEntry, int]], keys: list[Key], tag: list[Key]) -> bool:
    """Whether entries are the keys, and perhaps the tag; Apache's broker, started after a kill, may say that twice."""
    at = 0
    while at < len(found):
        begin = at
        for wanted, must in ((keys, True), (tag, False)):
            if _begins(found[at:], wanted):
                at += len(wanted)
            elif must:
                return False
        if at == begin:
            return False
    return True


def _begins(found: list[tuple[IndexEntry, int]], keys: list[Key]) -> bool:
    return len(found) >= len(keys) and all(
        entry.hash == key_hash and entry.seconds == min(max(0, timestamp - begin) // 1000, _MAX_SECONDS)
        for (entry, begin), (key_hash, _, timestamp) in zip(found, keys, strict=False)
    )


def _tag_key(waiting: Pending) -> list[Key]:
    """Apache's broker 5.5 has messages found by their tag, too: as `topic#T#tag`, behind the other keys."""
    position, timestamp, topic, content = waiting
    tag = properties.find(content, b"TAGS")
    return [] if tag is None else keys_of([(position, timestamp, topic, b"UNIQ_KEY\x01T#" + tag)])
