"""Where a group's lease is kept: one record that is changed by compare-and-set only (design section 6).

Two makers: a folder for one machine (file_lease.py), and a Kubernetes Lease (kubernetes_lease.py).
"""

from __future__ import annotations

from typing import Protocol

from rocket_broker.failover.member import Lease


class LeaseUnavailable(Exception):
    """The lease can be neither read nor changed, or nobody knows whether a change was carried out. Says why."""


class LeaseStore(Protocol):
    """The record of one group. Everybody who has the same record sees the same order of changes."""

    async def read(self) -> Lease:
        """The lease as it is; an empty one where none was ever written. Raises LeaseUnavailable."""

    async def write(self, lease: Lease, after: Lease) -> Lease | None:
        """Records `lease` if `after`, as it was read or written, still stands; returns it as it stands then.

        None where somebody else changed it in between. Raises LeaseUnavailable; then it may be carried out later.
        """

    async def close(self) -> None:
        """Gives back what it holds."""
