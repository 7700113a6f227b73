"""Frames: how commands stand in the byte stream (protocol section 2.1). All numbers big-endian.

    4  total length      bytes after this field: 4 + header length + body length
    4  type and length   high byte: how the header is written (0 JSON, 1 ROCKETMQ binary); low 24 bits: its length
    n  header
    m  body

Bytes in, commands out. `FrameBuffer.feed` yields every command that is complete, keeps the rest for the next call,
and raises ProtocolError where the stream cannot be RocketMQ's; what came before the bad frame is yielded first.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import Final

import msgspec

from rocket_wire import binary
from rocket_wire.command import Command
from rocket_wire.errors import ProtocolError
from rocket_wire.layouts import PairsReader

#: Largest total length accepted, as Java's com.rocketmq.remoting.frameMaxLength.
MAX_FRAME_BYTES: Final = 16 * 1024 * 1024

_PREFIX: Final = Struct(">II")
_LENGTH: Final = Struct(">I")


class SerializeType(IntEnum):
    """How a frame's header is written. Each frame names its own."""

    JSON = 0
    ROCKETMQ = 1


class FrameBuffer:
    """Cuts a stream of byte chunks into commands."""

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._chunks: list[bytes] = []
        self._held = 0
        self._needed = 8
        self._pairs = PairsReader()

    @property
    def held_bytes(self) -> int:
        """Bytes of an incomplete frame that wait for the rest."""
        return self._held

    def feed(self, data: bytes) -> Iterator[Command]:
        """Commands that these bytes complete. Consume the iterator wholly before the next call."""
        if self._chunks:
            self._chunks.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return
            data = b"".join(self._chunks)
            self._chunks.clear()
        size = len(data)
        position = 0
        self._held, self._needed = 0, 8
        while size - position >= 8:
            total, type_and_length = _PREFIX.unpack_from(data, position)
            header_length = type_and_length & 0xFFFFFF
            if total > self._max_frame_bytes or header_length > total - 4:
                raise ProtocolError(
                    f"frame of {total} bytes with a header of {header_length}: not RocketMQ's protocol, "
                    f"or above the limit of {self._max_frame_bytes} bytes"
                )
            end = position + 4 + total
            if end > size:
                self._needed = 4 + total
                break
            body_start = position + 8 + header_length
            command = self._decode_header(type_and_length >> 24, data[position + 8 : body_start])
            command.body = data[body_start:end]
            position = end
            yield command
        if position < size:
            self._keep(data[position:] if position else data)

    def _keep(self, rest: bytes) -> None:
        if len(rest) >= 4:
            (total,) = _LENGTH.unpack_from(rest)
            if not 4 <= total <= self._max_frame_bytes:
                raise ProtocolError(f"frame of {total} bytes: outside 4 to {self._max_frame_bytes}")
        self._chunks.append(rest)
        self._held = len(rest)

    def _decode_header(self, serialize: int, header: bytes) -> Command:
        if serialize == SerializeType.JSON:
            try:
                return _json_decoder.decode(header)
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
                raise ProtocolError(f"JSON header: {error}") from None
        if serialize == SerializeType.ROCKETMQ:
            return binary.decode(header, self._pairs)
        raise ProtocolError(f"header of unknown type {serialize}")


def encode(command: Command, serialize: SerializeType = SerializeType.JSON) -> bytes:
    """The frame of a command."""
    header = _encode_json(command) if serialize is SerializeType.JSON else binary.encode(command)
    prefix = _PREFIX.pack(4 + len(header) + len(command.body), serialize << 24 | len(header))
    return b"".join((prefix, header, command.body))


_json_encoder = msgspec.json.Encoder()
_json_decoder = msgspec.json.Decoder(Command)


def _encode_json(command: Command) -> bytes:
    fields: dict[str, object] = {"code": command.code}
    ext = command.fields()
    fields["extFields"] = ext
    fields["flag"] = command.flag
    fields["language"] = binary.language_name(command.language)
    fields["opaque"] = command.opaque
    if command.remark is not None:
        fields["remark"] = command.remark
    fields["serializeTypeCurrentRPC"] = "JSON"
    fields["version"] = command.version
    return _json_encoder.encode(fields)
