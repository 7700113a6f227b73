"""Message bodies, compressed by producers and decompressed by consumers; the broker only stores them.

sysFlag bit 0 says compressed, bits 8-10 say by what (protocol section 4.3): 1 LZ4 frame, 2 ZSTD, 3 zlib, and 0, from
the time before there was a choice, zlib as well.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from typing import Final

import lz4.frame
import zstandard

from rocket_wire.errors import ProtocolError

COMPRESSED: Final = 0x1
_TYPE_SHIFT: Final = 8
_TYPE_MASK: Final = 0x7
MAX_BODY_BYTES: Final = 256 * 1024 * 1024


class Compression(IntEnum):
    """The number in bits 8-10 of sysFlag."""

    LZ4 = 1
    ZSTD = 2
    ZLIB = 3

    @property
    def sys_flag(self) -> int:
        """The bits a compressed message carries."""
        return COMPRESSED | self << _TYPE_SHIFT


def compress(body: bytes, compression: Compression = Compression.ZLIB, level: int = 5) -> bytes:
    """The compressed body; the message's sysFlag then needs `compression.sys_flag`."""
    if compression is Compression.LZ4:
        return bytes(lz4.frame.compress(body))
    if compression is Compression.ZSTD:
        return zstandard.ZstdCompressor(level=level).compress(body)
    return zlib.compress(body, level)


def decompress(body: bytes, sys_flag: int, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The body as its producer gave it, whether or not `sys_flag` says compressed.

    Raises ProtocolError where the bytes are not of the kind the flag names, or grow beyond `max_bytes`.
    """
    if not sys_flag & COMPRESSED:
        return body
    number = sys_flag >> _TYPE_SHIFT & _TYPE_MASK
    try:
        compression = Compression(number or Compression.ZLIB)
    except ValueError:
        raise ProtocolError(f"compressed body of unknown type {number}") from None
    plain = _DECOMPRESSORS[compression](body, max_bytes + 1)
    if len(plain) > max_bytes:
        raise ProtocolError(f"compressed body grows beyond {max_bytes} bytes")
    return plain


def _unzlib(body: bytes, limit: int) -> bytes:
    machine = zlib.decompressobj()
    try:
        plain = machine.decompress(body, limit)
    except zlib.error as error:
        raise ProtocolError(f"compressed body is not zlib: {error}") from None
    if not machine.eof and len(plain) < limit:
        raise ProtocolError("compressed body is cut off: zlib needs more bytes")
    return plain


def _unlz4(body: bytes, limit: int) -> bytes:
    machine = lz4.frame.LZ4FrameDecompressor()
    try:
        plain = bytes(machine.decompress(body, max_length=limit))
    except (RuntimeError, EOFError) as error:
        raise ProtocolError(f"compressed body is not LZ4: {error}") from None
    if not machine.eof and len(plain) < limit:
        raise ProtocolError("compressed body is cut off: LZ4 needs more bytes")
    return plain


def _unzstd(body: bytes, limit: int) -> bytes:
    plain = bytearray()
    try:
        claimed = zstandard.frame_content_size(body)
        with zstandard.ZstdDecompressor().stream_reader(body) as reader:
            while len(plain) < limit and (piece := reader.read(min(limit - len(plain), 1 << 20))):
                plain += piece
    except zstandard.ZstdError as error:
        raise ProtocolError(f"compressed body is not ZSTD: {error}") from None
    if len(plain) < min(claimed, limit):
        raise ProtocolError("compressed body is cut off: ZSTD needs more bytes")
    return bytes(plain)


_DECOMPRESSORS: Final = {Compression.LZ4: _unlz4, Compression.ZSTD: _unzstd, Compression.ZLIB: _unzlib}
