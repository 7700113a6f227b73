"""Requests about brokers: they register, leave, show that they live; tools ask who is there (protocol section 3.7)."""

from __future__ import annotations

import logging
from zlib import crc32

import msgspec

from rocket_namesrv.kv_config import ORDER_TOPIC_CONFIG
from rocket_namesrv.parts import Parts
from rocket_namesrv.routes import Registered, Registration
from rocket_net.connection import Connection
from rocket_wire.bodies.registration import KVTable, RegisterBrokerBody
from rocket_wire.bodies.route import GetBrokerMemberGroupResponseBody
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers.routes import (
    AddWritePermOfBroker,
    AddWritePermOfBrokerAnswer,
    BrokerHeartbeat,
    GetBrokerMemberGroup,
    QueryDataVersion,
    QueryDataVersionAnswer,
    RegisterBroker,
    UnregisterBroker,
    WipeWritePermOfBroker,
    WipeWritePermOfBrokerAnswer,
)

log = logging.getLogger("rocket.namesrv")


class RegisterBrokerInZone(RegisterBroker, frozen=True):
    """A registration with what the broker's environment adds to each of its requests."""

    zone: str | None = msgspec.field(default=None, name="__ZONE_NAME")


def register_broker(parts: Parts, header: RegisterBrokerInZone, request: Command, connection: Connection) -> Command:
    """Enters a broker and its topics. Answers where its master is, and the table of ordered topics."""
    settings = parts.settings.current
    broker = f"{header.cluster_name}/{header.broker_name}[{header.broker_id}] at {header.broker_addr}"
    try:
        registration = Registration(header, _registered_body(header, request), connection, header.zone)
        done = parts.routes.register(registration, parts.clock(), settings.delete_topic_with_broker_registration)
    except RequestError as error:
        parts.metrics.registrations_refused.inc()
        log.warning("registration of %s over %s refused: %s", broker, connection.peer, error.remark)
        raise
    _note(parts, broker, connection, done)
    ordered = parts.kv.namespace(ORDER_TOPIC_CONFIG) if settings.return_order_topic_config_to_broker else None
    return request.reply(done.answer, b"" if ordered is None else KVTable(ordered).encode())


def _note(parts: Parts, broker: str, connection: Connection, done: Registered) -> None:
    if not done.is_accepted:
        parts.metrics.registrations_refused.inc()
        log.warning("registration of %s ignored: another broker has this id with a newer state", broker)
        return
    parts.metrics.registrations_accepted.inc()
    if done.is_new:
        log.info("broker %s registered over %s", broker, connection.peer)
    if done.displaced is not None:
        log.warning(
            "broker %s takes the place of %s: give each broker a brokerName or brokerId of its own, unless that one is "
            "gone", broker, done.displaced,
        )  # fmt: skip
    if done.changed_topics:
        log.info("broker %s: %d topics new or changed", broker, done.changed_topics)


def _registered_body(header: RegisterBroker, request: Command) -> RegisterBrokerBody:
    if header.body_crc32 != 0 and header.body_crc32 != crc32(request.body) & 0x7FFFFFFF:
        raise RequestError(ResponseCode.SYSTEM_ERROR, "crc32 not match")
    if not request.body:
        return RegisterBrokerBody()
    decode = RegisterBrokerBody.decode_compressed if header.compressed else RegisterBrokerBody.decode
    return decode(request.body)


def unregister_broker(parts: Parts, header: UnregisterBroker, request: Command, connection: Connection) -> Command:
    """Drops a broker; one that is not known is no error."""
    was_known = parts.routes.unregister(header)
    broker = f"{header.cluster_name}/{header.broker_name}[{header.broker_id}] at {header.broker_addr}"
    log.info("broker %s unregistered%s", broker, "" if was_known else ", but was not known")
    return request.reply()


def broker_heartbeat(parts: Parts, header: BrokerHeartbeat, request: Command, connection: Connection) -> Command:
    """Notes that a broker lives; one that is not known must register, which it does by itself."""
    parts.routes.heartbeat(header.broker_addr, parts.clock())
    return request.reply()


def query_data_version(parts: Parts, header: QueryDataVersion, request: Command, connection: Connection) -> Command:
    """Whether the broker must register anew. Asking shows that it lives."""
    asked = DataVersion.decode(request.body)
    version = parts.routes.version(header.broker_addr)
    parts.routes.heartbeat(header.broker_addr, parts.clock())
    return request.reply(QueryDataVersionAnswer(asked != version), b"" if version is None else version.encode())


def get_broker_member_group(
    parts: Parts, header: GetBrokerMemberGroup, request: Command, connection: Connection
) -> Command:
    """The brokers of one name."""
    group = parts.routes.member_group(header.cluster_name, header.broker_name)
    return request.reply(body=GetBrokerMemberGroupResponseBody(group).encode_unquoted())


def get_broker_cluster_info(parts: Parts, request: Command, connection: Connection) -> Command:
    """All brokers. In Java's dialect whoever asks, as Java does."""
    return request.reply(body=parts.routes.cluster_info().encode_unquoted())


def wipe_write_perm_of_broker(
    parts: Parts, header: WipeWritePermOfBroker, request: Command, connection: Connection
) -> Command:
    """Hides a group from producers."""
    count = parts.routes.wipe_write_permission(header.broker_name)
    log.info("%s wiped the write permission of %s: %d topics", connection.peer, header.broker_name, count)
    return request.reply(WipeWritePermOfBrokerAnswer(count))


def add_write_perm_of_broker(
    parts: Parts, header: AddWritePermOfBroker, request: Command, connection: Connection
) -> Command:
    """Shows a group to producers again."""
    count = parts.routes.add_write_permission(header.broker_name)
    log.info("%s added the write permission of %s: %d topics", connection.peer, header.broker_name, count)
    return request.reply(AddWritePermOfBrokerAnswer(count))
