"""Frames made once and sent many times: what the generator writes, what the echo answers, and how both are read.

Nothing is encoded while a measurement runs. A frame's opaque is its slot (one slot has one request under way), so only
the message's unique key is written anew for each send: the last eight characters of UNIQ_KEY, in place.

    8   prefix                     an answer's code and opaque are found without decoding it:
    n   header, JSON or binary     JSON     {"code":0,...,"opaque":17,...}
    m   body                       binary   2 code, 1 language, 2 version, 4 opaque
"""

from __future__ import annotations

from struct import Struct

from rocket_wire import frame
from rocket_wire.codes import RequestCode
from rocket_wire.command import request
from rocket_wire.frame import SerializeType
from rocket_wire.headers.send import SendMessageV2

_COUNTER = b"00000000"
_UNIQUE_KEY = b"7F00000100000000000000FF" + _COUNTER
_INT = Struct(">i")
_JSON_OPAQUE = b'"opaque":'
_JSON_SUCCESS = b'{"code":0,'
_BINARY_SUCCESS = b"\0\0"
#: CREATE_TOPIC_KEY_TOPIC: a broker that lets clients make topics makes the benchmark's on its first message.
_TEMPLATE_TOPIC = "TBW102"


class SendFrame:
    """One slot's request."""

    def __init__(self, slot: int, topic: str, queue_id: int, body_bytes: int, *, binary: bool) -> None:
        header = SendMessageV2(
            producer_group="benchmark_producer",
            topic=topic,
            default_topic=_TEMPLATE_TOPIC,
            default_topic_queue_nums=8,
            queue_id=queue_id,
            sys_flag=0,
            born_timestamp=1_700_000_000_000,
            flag=0,
            properties=f"UNIQ_KEY\x01{_UNIQUE_KEY.decode()}\x02WAIT\x01true\x02",
            reconsume_times=0,
            unit_mode=False,
            batch=False,
        )
        command = request(RequestCode.SEND_MESSAGE_V2, header, b"x" * body_bytes)
        command.opaque = slot
        encoded = frame.encode(command, SerializeType.ROCKETMQ if binary else SerializeType.JSON)
        self._bytes = bytearray(encoded)
        self._counter = encoded.index(_UNIQUE_KEY) + len(_UNIQUE_KEY) - len(_COUNTER)

    def numbered(self, message: int) -> bytearray:
        """The frame of the message with this number. Valid until the next call."""
        self._bytes[self._counter : self._counter + len(_COUNTER)] = b"%08X" % message
        return self._bytes


def frame_end(received: bytes, start: int) -> int:
    """Where the frame that starts here ends."""
    (total,) = _INT.unpack_from(received, start)
    return start + 4 + int(total)


def opaque_of(received: bytes, start: int) -> int:
    """The opaque of the frame that starts here."""
    if received[start + 4]:
        return int(_INT.unpack_from(received, start + 13)[0])
    digits = received.index(_JSON_OPAQUE, start) + len(_JSON_OPAQUE)
    return int(received[digits : received.index(b",", digits)])


def is_success(received: bytes, start: int) -> bool:
    """Whether the answer that starts here has code 0."""
    return received.startswith(_BINARY_SUCCESS if received[start + 4] else _JSON_SUCCESS, start + 8)
