"""The broker itself: its settings, its figures, and the tables that slaves fetch (protocol sections 3.4, 5.3, 10)."""

from __future__ import annotations

from rocket_broker.runtime import runtime_figures
from rocket_broker.state import Broker
from rocket_net import properties_file
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_wire.bodies.registration import KVTable
from rocket_wire.bodies.version import DataVersion
from rocket_wire.command import Command
from rocket_wire.headers.topics import GetBrokerConfigAnswer


def update_broker_config(broker: Broker, request: Command, _: Connection) -> Answer:
    """Changes settings that may change while the broker runs."""
    broker.config.update(request.body)
    return request.reply()


def get_broker_config(broker: Broker, request: Command, _: Connection) -> Answer:
    """All settings as properties text."""
    text = properties_file.text(broker.config.pairs()).encode()
    return request.reply(GetBrokerConfigAnswer(DataVersion().encode().decode()), text)


def get_broker_runtime_info(broker: Broker, request: Command, _: Connection) -> Answer:
    """Figures by name, all of them text; tools parse them."""
    return request.reply(body=KVTable(runtime_figures(broker)).encode())


def get_all_consumer_offset(broker: Broker, request: Command, _: Connection) -> Answer:
    """What consumer groups have consumed, for a slave."""
    return request.reply(body=broker.offsets.wrapper().encode())


def get_all_delay_offset(broker: Broker, request: Command, _: Connection) -> Answer:
    """How far delayed messages have been delivered, for a slave."""
    return request.reply(body=broker.delay_offsets())
