"""Messages by key and by id (protocol section 3.2)."""

from __future__ import annotations

from typing import Final

from rocket_broker.state import Broker
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers.pull import QueryMessage, QueryMessageAnswer, ViewMessageById

#: Apache's maxMsgsNumBatch.
MAX_MESSAGES: Final = 64


def query_message(broker: Broker, header: QueryMessage, request: Command, _: Connection) -> Answer:
    """Records that were indexed under the key in a span of store times."""
    limit = max(1, min(header.max_num, MAX_MESSAGES))
    if request.fields().get("_UNIQUE_KEY_QUERY") == "true":
        limit = broker.config.settings.default_query_max_num
    records = broker.store.query(header.topic, header.key, limit, header.begin_timestamp, header.end_timestamp)
    if not records:
        raise RequestError(ResponseCode.QUERY_NOT_FOUND, "can not find message, maybe time range not correct")
    return request.reply(QueryMessageAnswer(broker.now_ms(), broker.store.max_position), b"".join(records))


def view_message_by_id(broker: Broker, header: ViewMessageById, request: Command, _: Connection) -> Answer:
    """The record at a position of the commit log."""
    record = broker.store.look_up(header.offset)
    if record is None:
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"can not find message by the offset, {header.offset}")
    return request.reply(body=record)
