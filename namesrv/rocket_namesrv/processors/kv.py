"""Requests to the key-value store."""

from __future__ import annotations

import logging

from rocket_namesrv.parts import Parts
from rocket_net.connection import Connection
from rocket_wire.bodies.registration import KVTable
from rocket_wire.codes import ResponseCode
from rocket_wire.command import Command
from rocket_wire.headers.routes import (
    DeleteKvConfig,
    GetKvConfig,
    GetKvConfigAnswer,
    GetKvlistByNamespace,
    PutKvConfig,
)

log = logging.getLogger("rocket.namesrv")


def put_kv_config(parts: Parts, header: PutKvConfig, request: Command, connection: Connection) -> Command:
    """Sets a value. Refused, with nothing changed, when it cannot be saved."""
    try:
        parts.kv.put(header.namespace, header.key, header.value)
    except OSError as error:
        return _not_saved(request, error)
    log.info("%s set %s of %s to %s", connection.peer, header.key, header.namespace, header.value)
    return request.reply()


def get_kv_config(parts: Parts, header: GetKvConfig, request: Command, connection: Connection) -> Command:
    """A value, or QUERY_NOT_FOUND."""
    value = parts.kv.get(header.namespace, header.key)
    if value is None:
        remark = f"No config item, Namespace: {header.namespace} Key: {header.key}"
        return request.refuse(ResponseCode.QUERY_NOT_FOUND, remark)
    return request.reply(GetKvConfigAnswer(value))


def delete_kv_config(parts: Parts, header: DeleteKvConfig, request: Command, connection: Connection) -> Command:
    """Removes a value; an absent one is no error."""
    try:
        parts.kv.delete(header.namespace, header.key)
    except OSError as error:
        return _not_saved(request, error)
    log.info("%s removed %s of %s", connection.peer, header.key, header.namespace)
    return request.reply()


def get_kvlist_by_namespace(
    parts: Parts, header: GetKvlistByNamespace, request: Command, connection: Connection
) -> Command:
    """All values of a namespace, or QUERY_NOT_FOUND."""
    table = parts.kv.namespace(header.namespace)
    if table is None:
        return request.refuse(ResponseCode.QUERY_NOT_FOUND, f"No config item, Namespace: {header.namespace}")
    return request.reply(body=KVTable(table).encode())


def _not_saved(request: Command, error: OSError) -> Command:
    log.error("key-value store not saved: %s", error)
    return request.refuse(ResponseCode.SYSTEM_ERROR, f"nothing was changed, the store cannot be saved: {error}")
