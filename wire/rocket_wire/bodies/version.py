"""The version of a table that brokers and name servers compare instead of the table (protocol section 3.7)."""

from __future__ import annotations

from rocket_wire.bodies.body import Body, written
from rocket_wire.headers.numbers import Long


class DataVersion(Body, frozen=True):
    """Equal versions mean equal tables. `timestamp` is in milliseconds since 1970."""

    state_version: Long = written(0)
    timestamp: Long = written(0)
    counter: Long = written(0)

    def next_version(self, now: int, state_version: int = 0) -> DataVersion:
        """The version after a change at `now` (milliseconds). `state_version` is the master's epoch, 0 without one."""
        return DataVersion(state_version, now, self.counter + 1)

    def is_newer_than(self, other: DataVersion) -> bool:
        """Ordered by state version, then counter, then time."""
        return self._rank() > other._rank()

    def _rank(self) -> tuple[int, int, int]:
        return self.state_version, self.counter, self.timestamp
