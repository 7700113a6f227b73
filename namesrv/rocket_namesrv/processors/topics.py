"""Requests about topics: one is entered or forgotten, tools list them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from rocket_namesrv.parts import Parts
from rocket_net.connection import Connection
from rocket_wire.bodies.route import TopicList, TopicRouteData
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.headers.routes import DeleteTopicInNamesrv, GetTopicsByCluster, RegisterTopicInNamesrv

log = logging.getLogger("rocket.namesrv")

UNIT: Final = 1
UNIT_SUBSCRIBED: Final = 2
"""Bits of a topic's topicSysFlag: it belongs to a unit; it is subscribed to by one."""


def register_topic_in_namesrv(
    parts: Parts, header: RegisterTopicInNamesrv, request: Command, connection: Connection
) -> Command:
    """Enters one topic ahead of its broker's next registration."""
    route = TopicRouteData.decode(request.body) if request.body else TopicRouteData()
    if not parts.routes.register_topic(header.topic, route.queue_datas):
        names = ", ".join(queues.broker_name for queues in route.queue_datas)
        log.warning("topic %s from %s not entered: not all of %s are known", header.topic, connection.peer, names)
    return request.reply()


def delete_topic_in_namesrv(
    parts: Parts, header: DeleteTopicInNamesrv, request: Command, connection: Connection
) -> Command:
    """Forgets a topic, until a broker registers it anew."""
    parts.routes.delete_topic(header.topic, header.cluster_name or None)
    log.info("%s deleted topic %s of cluster %s", connection.peer, header.topic, header.cluster_name or "(all)")
    return request.reply()


def get_all_topic_list_from_nameserver(parts: Parts, request: Command, connection: Connection) -> Command:
    """The names of all topics."""
    return _list(request, parts.routes.topics(), parts.settings.current.enable_all_topic_list)


def get_topics_by_cluster(
    parts: Parts, header: GetTopicsByCluster, request: Command, connection: Connection
) -> Command:
    """The names of a cluster's topics."""
    return _list(request, parts.routes.topics_of_cluster(header.cluster), parts.settings.current.enable_topic_list)


def get_system_topic_list_from_ns(parts: Parts, request: Command, connection: Connection) -> Command:
    """The names of clusters and groups, and the address of a broker to ask for more."""
    names = TopicList(frozenset(parts.routes.system_names()), parts.routes.any_address())
    return request.reply(body=names.encode())


def get_unit_topic_list(parts: Parts, request: Command, connection: Connection) -> Command:
    """The names of topics that belong to a unit."""
    return _list(request, parts.routes.topics_of_unit(UNIT), parts.settings.current.enable_topic_list)


def get_has_unit_sub_topic_list(parts: Parts, request: Command, connection: Connection) -> Command:
    """The names of topics that a unit subscribes to."""
    return _list(request, parts.routes.topics_of_unit(UNIT_SUBSCRIBED), parts.settings.current.enable_topic_list)


def get_has_unit_sub_ununit_topic_list(parts: Parts, request: Command, connection: Connection) -> Command:
    """The names of topics that a unit subscribes to and none owns."""
    names = parts.routes.topics_of_unit(UNIT_SUBSCRIBED, lacks=UNIT)
    return _list(request, names, parts.settings.current.enable_topic_list)


def _list(request: Command, names: Iterable[str], is_enabled: bool) -> Command:
    if not is_enabled:
        return request.refuse(ResponseCode.SYSTEM_ERROR, "disable")
    return request.reply(body=TopicList(frozenset(names)).encode())
