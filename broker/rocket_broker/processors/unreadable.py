"""What a read is answered whose store cannot be read: its words, and one line in the log."""

from __future__ import annotations

import logging

from rocket_broker.store.errors import StoreError
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError

log = logging.getLogger("rocket.broker")


def unreadable(error: StoreError) -> RequestError:
    """The error to raise instead of the store's."""
    log.error("%s", error)
    return RequestError(ResponseCode.SYSTEM_ERROR, str(error))
