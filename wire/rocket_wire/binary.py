"""The ROCKETMQ binary header (protocol section 2.3). All numbers big-endian.

    2  code (int16)         4  opaque        4 + n  remark, UTF-8; length 0 is none
    1  language             4  flag          4 + n  extFields: 2 + n key, 4 + n value, repeated
    2  version (int16)

Codes above 32767 do not fit and are cut to 16 bits by Java's writer as well: such requests need JSON headers.
"""

from __future__ import annotations

from struct import Struct, error
from typing import Final

from rocket_wire.codes import LANGUAGE_NUMBER, LANGUAGES
from rocket_wire.command import Command
from rocket_wire.errors import ProtocolError
from rocket_wire.layouts import PairsReader

_FIXED: Final = Struct(">hBhiii")
_INT: Final = Struct(">i")
_KEY_LENGTH: Final = Struct(">H")
_UNKNOWN_LANGUAGE: Final = LANGUAGE_NUMBER["OTHER"]


def encode(command: Command) -> bytes:
    """The binary header of a command. A code beyond 16 bits is cut, as Java does."""
    remark = command.remark.encode() if command.remark else b""
    ext = b"".join(map(_encode_pair, command.fields().items()))
    language = LANGUAGE_NUMBER.get(language_name(command.language), _UNKNOWN_LANGUAGE)
    code = (command.code + 0x8000) % 0x10000 - 0x8000
    fixed = _FIXED.pack(code, language, command.version, command.opaque, command.flag, len(remark))
    return b"".join((fixed, remark, _INT.pack(len(ext)), ext))


def decode(header: bytes, pairs: PairsReader | None = None) -> Command:
    """A command without its body. Raises ProtocolError when lengths lie or text is not UTF-8."""
    try:
        code, language, version, opaque, flag, remark_length = _FIXED.unpack_from(header)
        if remark_length < 0:
            raise ProtocolError(f"binary header: remark of {remark_length} bytes")
        remark_end = _FIXED.size + remark_length
        (ext_length,) = _INT.unpack_from(header, remark_end)
        if ext_length < 0 or remark_end + 4 + ext_length > len(header):
            raise ProtocolError(f"binary header: extFields of {ext_length} bytes in a header of {len(header)}")
        remark = header[_FIXED.size : remark_end].decode() if remark_length else None
        ext = (pairs or PairsReader()).read(header, remark_end + 4, remark_end + 4 + ext_length)
    except (error, UnicodeDecodeError) as reason:
        raise ProtocolError(f"binary header: {reason}") from None
    return Command(code, language, version, opaque, flag, remark, ext=ext)


def language_name(language: str | int) -> str:
    """A language by its wire name; a number that nobody knows is OTHER (protocol section 2.3)."""
    if isinstance(language, str):
        return language
    return LANGUAGES[language] if 0 <= language < len(LANGUAGES) else "OTHER"


def _encode_pair(pair: tuple[str, str]) -> bytes:
    key, value = pair[0].encode(), pair[1].encode()
    return b"".join((_KEY_LENGTH.pack(len(key)), key, _INT.pack(len(value)), value))
