"""What a member may do at this moment. Processors ask; who knows is the role, fixed by the file or held by a lease."""

from __future__ import annotations

from typing import Protocol

from rocket_broker.arrivals import Arrivals
from rocket_broker.config import LiveConfig
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError


class Role(Protocol):
    """A member's role. The checks raise RequestError where it may not."""

    def check_write(self) -> None:
        """Whether it may store what a client sends."""

    def check_serve(self) -> None:
        """Whether it may answer reads, and give queues to consumers."""

    def arrived(self, topic: str, queue_id: int, offset: int, tags_code: int, end: int) -> None:
        """A message was stored; the log goes up to `end`. Wakes who waits for it, when it may be read."""

    async def hand_over(self, to: str) -> None:
        """Lets the member `to` lead, or whichever is quickest where it is empty."""


class FixedRole:
    """The role that the properties file says, for good."""

    def __init__(self, config: LiveConfig, arrivals: Arrivals) -> None:
        self._config = config
        self._arrivals = arrivals

    def check_write(self) -> None:
        if not self._config.settings.is_master:
            raise no_master()

    def check_serve(self) -> None:
        """A slave serves readers as well."""

    def arrived(self, topic: str, queue_id: int, offset: int, tags_code: int, end: int) -> None:
        """It may be read at once."""
        self._arrivals.notify(topic, queue_id, offset, tags_code)

    async def hand_over(self, to: str) -> None:
        raise RequestError(ResponseCode.SYSTEM_ERROR, "this group's roles are fixed by its brokers' files")


def no_master() -> RequestError:
    """What a slave answers to a send; clients try another broker."""
    return RequestError(ResponseCode.SYSTEM_BUSY, "[REJECTREQUEST] this broker is a slave: send to its master")
