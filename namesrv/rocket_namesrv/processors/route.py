"""The one request that every client sends all the time: where are this topic's queues?"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from rocket_namesrv import route_view
from rocket_namesrv.kv_config import ORDER_TOPIC_CONFIG
from rocket_namesrv.parts import Parts
from rocket_net.connection import Connection
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.headers.routes import GetRouteinfoByTopic

_SEE: Final = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."


class GetRouteinfoInZone(GetRouteinfoByTopic, frozen=True):
    """A route request with what the client's environment adds to each of its requests."""

    zone_mode: str = msgspec.field(default="", name="__ZONE_MODE")
    zone: str = msgspec.field(default="", name="__ZONE_NAME")


def get_routeinfo_by_topic(
    parts: Parts, header: GetRouteinfoInZone, request: Command, connection: Connection
) -> Command:
    """The topic's route, in the JSON that this client reads."""
    settings = parts.settings.current
    if parts.warm_up_millis_left() > 0:
        parts.metrics.routes_refused.inc()
        return request.refuse(ResponseCode.SYSTEM_ERROR, "name server not ready")
    route = parts.routes.lookup(header.topic, settings.support_acting_master)
    if route is None:
        parts.metrics.routes_missing.inc()
        remark = f"No topic route info in name server for the topic: {header.topic}{_SEE}"
        return request.refuse(ResponseCode.TOPIC_NOT_EXIST, remark)
    parts.metrics.routes_found.inc()
    if settings.order_message_enable:
        route = replace(route, order_topic_conf=parts.kv.get(ORDER_TOPIC_CONFIG, header.topic))
    if header.zone_mode.lower() == "true" and header.zone.strip():
        route = route_view.in_zone(route, header.zone)
    return request.reply(body=route.encode_for(request.version, bool(header.accept_standard_json_only)))
