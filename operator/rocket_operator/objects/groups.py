"""A group of brokers: where it stands on its way in or out of the cluster.

The state lives in the group's ConfigMap, beside the permission that follows from it: both change in one write, so
whoever is killed at any line leaves no half of it.

    Creating ─► Syncing ─► Active ─► Cordoning ─► Draining ◄─► Verifying ─► Unregistering ─► Removing ─► gone
                              ▲          │            │            │
                              └──────────┴────────────┴────────────┘   the group is wanted again
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from rocket_operator.objects.metadata import QUIET_ANNOTATION, STARTED_ANNOTATION, STATE_ANNOTATION

#: The end of the year 9999: what is later cannot be written as a date.
_LAST_SECOND: Final = 253_402_300_799.0


class State(StrEnum):
    CREATING = "Creating"
    """Its brokers start. Nobody sends to it."""
    SYNCING = "Syncing"
    """It is given the topics and consumer groups of the others. Nobody sends to it."""
    ACTIVE = "Active"
    CORDONING = "Cordoning"
    """Its brokers and the name servers are told that it takes no more messages."""
    DRAINING = "Draining"
    """Its messages are consumed."""
    VERIFYING = "Verifying"
    """Nothing is left to consume; it must stay so for a while."""
    UNREGISTERING = "Unregistering"
    """Its brokers stop, and no name server knows them any more. From here there is no way back."""
    REMOVING = "Removing"
    """Its objects are deleted."""

    @property
    def takes_messages(self) -> bool:
        return self is State.ACTIVE

    @property
    def can_come_back(self) -> bool:
        return self in (State.CORDONING, State.DRAINING, State.VERIFYING)

    @property
    def is_leaving(self) -> bool:
        return self.can_come_back or self in (State.UNREGISTERING, State.REMOVING)


@dataclass(frozen=True, slots=True)
class Group:
    """One group's state. `started` and `quiet_since` are seconds since 1970: when it began to leave, and since when
    nothing was left to consume."""

    index: int
    state: State
    started: float | None = None
    quiet_since: float | None = None

    def annotations(self) -> dict[str, str]:
        found = {STATE_ANNOTATION: self.state.value}
        if self.started is not None:
            found[STARTED_ANNOTATION] = f"{self.started:.3f}"
        if self.quiet_since is not None:
            found[QUIET_ANNOTATION] = f"{self.quiet_since:.3f}"
        return found

    @classmethod
    def read(cls, index: int, config_map: Mapping[str, Any]) -> Group:
        """What a group's ConfigMap says. One without a word of ours is taken for Active: it served before."""
        found = config_map["metadata"].get("annotations") or {}
        word = found.get(STATE_ANNOTATION, "")
        state = State(word) if word in list(State) else State.ACTIVE
        return cls(index, state, _seconds(found.get(STARTED_ANNOTATION)), _seconds(found.get(QUIET_ANNOTATION)))


def _seconds(text: str | None) -> float | None:
    """What an annotation says; None for what is no time: a person may have written it."""
    try:
        found = float(text or "nan")
    except ValueError:
        return None
    return found if 0 <= found <= _LAST_SECOND else None
