"""Headers that a name server answers: brokers, routes, write permission, its key-value store (protocol section 3.1)."""

from __future__ import annotations

from rocket_wire.headers.header import Header
from rocket_wire.headers.numbers import Int, Long


class RegisterBroker(Header, frozen=True):
    """A broker and, in the body (RegisterBrokerBody), its topics. Sent every 30 s and whenever a topic changes.

    `body_crc32` 0 means unchecked. `heartbeat_timeout_millis` None means 120 s.
    """

    broker_name: str
    broker_addr: str
    cluster_name: str
    ha_server_addr: str
    broker_id: Long
    heartbeat_timeout_millis: Long | None = None
    enable_acting_master: bool | None = None
    compressed: bool = False
    body_crc32: Int = 0


class RegisterBrokerAnswer(Header, frozen=True):
    """Where a slave finds its master; both absent while there is none."""

    ha_server_addr: str | None = None
    master_addr: str | None = None


class UnregisterBroker(Header, frozen=True):
    """A broker leaves, and its topics with it."""

    broker_name: str
    broker_addr: str
    cluster_name: str
    broker_id: Long


class BrokerHeartbeat(Header, frozen=True):
    """A broker is alive. The name server refreshes its time and reads no more of this; a controller reads the rest."""

    cluster_name: str
    broker_addr: str
    broker_name: str
    broker_id: Long | None = None
    epoch: Int | None = None
    max_offset: Long | None = None
    confirm_offset: Long | None = None
    heartbeat_timeout_mills: Long | None = None
    election_priority: Int | None = None


class QueryDataVersion(Header, frozen=True):
    """Is the DataVersion in the body the one you have of me? Sent before a registration that may be spared."""

    broker_name: str
    broker_addr: str
    cluster_name: str
    broker_id: Long


class QueryDataVersionAnswer(Header, frozen=True):
    """Whether the name server's version differs; its own is the body."""

    changed: bool


class GetBrokerMemberGroup(Header, frozen=True):
    """The addresses of all brokers of one name."""

    cluster_name: str
    broker_name: str


class GetRouteinfoByTopic(Header, frozen=True):
    """Where a topic's queues are. Answered with a TopicRouteData, in the JSON that `accept_standard_json_only` asks."""

    topic: str
    accept_standard_json_only: bool | None = None


class RegisterTopicInNamesrv(Header, frozen=True):
    """One topic, made known ahead of the next registration. The body is its TopicRouteData."""

    topic: str


class DeleteTopicInNamesrv(Header, frozen=True):
    """Forget a topic, everywhere or only in one cluster."""

    topic: str
    cluster_name: str | None = None


class GetTopicsByCluster(Header, frozen=True):
    """The names of a cluster's topics."""

    cluster: str


class WipeWritePermOfBroker(Header, frozen=True):
    """Let no producer choose this broker any more; consumers go on."""

    broker_name: str


class WipeWritePermOfBrokerAnswer(Header, frozen=True):
    """How many topics were changed."""

    wipe_topic_count: Int


class AddWritePermOfBroker(Header, frozen=True):
    """Undo WipeWritePermOfBroker."""

    broker_name: str


class AddWritePermOfBrokerAnswer(Header, frozen=True):
    """How many topics were changed."""

    add_topic_count: Int


class PutKvConfig(Header, frozen=True):
    """Set one key of a namespace."""

    namespace: str
    key: str
    value: str


class GetKvConfig(Header, frozen=True):
    """Read one key of a namespace."""

    namespace: str
    key: str


class GetKvConfigAnswer(Header, frozen=True):
    """The key's value."""

    value: str | None = None


class DeleteKvConfig(Header, frozen=True):
    """Remove one key of a namespace."""

    namespace: str
    key: str


class GetKvlistByNamespace(Header, frozen=True):
    """All keys of a namespace. Answered with a KVTable."""

    namespace: str
