"""The custom header of a request or answer: declared fields here, strings in `extFields` on the wire.

A header is declared once, as typed snake_case fields; the wire's camelCase names and the text form of every value
come from here alone. Decoding is one call into msgspec, from the JSON bytes themselves where the frame was JSON.

A field without a default is mandatory: its absence, or a value of the wrong type, is a `RequestError`. Java's own
decoder leaves such a field null and fails later with a NullPointerException, which it answers with code 1
(protocol section 2.2); the code here is the same, the remark names the field.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError


class Header(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """Fields that travel in `extFields`. Names are snake_case here and camelCase on the wire."""


H = TypeVar("H", bound=Header)


def encode_ext(header: Header) -> dict[str, str]:
    """The header's `extFields`: every value a string, absent (None) fields left out."""
    fields: dict[str, Any] = msgspec.to_builtins(header)
    return {name: _text(value) for name, value in fields.items() if value is not None}


def decode_ext(header_type: type[H], ext: dict[str, str]) -> H:
    """A typed header from `extFields`; unknown fields are ignored. Raises RequestError naming a bad field."""
    try:
        return msgspec.convert(ext, header_type, strict=False)
    except msgspec.ValidationError as error:
        raise RequestError(ResponseCode.SYSTEM_ERROR, f"bad {header_type.__name__} header: {error}") from None


def _text(value: Any) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    return str(value)
