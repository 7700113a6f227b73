"""Where topics and brokers are, as a name server tells it (protocol section 3.1).

A map by broker id is `{0:"10.0.0.1:10911"}` to clients before 4.9.4, standard JSON to newer ones (section 2.6):
`encode_for` chooses.
"""

from __future__ import annotations

from rocket_wire.bodies.body import Body, written, written_new
from rocket_wire.codes import V4_9_4
from rocket_wire.headers.numbers import Int, Long


class BrokerData(Body, frozen=True):
    """The brokers of one name: addresses by broker id, 0 the master."""

    cluster: str
    broker_name: str
    broker_addrs: dict[Long, str] = written_new(dict)
    zone_name: str | None = None
    enable_acting_master: bool = written(False)


class QueueData(Body, frozen=True):
    """A topic's queues on the brokers of one name. `perm` has bits 4 read, 2 write, 1 inherit."""

    broker_name: str
    read_queue_nums: Int = written(0)
    write_queue_nums: Int = written(0)
    perm: Int = written(0)
    topic_sys_flag: Int = written(0)


class TopicQueueMappingInfo(Body, frozen=True):
    """A static topic's logical queues on one broker: physical queue ids by logical ones."""

    topic: str | None = None
    scope: str = written("__global__")
    total_queues: Int = written(0)
    bname: str | None = None
    epoch: Long = written(0)
    dirty: bool = written(False)
    curr_id_map: dict[Int, Int] = written_new(dict)


class TopicRouteData(Body, frozen=True):
    """GET_ROUTEINFO_BY_TOPIC's answer. `order_topic_conf` is `broker:queues;...` of a globally ordered topic."""

    queue_datas: tuple[QueueData, ...] = written(())
    broker_datas: tuple[BrokerData, ...] = written(())
    filter_server_table: dict[str, tuple[str, ...]] = written_new(dict)
    order_topic_conf: str | None = None
    topic_queue_mapping_by_broker: dict[str, TopicQueueMappingInfo] | None = None

    def encode_for(self, version: int, standard_json_only: bool) -> bytes:
        """In the form that a requester of this version reads; the flag is its header's wish."""
        standard = standard_json_only or version >= V4_9_4
        return self.encode() if standard else self.encode_unquoted()


class ClusterInfo(Body, frozen=True):
    """GET_BROKER_CLUSTER_INFO's answer: brokers by name, broker names by cluster."""

    broker_addr_table: dict[str, BrokerData] = written_new(dict)
    cluster_addr_table: dict[str, frozenset[str]] = written_new(dict)


class TopicList(Body, frozen=True):
    """Names of topics; `broker_addr` only where system topics were asked of a name server."""

    topic_list: frozenset[str] = written(frozenset())
    broker_addr: str | None = None


class BrokerMemberGroup(Body, frozen=True):
    """The brokers of one name: addresses by broker id."""

    cluster: str
    broker_name: str
    broker_addrs: dict[Long, str] = written_new(dict)


class GetBrokerMemberGroupResponseBody(Body, frozen=True):
    """GET_BROKER_MEMBER_GROUP's answer."""

    broker_member_group: BrokerMemberGroup | None = None
