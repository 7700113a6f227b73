"""How far each consumer group has come in each queue, kept in consumerOffset.json (protocol section 4.8).

An offset is the next message that the group will consume. Commits only change memory; whoever owns this table saves it
every few seconds, so a crash repeats some messages and loses none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rocket_wire.bodies.offsets import ConsumerOffsetSerializeWrapper
from rocket_wire.bodies.version import DataVersion

_SEPARATOR: Final = "@"


class ConsumerOffsets:
    """Offsets by `topic@group` and queue id."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.table: dict[str, dict[int, int]] = {}
        self.version = DataVersion()
        self.changed = False
        self._now_ms = now_ms
        self._resets: dict[tuple[str, int], int] = {}

    def commit(self, group: str, topic: str, queue_id: int, offset: int) -> None:
        """Records the group's next offset, unless an administrator's reset is still on its way to the consumer."""
        key = f"{topic}{_SEPARATOR}{group}"
        if self._resets and (key, queue_id) in self._resets:
            return
        self._set(key, queue_id, offset)

    def reset(self, group: str, topic: str, queue_id: int, offset: int) -> None:
        """Sets the group's next offset against what its consumers commit; their next pull takes it (`take_reset`)."""
        key = f"{topic}{_SEPARATOR}{group}"
        self._resets[key, queue_id] = offset
        self._set(key, queue_id, offset)

    def take_reset(self, group: str, topic: str, queue_id: int) -> int | None:
        """The offset that a consumer has to be told, once; None where it may go on."""
        return self._resets.pop((f"{topic}{_SEPARATOR}{group}", queue_id), None) if self._resets else None

    def _set(self, key: str, queue_id: int, offset: int) -> None:
        queues = self.table.get(key)
        if queues is None:
            queues = self.table[key] = {}
        queues[queue_id] = offset
        self.changed = True

    def query(self, group: str, topic: str, queue_id: int) -> int | None:
        """The group's next offset, None where it has none."""
        queues = self.table.get(f"{topic}{_SEPARATOR}{group}")
        return None if queues is None else queues.get(queue_id)

    def topics_of(self, group: str) -> list[str]:
        """Topics in which the group has an offset."""
        suffix = _SEPARATOR + group
        return [key.removesuffix(suffix) for key in self.table if key.endswith(suffix)]

    def groups_of(self, topic: str) -> list[str]:
        """Groups that have an offset in the topic."""
        prefix = topic + _SEPARATOR
        return [key.removeprefix(prefix) for key in self.table if key.startswith(prefix)]

    def delete_group(self, group: str) -> None:
        """Forgets all that a group consumed."""
        self._drop([f"{topic}{_SEPARATOR}{group}" for topic in self.topics_of(group)])

    def delete_topic(self, topic: str) -> None:
        """Forgets what anybody consumed of a topic."""
        self._drop([f"{topic}{_SEPARATOR}{group}" for group in self.groups_of(topic)])

    def wrapper(self) -> ConsumerOffsetSerializeWrapper:
        """The table as it is saved and as slaves fetch it."""
        if self.changed:
            self.version = self.version.next_version(self._now_ms())
        return ConsumerOffsetSerializeWrapper(offset_table=self.table, data_version=self.version)

    def encode(self) -> bytes:
        """consumerOffset.json, queue ids unquoted as Apache's."""
        content = self.wrapper().encode_unquoted()
        self.changed = False
        return content

    def restore(self, saved: ConsumerOffsetSerializeWrapper) -> None:
        """Takes over a saved or fetched table."""
        self.table = {key: dict(queues) for key, queues in saved.offset_table.items()}
        self.version = saved.data_version or DataVersion()
        self.changed = True

    def _drop(self, keys: list[str]) -> None:
        for key in keys:
            self.table.pop(key, None)
            self.changed = True
