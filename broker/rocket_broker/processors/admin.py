"""The broker itself: its settings, its figures, and the tables that slaves fetch (protocol sections 3.4, 5.3, 10)."""

from __future__ import annotations

import logging

from rocket_broker.runtime import runtime_figures
from rocket_broker.state import Broker
from rocket_net import properties_file
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_wire.bodies.registration import KVTable
from rocket_wire.bodies.replication import HAClientRuntimeInfo, HAConnectionRuntimeInfo, HARuntimeInfo
from rocket_wire.bodies.version import DataVersion
from rocket_wire.command import Command
from rocket_wire.headers.topics import GetBrokerConfigAnswer, HandOverGroup
from rocket_wire.topic_names import SCHEDULE_TOPIC

log = logging.getLogger("rocket.admin")


def update_broker_config(broker: Broker, request: Command, _: Connection) -> Answer:
    """Changes settings that may change while the broker runs."""
    broker.config.update(request.body)
    return request.reply()


def delete_expired_commitlog(broker: Broker, request: Command, _: Connection) -> Answer:
    """Deletes what has expired now rather than in the hours set for it. Answers before it is done, as Apache's does."""
    broker.clean()
    return request.reply()


def clean_expired_consumequeue(broker: Broker, request: Command, _: Connection) -> Answer:
    """Lets consume queues begin where the log does."""
    broker.store.trim()
    return request.reply()


def clean_unused_topic(broker: Broker, request: Command, _: Connection) -> Answer:
    """Removes the queues of topics that are not in the table any more."""
    for topic in broker.store.delete_unused_topics(broker.topics.table.keys() | {SCHEDULE_TOPIC}):
        log.info("the queues of topic %s are deleted: there is no such topic", topic)
    return request.reply()


def get_broker_config(broker: Broker, request: Command, _: Connection) -> Answer:
    """All settings as properties text."""
    text = properties_file.text(broker.config.pairs()).encode()
    return request.reply(GetBrokerConfigAnswer(DataVersion().encode().decode()), text)


def get_broker_runtime_info(broker: Broker, request: Command, _: Connection) -> Answer:
    """Figures by name, all of them text; tools parse them."""
    return request.reply(body=KVTable(runtime_figures(broker)).encode())


def get_broker_ha_status(broker: Broker, request: Command, _: Connection) -> Answer:
    """A master's slaves and how far each is; a slave's own end of the log and whom it follows."""
    end = broker.store.max_position
    if not broker.config.settings.is_master:
        client = HAClientRuntimeInfo(
            broker.master.ha_address or None, max_offset=end, is_activated=broker.master.is_connected
        )
        return request.reply(body=HARuntimeInfo(ha_client_runtime_info=client).encode())
    gap = broker.config.settings.ha_max_gap_not_in_sync
    slaves = tuple(
        HAConnectionRuntimeInfo(address, has, max(0, end - has), end - has <= gap, 0, max(0, has))
        for address, has in broker.slaves()
    )
    in_sync = sum(slave.in_sync for slave in slaves)
    return request.reply(body=HARuntimeInfo(True, end, in_sync, slaves).encode())


def get_all_consumer_offset(broker: Broker, request: Command, _: Connection) -> Answer:
    """What consumer groups have consumed, for a slave."""
    return request.reply(body=broker.offsets.wrapper().encode())


def get_all_delay_offset(broker: Broker, request: Command, _: Connection) -> Answer:
    """How far delayed messages have been delivered, for a slave."""
    return request.reply(body=broker.delay_offsets())


def hand_over_group(broker: Broker, header: HandOverGroup, request: Command, _: Connection) -> Answer:
    """Another member leads when the answer comes; refused with the reason where that cannot be."""

    async def handed_over() -> Command:
        await broker.role.hand_over(header.member or "")
        return request.reply()

    return handed_over()
