"""A member whose role a lease decides: the parts of this folder put together, as the broker's other parts see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from rocket_broker.arrivals import Arrivals
from rocket_broker.config import LiveConfig
from rocket_broker.failover.confirmation import Confirmation
from rocket_broker.failover.driver import Driver, Duties, now
from rocket_broker.failover.epochs import Epochs
from rocket_broker.failover.file_lease import FileLease
from rocket_broker.failover.follower import Follower
from rocket_broker.failover.kubernetes_lease import KubernetesLease
from rocket_broker.failover.leader import Leader
from rocket_broker.failover.lease import LeaseStore
from rocket_broker.failover.member import Member, Timing
from rocket_broker.replication.link import MasterLink
from rocket_broker.roles import no_master
from rocket_broker.settings import BrokerRole, BrokerSettings
from rocket_broker.store.store import Arrival, MessageStore
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError

_LEAVE_SECONDS: Final = 5.0
#: What leaseStore says of a group in Kubernetes.
KUBERNETES: Final = "kubernetes"


class Failover:
    """One member of a group. It starts as a slave, whatever it was; `driver.run` makes more of it.

    `log_grew` is called when the master's log was taken, `fatal` ends the process with one line.
    """

    def __init__(
        self, config: LiveConfig, store: MessageStore, link: MasterLink, arrivals: Arrivals,
        log_grew: Callable[[], None], cut: Callable[[int, Counter[int]], None], fatal: Callable[[str], None],
        duties: Duties,
    ) -> None:  # fmt: skip
        settings = config.settings
        self.ordinal: Final = settings.broker_id
        self.master_role: Final = settings.broker_role
        self.epochs = Epochs(settings.root)
        self.epochs.end_at(store.max_position)
        store.readable_end = 0
        self._config = config
        self._cut = cut
        self.member = Member(config.node, timing(settings), self.epochs.newest)
        self.confirmation = Confirmation(config, self.member, store, arrivals, now)
        self.leader = Leader(config, store, self.epochs, self.member, self._progress)
        self.follower = Follower(
            config, store, link, log_grew, fatal, self.member, self.epochs, self.slave_id,
            self._was_cut, self.confirmation.show, lambda: self.driver.wake(),
        )  # fmt: skip
        self.driver = Driver(
            config, lease_store(config), self.member, store, self.epochs, self.leader, self.confirmation, link,
            duties,
        )  # fmt: skip
        config.become(BrokerRole.SLAVE, self.slave_id)

    @property
    def slave_id(self) -> int:
        """The brokerId as a slave: 0 is the master's, whoever that is."""
        return self.ordinal + 1

    def positions(self) -> Iterable[tuple[str, int]]:
        """Each follower's address and how far it has the log."""
        return [(follower.peer, follower.acknowledged) for follower in self.leader.followers.values()]

    def written(self) -> None:
        """The log grew."""
        self.leader.written()
        if len(self.member.needed()) == 1:
            self.confirmation.advance()

    async def hand_over(self, to: str) -> None:
        await self.driver.hand_over(to, self._patience)

    async def leave(self) -> None:
        """The process is about to stop."""
        await self.driver.leave(self._patience)
        await self.driver.close()

    @property
    def _patience(self) -> float:
        """How long others may take to have everything: not so long that the lease, which rests meanwhile, is lost."""
        return min(_LEAVE_SECONDS, self._config.settings.lease_renew_deadline / 2000)

    def _progress(self) -> None:
        self.driver.progress.set()
        self.confirmation.advance()
        if self.member.is_master and self.leader.wanted_set(now()) - self.member.sync_set:
            self.driver.wake()

    def _was_cut(self, position: int, delivered: Counter[int]) -> None:
        self.confirmation.cut(position)
        self._cut(position, delivered)

    # -- the role ---------------------------------------------------------------------------------------------------

    def check_write(self) -> None:
        member = self.member
        if not member.is_master or self.driver.is_leaving:
            raise no_master()
        if not member.acts(now()):
            remark = "this master could not renew its lease in time: another one may lead by now"
            raise RequestError(ResponseCode.SERVICE_NOT_AVAILABLE, remark)
        if not self.confirmation.is_enough:
            least = self._config.settings.min_in_sync_replicas
            remark = f"in-sync replicas not enough: {len(member.sync_set)} of minInSyncReplicas={least}"
            raise RequestError(ResponseCode.SYSTEM_ERROR, remark)

    def check_serve(self) -> None:
        if self.member.is_master and not self.member.acts(now()):
            remark = "this master could not renew its lease in time: another one may lead by now"
            raise RequestError(ResponseCode.SYSTEM_BUSY, remark)

    def arrived(self, topic: str, queue_id: int, offset: int, tags_code: int, end: int) -> None:
        self.confirmation.arrived(Arrival(topic, queue_id, offset, tags_code, end))


def timing(settings: BrokerSettings) -> Timing:
    """The lease's times. Raises ValueError where they cannot keep two masters apart."""
    return Timing(
        lease=settings.lease_duration / 1000,
        renew=settings.lease_renew_deadline / 1000,
        retry=settings.lease_retry_period / 1000,
    )


def lease_store(config: LiveConfig) -> LeaseStore:
    """Where the group's lease is."""
    settings = config.settings
    if settings.lease_store == KUBERNETES:
        return KubernetesLease(settings.broker_name, settings.lease_duration / 1000)
    return FileLease(Path(settings.lease_store.removeprefix("file:")), config.node)
