"""Which brokers live, and which topics have queues on them (protocol sections 3.1, 3.7). No network, no clock.

    brokerName ─ group ─ broker id ─ address     the brokers that share a name; id 0 is the master
    address ─ live broker                        when it was last heard, on which connection, its data version
    topic ─ brokerName ─ queues                  as the group's master last registered them

An address stands in one group under one id, and is live, or it is not here at all. Nothing is kept on disk: brokers
tell it all again every 30 s. A registration of one topic is an increment and is merged; a topic goes only when it is
deleted or its last group leaves.

`now` is in milliseconds of any clock that never goes back. A connection is any object: it is only compared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Final, NamedTuple

import msgspec

from rocket_namesrv import route_view
from rocket_namesrv.route_view import MASTER_ID, READ, WRITE
from rocket_wire.bodies.registration import RegisterBrokerBody
from rocket_wire.bodies.route import (
    BrokerData,
    BrokerMemberGroup,
    ClusterInfo,
    QueueData,
    TopicQueueMappingInfo,
    TopicRouteData,
)
from rocket_wire.bodies.topics import TopicConfig
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError
from rocket_wire.headers.routes import RegisterBroker, RegisterBrokerAnswer, UnregisterBroker

DEFAULT_TIMEOUT_MILLIS: Final = 120_000
"""A broker that is not heard for so long is dropped, unless its registration says otherwise."""


class Registration(NamedTuple):
    """What a broker sent, and over which connection. `zone` is where it stands, if it says so."""

    header: RegisterBroker
    body: RegisterBrokerBody
    connection: Hashable
    zone: str | None = None


class Registered(NamedTuple):
    """What became of a registration. `is_accepted` is False when another broker holds this id with a newer state;
    `displaced` is the address of one that held it until now."""

    answer: RegisterBrokerAnswer
    is_accepted: bool = True
    is_new: bool = False
    changed_topics: int = 0
    displaced: str | None = None


class Gone(NamedTuple):
    """A broker that was dropped, and the connection that it registered over."""

    cluster: str
    address: str
    connection: Hashable


class _Group(msgspec.Struct):
    cluster: str
    name: str
    addresses: dict[int, str]
    zone: str | None = None
    has_acting_master: bool = False

    @property
    def has_master(self) -> bool:
        return MASTER_ID in self.addresses

    def view(self) -> BrokerData:
        addresses = dict(sorted(self.addresses.items()))
        return BrokerData(self.cluster, self.name, addresses, self.zone, self.has_acting_master)


class _Live(msgspec.Struct):
    cluster: str
    name: str
    heard_at: int
    timeout_millis: int
    version: DataVersion
    connection: Hashable
    ha_address: str
    filter_servers: tuple[str, ...] = ()


class RouteTable:
    """All that a name server knows. Every method returns at once and leaves the table whole."""

    def __init__(self) -> None:
        self._groups: dict[str, _Group] = {}
        self._live: dict[str, _Live] = {}
        self._topics: dict[str, dict[str, QueueData]] = {}
        self._mappings: dict[str, dict[str, TopicQueueMappingInfo]] = {}

    # -- brokers come and go -------------------------------------------------------------------------------------

    def register(self, registration: Registration, now: int, delete_unlisted: bool = False) -> Registered:
        """Enters a broker and its topics. `delete_unlisted` drops topics of its group that it no longer lists.

        A single topic is an increment, told as soon as it changes: it says nothing of the others. Raises RequestError
        when it comes from a broker that is not known yet: this name server never had what it adds to.
        """
        header, wrapper = registration.header, registration.body.topic_config_serialize_wrapper
        address, version = header.broker_addr, wrapper.data_version
        holder = self._address(header.broker_name, header.broker_id)
        if (
            holder is not None
            and holder != address
            and self._live[holder].version.state_version > version.state_version
        ):
            self._forget(address)
            return Registered(RegisterBrokerAnswer(), is_accepted=False)
        is_increment = len(wrapper.topic_config_table) == 1
        if holder is None and is_increment:
            broker = f"{header.broker_name}[{header.broker_id}] at {header.broker_addr}"
            remark = f"register broker failed: {broker} must register all its topics before a single one"
            raise RequestError(ResponseCode.SYSTEM_ERROR, remark)
        group = self._enter(registration)
        before = self._live.get(address)
        is_changed = holder is None or before is None or before.version != version
        changed_topics = 0
        if _speaks_for_topics(group, header):
            changed_topics = self._merge(group, registration, is_changed, delete_unlisted and not is_increment)
        self._live[address] = _live(registration, now)
        displaced = holder if holder != address else None
        return Registered(self._master_of(group, header), True, before is None, changed_topics, displaced)

    def unregister(self, header: UnregisterBroker) -> bool:
        """Drops a broker; with the last of its group go its topics. False if it was not known."""
        live = self._live.get(header.broker_addr)
        if live is None or live.name != header.broker_name:
            return False
        self._forget(header.broker_addr)
        return True

    def heartbeat(self, address: str, now: int) -> bool:
        """Notes that a broker lives. False if it is not known."""
        live = self._live.get(address)
        if live is not None:
            live.heard_at = now
        return live is not None

    def disconnect(self, connection: Hashable) -> list[Gone]:
        """Drops the brokers whose last registration came over this connection."""
        return self._drop([address for address, live in self._live.items() if live.connection is connection])

    def expire(self, now: int) -> list[Gone]:
        """Drops the brokers that were silent for longer than they promised."""
        silent = [address for address, live in self._live.items() if live.heard_at + live.timeout_millis < now]
        return self._drop(silent)

    def version(self, address: str) -> DataVersion | None:
        """The data version that a broker last registered; None if it is not known."""
        live = self._live.get(address)
        return live.version if live is not None else None

    def member_group(self, cluster: str, name: str) -> BrokerMemberGroup:
        """The brokers of one name; without addresses if there are none."""
        group = self._groups.get(name)
        return BrokerMemberGroup(cluster, name, group.view().broker_addrs if group is not None else {})

    def cluster_info(self) -> ClusterInfo:
        """All brokers by name, all names by cluster."""
        brokers = {name: group.view() for name, group in sorted(self._groups.items())}
        return ClusterInfo(brokers, {cluster: frozenset(names) for cluster, names in self._clusters().items()})

    def has_master(self, name: str) -> bool:
        """Whether a master has registered under this broker name."""
        group = self._groups.get(name)
        return group is not None and group.has_master

    def broker_counts(self) -> dict[str, int]:
        """Live brokers by cluster."""
        counts: dict[str, int] = {}
        for live in self._live.values():
            counts[live.cluster] = counts.get(live.cluster, 0) + 1
        return counts

    # -- topics --------------------------------------------------------------------------------------------------

    def lookup(self, topic: str, acting_master: bool = False) -> TopicRouteData | None:
        """Where a topic's queues are; None if nobody has it. `acting_master` shows the least slave of a group
        without a master as its master, read-only."""
        queues = self._topics.get(topic, {})
        groups = [self._groups[name] for name in sorted(queues) if name in self._groups]
        if not groups:
            return None
        route = TopicRouteData(
            tuple([queues[name] for name in sorted(queues)]),
            tuple([group.view() for group in groups]),
            self._filter_servers(groups),
            topic_queue_mapping_by_broker=self._mappings.get(topic),
        )
        return route_view.with_acting_masters(route, topic) if acting_master else route

    def register_topic(self, topic: str, queues: Iterable[QueueData]) -> bool:
        """Enters one topic on some groups, all or nothing. False if a group is not known."""
        entered = {data.broker_name: data for data in queues}
        if not entered.keys() <= self._groups.keys():
            return False
        if entered:
            self._topics.setdefault(topic, {}).update(entered)
        return True

    def delete_topic(self, topic: str, cluster: str | None = None) -> None:
        """Forgets a topic, everywhere or on the groups of one cluster. Unknown ones are no error."""
        names = list(self._topics.get(topic, {}))
        for name in names:
            if cluster is None or (name in self._groups and self._groups[name].cluster == cluster):
                self._remove_queues(topic, name)

    def wipe_write_permission(self, name: str) -> int:
        """Hides a group from producers. The number of topics it has."""
        return self._set_permissions(name, lambda perm: perm & ~WRITE)

    def add_write_permission(self, name: str) -> int:
        """Shows a group to producers again. The number of topics it has."""
        return self._set_permissions(name, lambda _: READ | WRITE)

    def topics(self) -> Collection[str]:
        """All topics."""
        return self._topics.keys()

    def topics_of_cluster(self, cluster: str) -> set[str]:
        """Topics with queues in a cluster; none if it is not known."""
        names = self._clusters().get(cluster, set())
        return {topic for topic, queues in self._topics.items() if not names.isdisjoint(queues)}

    def topics_of_unit(self, has: int, lacks: int = 0) -> set[str]:
        """Topics whose topicSysFlag has these bits and lacks those."""
        return {
            topic
            for topic, queues in self._topics.items()
            if any(data.topic_sys_flag & (has | lacks) == has for data in queues.values())
        }

    def system_names(self) -> set[str]:
        """What Java calls the system topics of a name server: the names of clusters and groups."""
        return self._clusters().keys() | self._groups.keys()

    def any_address(self) -> str | None:
        """The address of one broker, the master of its group if it has one."""
        return next(
            (address for group in self._groups.values() for address in group.view().broker_addrs.values()), None
        )

    # -- registering ---------------------------------------------------------------------------------------------

    def _address(self, name: str, broker_id: int) -> str | None:
        group = self._groups.get(name)
        return group.addresses.get(broker_id) if group is not None else None

    def _enter(self, registration: Registration) -> _Group:
        header, address = registration.header, registration.header.broker_addr
        before = self._live.get(address)
        if before is not None and (before.cluster, before.name) != (header.cluster_name, header.broker_name):
            self._forget(address)  # another broker has got the address of one that never said goodbye
        group = self._groups.setdefault(header.broker_name, _Group(header.cluster_name, header.broker_name, {}))
        group.has_acting_master = bool(header.enable_acting_master)
        group.zone = registration.zone
        # A broker that changes role comes back with another id.
        group.addresses = {broker_id: other for broker_id, other in group.addresses.items() if other != address}
        displaced = group.addresses.get(header.broker_id)
        if displaced is not None:
            del self._live[displaced]
        group.addresses[header.broker_id] = address
        return group

    def _merge(self, group: _Group, registration: Registration, is_changed: bool, delete_unlisted: bool) -> int:
        """Takes over the topics of a registration. How many were added or changed."""
        wrapper = registration.body.topic_config_serialize_wrapper
        listed = {config.topic_name: config for config in wrapper.topic_config_table.values()}
        if delete_unlisted and not wrapper.topic_queue_mapping_info_map:
            for topic in self._topics_of(group.name):
                if topic not in listed:
                    self._remove_queues(topic, group.name)
        changed = 0
        is_read_only = group.has_acting_master and registration.header.broker_id != MASTER_ID
        for topic, config in listed.items():
            queues = self._topics.setdefault(topic, {})
            if is_changed or group.name not in queues:
                entered = _queues(group.name, config, is_read_only)
                changed += queues.get(group.name) != entered
                queues[group.name] = entered
        if is_changed:
            for topic, mapping in wrapper.topic_queue_mapping_info_map.items():
                self._mappings.setdefault(topic, {})[mapping.bname or group.name] = mapping
        return changed

    def _master_of(self, group: _Group, header: RegisterBroker) -> RegisterBrokerAnswer:
        """For a slave, where its master is."""
        address = group.addresses.get(MASTER_ID)
        if header.broker_id == MASTER_ID or address is None:
            return RegisterBrokerAnswer()
        return RegisterBrokerAnswer(self._live[address].ha_address, address)

    # -- leaving -------------------------------------------------------------------------------------------------

    def _drop(self, addresses: Iterable[str]) -> list[Gone]:
        gone = []
        for address in addresses:
            live = self._live[address]
            self._forget(address)
            gone.append(Gone(live.cluster, address, live.connection))
        return gone

    def _forget(self, address: str) -> None:
        """Drops a broker, and its group's topics with the last of them. An unknown one is no error."""
        live = self._live.pop(address, None)
        if live is None:
            return
        group = self._groups[live.name]
        group.addresses = {broker_id: other for broker_id, other in group.addresses.items() if other != address}
        if not group.addresses:
            del self._groups[live.name]
            for topic in self._topics_of(live.name):
                self._remove_queues(topic, live.name)
        elif group.has_acting_master and not group.has_master:
            self.wipe_write_permission(live.name)

    def _topics_of(self, name: str) -> list[str]:
        return [topic for topic, queues in self._topics.items() if name in queues]

    def _remove_queues(self, topic: str, name: str) -> None:
        for table in (self._topics, self._mappings):
            table.get(topic, {}).pop(name, None)
            if not table.get(topic):
                table.pop(topic, None)

    # -- views ---------------------------------------------------------------------------------------------------

    def _clusters(self) -> dict[str, set[str]]:
        clusters: dict[str, set[str]] = {}
        for name, group in self._groups.items():
            clusters.setdefault(group.cluster, set()).add(name)
        return clusters

    def _filter_servers(self, groups: Iterable[_Group]) -> dict[str, tuple[str, ...]]:
        found = {}
        for group in groups:
            for address in group.addresses.values():
                if self._live[address].filter_servers:
                    found[address] = self._live[address].filter_servers
        return found

    def _set_permissions(self, name: str, change: Callable[[int], int]) -> int:
        count = 0
        for queues in self._topics.values():
            if name in queues:
                queues[name] = msgspec.structs.replace(queues[name], perm=change(queues[name].perm))
                count += 1
        return count


def _speaks_for_topics(group: _Group, header: RegisterBroker) -> bool:
    """A master does, and from 5.x on the slave of the least id while there is no master."""
    is_new_kind = header.enable_acting_master is not None
    return header.broker_id == MASTER_ID or (is_new_kind and header.broker_id == min(group.addresses))


def _live(registration: Registration, now: int) -> _Live:
    header, body = registration.header, registration.body
    timeout = header.heartbeat_timeout_millis
    return _Live(
        header.cluster_name,
        header.broker_name,
        now,
        DEFAULT_TIMEOUT_MILLIS if timeout is None else timeout,
        body.topic_config_serialize_wrapper.data_version,
        registration.connection,
        header.ha_server_addr,
        body.filter_server_list,
    )


def _queues(name: str, config: TopicConfig, is_read_only: bool) -> QueueData:
    perm = config.perm & ~WRITE if is_read_only else config.perm
    return QueueData(name, config.read_queue_nums, config.write_queue_nums, perm, config.topic_sys_flag)
