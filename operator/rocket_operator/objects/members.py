"""Who belongs to a cluster, and what everybody is called.

    orders-namesrv-1       name server 1
    orders-broker-0        group 0: the brokerName that clients see
    orders-broker-0-2      its member with ordinal 2

The same names are used for processes, folders and pods, and on the wire.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a member starts as. The order is that in which a cluster starts; it stops in the reverse order."""

    NAME_SERVER = "name server"
    MASTER = "master"
    SLAVE = "slave"


ROLES_IN_START_ORDER = tuple(Role)

_NAME = re.compile(r"(?P<cluster>.+)-(?:namesrv-(?P<server>\d+)|broker-(?P<group>\d+)-(?P<ordinal>\d+))")


@dataclass(frozen=True, slots=True)
class Member:
    """One name server or broker of a cluster. A name server has no group."""

    cluster: str
    group: int | None
    ordinal: int

    @property
    def name(self) -> str:
        if self.group is None:
            return f"{self.cluster}-namesrv-{self.ordinal}"
        return f"{self.broker_name}-{self.ordinal}"

    @property
    def broker_name(self) -> str:
        """The name that a group's members share."""
        return f"{self.cluster}-broker-{self.group}"

    @property
    def role(self) -> Role:
        if self.group is None:
            return Role.NAME_SERVER
        return Role.MASTER if self.ordinal == 0 else Role.SLAVE

    @property
    def start_rank(self) -> tuple[int, int, int]:
        """Sorts members in the order they start: name servers, masters, slaves; low groups and ordinals first."""
        return ROLES_IN_START_ORDER.index(self.role), -1 if self.group is None else self.group, self.ordinal

    def master(self) -> Member:
        """The member that a broker's group starts with as its master."""
        return Member(self.cluster, self.group, 0)

    @classmethod
    def parse(cls, name: str) -> Member | None:
        """The member that has this name; None when it is no member's name."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        if found["server"] is not None:
            return cls(found["cluster"], None, int(found["server"]))
        return cls(found["cluster"], int(found["group"]), int(found["ordinal"]))
