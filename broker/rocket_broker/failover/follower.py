"""A slave's side of the auto-switch stream: drops what its master does not have (rule *truncate*), takes its log."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from rocket_broker.config import LiveConfig
from rocket_broker.delay import deliveries
from rocket_broker.failover import stream
from rocket_broker.failover.epochs import Epochs
from rocket_broker.failover.member import Member
from rocket_broker.failover.stream import FromMaster, MasterReader, State
from rocket_broker.replication.link import MasterLink
from rocket_broker.replication.slave import Slave
from rocket_broker.store.store import MessageStore
from rocket_wire.errors import ProtocolError

log = logging.getLogger("rocket.replication")


class Follower(Slave):
    """Follows whichever master `link` names, as the member `broker_id`.

    `cut` is called when the log was cut, with the position and how many delivered delayed messages of each level went;
    `confirmed` with what the master says of its sync set, `lost` when the connection to the master ended.
    """

    def __init__(
        self, config: LiveConfig, store: MessageStore, link: MasterLink, arrived: Callable[[], None],
        fatal: Callable[[str], None], member: Member, epochs: Epochs, broker_id: int,
        cut: Callable[[int, Counter[int]], None], confirmed: Callable[[int], None], lost: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(config, store, link, arrived, fatal)
        self._member = member
        self._epochs = epochs
        self._broker_id = broker_id
        self._cut = cut
        self._confirmed = confirmed
        self._lost = lost
        self._frames = MasterReader()
        self._epoch: int | None = None

    def lost(self) -> None:
        self._lost()

    def greeting(self) -> bytes:
        self._frames = MasterReader()
        self._epoch = None
        return stream.hello(self._broker_id)

    def received(self, data: bytes) -> bytes:
        answers = []
        for frame in self._frames.feed(data):
            if frame.state is State.HANDSHAKE:
                self._agree(frame)
            elif self._epoch is None or frame.epoch > self._epoch or self._epoch != self._member.epoch:
                raise ProtocolError(f"a frame of epoch {frame.epoch} from a master of epoch {self._epoch}")
            elif frame.state is State.ASK:
                answers.append(self._promise(frame))
            else:
                self._take_log(frame)
            self._confirmed(min(frame.confirmed, self.store.max_position))
        return b"".join((*answers, stream.report(self.store.max_position)))

    def _agree(self, frame: FromMaster) -> None:
        """Makes the own log one that the master's continues."""
        if frame.epoch < self._member.epoch:
            raise ProtocolError(f"it is a master of epoch {frame.epoch}, and there was epoch {self._member.epoch}")
        theirs, own_end = frame.epochs(), self.store.max_position
        end = self._epochs.consistent_end(own_end, theirs, frame.position)
        if end < self.store.readable_end:
            raise ProtocolError(
                f"its log and this one part at position {end}, but up to {self.store.readable_end} every member of the "
                "sync set had this log: one of both is not this group's, or lost its disk; look at both before you "
                "empty a store directory"
            )
        if end < own_end:
            log.warning("the log is cut at position %d of %d: master has no more of it", end, own_end)
            gone = deliveries(self.store.records(end))
            try:
                self.store.truncate(end)
            except OSError as error:
                self._fatal(f"the log cannot be cut at {end} ({error}): stopping, so that nothing wrong is followed")
                raise
            self._cut(end, gone)
        self._epochs.follow(theirs, end)
        if not self._member.follows(frame.epoch):
            raise ProtocolError(f"epoch {frame.epoch} is not followed: this member leads it, or knows a newer one")
        self._epoch = frame.epoch

    def _take_log(self, frame: FromMaster) -> None:
        if frame.content:
            self._epochs.reach(frame.epoch, frame.epoch_begin)
        self.append(frame.position, frame.content)

    def _promise(self, frame: FromMaster) -> bytes:
        now = asyncio.get_running_loop().time()
        return stream.promise(frame.position) if self._member.promises(frame.epoch, now) else b""
