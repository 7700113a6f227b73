"""The answer to a send, written straight as a frame: what every message costs, so without a dictionary or a header.

The bytes are those that `frame.encode` would make of a `SendMessageAnswer`; a test holds them against each other.
2.5 us less a send than the general way (docs/decisions/0002-send-path.md).
"""

from __future__ import annotations

from struct import Struct
from typing import Final

import msgspec

from rocket_wire.codes import CURRENT_VERSION

_PREFIX: Final = Struct(">II")


class SendAnswers:
    """Successful answers of one broker. `store_host` is 8 or 20 bytes, as records hold it."""

    def __init__(self, store_host: bytes, region: str, *, trace_on: bool) -> None:
        self._host = store_host.hex().upper()
        traced = "true" if trace_on else "false"
        quoted = msgspec.json.encode(region).decode()
        self._after = f'","MSG_REGION":{quoted},"TRACE_ON":"{traced}"}},"flag":1,"language":"PYTHON","opaque":'
        self._end = f',"serializeTypeCurrentRPC":"JSON","version":{CURRENT_VERSION}}}'

    def encode(self, opaque: int, position: int, queue_id: int, queue_offset: int) -> bytes:
        """The frame: the message lies at `position` (bytes) of the log, as `queue_offset` of its queue."""
        header = (
            f'{{"code":0,"extFields":{{"msgId":"{self._host}{position:016X}","queueId":"{queue_id}","queueOffset":"'
            f"{queue_offset}{self._after}{opaque}{self._end}"
        ).encode()
        return _PREFIX.pack(len(header) + 4, len(header)) + header
