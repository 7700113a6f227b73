"""A route as one asker should see it: with an acting master, or of one zone only. Pure functions of a route."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from rocket_wire.bodies.route import BrokerData, TopicRouteData

MASTER_ID: Final = 0
READ: Final = 4
WRITE: Final = 2
_UNCHANGED_TOPICS: Final = "rmq_sys_SYNC_BROKER_MEMBER_"
"""Through these topics the members of a group find each other: they must see who is really there."""


def with_acting_masters(route: TopicRouteData, topic: str) -> TopicRouteData:
    """The least slave stands as master where a group that allows it has none, and its queues are read-only."""
    if topic.startswith(_UNCHANGED_TOPICS):
        return route
    read_only = {queues.broker_name for queues in route.queue_datas if not queues.perm & WRITE}
    return replace(route, broker_datas=tuple([_acting(broker, read_only) for broker in route.broker_datas]))


def _acting(broker: BrokerData, read_only: set[str]) -> BrokerData:
    has_master = MASTER_ID in broker.broker_addrs
    if has_master or not broker.enable_acting_master or broker.broker_name not in read_only or not broker.broker_addrs:
        return broker
    addresses = dict(broker.broker_addrs)
    acting = addresses.pop(min(addresses))
    return replace(broker, broker_addrs={MASTER_ID: acting, **addresses})


def in_zone(route: TopicRouteData, zone: str) -> TopicRouteData:
    """Only groups of this zone, and those without a master: to read from a slave, no way is too far."""
    kept = tuple([broker for broker in route.broker_datas if _is_near(broker, zone)])
    removed = {broker.broker_name for broker in route.broker_datas} - {broker.broker_name for broker in kept}
    far = {
        address
        for broker in route.broker_datas
        if broker.broker_name in removed
        for address in broker.broker_addrs.values()
    }
    queues = tuple([data for data in route.queue_datas if data.broker_name not in removed])
    filter_servers = {address: names for address, names in route.filter_server_table.items() if address not in far}
    return replace(route, broker_datas=kept, queue_datas=queues, filter_server_table=filter_servers)


def _is_near(broker: BrokerData, zone: str) -> bool:
    return MASTER_ID not in broker.broker_addrs or (broker.zone_name or "").lower() == zone.lower()
