"""Exactly what a processor may touch: the broker's parts, side by side. It decides nothing and owns no task."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rocket_broker.acknowledgement import Acknowledgement
from rocket_broker.arrivals import Arrivals
from rocket_broker.clients import Clients
from rocket_broker.config import LiveConfig
from rocket_broker.groups import ConsumerGroups
from rocket_broker.offsets import ConsumerOffsets
from rocket_broker.queue_locks import QueueLocks
from rocket_broker.registration import Registration
from rocket_broker.replication.link import MasterLink
from rocket_broker.roles import Role
from rocket_broker.saved import Saver
from rocket_broker.stamp import Stamp
from rocket_broker.statistics import Statistics
from rocket_broker.store.store import MessageStore
from rocket_broker.topics import Topics
from rocket_net.connection import Connection
from rocket_wire.message_id import UniqueKeys


@dataclass(slots=True, kw_only=True)
class Broker:
    """A running broker's parts. `now` is a monotonic clock in seconds, `now_ms` the wall clock in milliseconds."""

    config: LiveConfig
    store: MessageStore
    topics: Topics
    groups: ConsumerGroups
    offsets: ConsumerOffsets
    clients: Clients[Connection]
    locks: QueueLocks
    arrivals: Arrivals
    acknowledgement: Acknowledgement
    role: Role
    registration: Registration
    master: MasterLink
    statistics: Statistics
    store_host: bytes
    stamp: Stamp
    unique_keys: UniqueKeys
    now: Callable[[], float]
    now_ms: Callable[[], int]
    topics_saver: Saver
    groups_saver: Saver
    delay_levels: tuple[int, ...]
    delay_offsets: Callable[[], bytes]
    #: Each connected slave's address and the position up to which it has the log, -1 before it said so.
    slaves: Callable[[], Iterable[tuple[str, int]]]
    #: Called after each append: the log grew.
    written: Callable[[], None]
    #: Deletes expired messages now; does not wait for it.
    clean: Callable[[], None]
    #: Called with the level when a delayed message was stored.
    delay_arrived: Callable[[int], None] = lambda level: None
