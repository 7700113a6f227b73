"""One request or answer: code, flags, header fields, body. The value that a frame carries (protocol section 2).

    flag bit 0   answer (else request)          opaque   chosen by the requester, copied by the answer
    flag bit 1   one-way: never answered        version  ordinal of the sender's release

A received command keeps its header fields as they came (JSON text, or pairs from a binary header) until somebody asks
for them: the processor decodes them once, straight into its typed header.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from rocket_wire.codes import CURRENT_VERSION, ResponseCode
from rocket_wire.errors import ProtocolError, RequestError
from rocket_wire.headers.header import Header, decode_ext, encode_ext

ANSWER = 1
ONEWAY = 2

H = TypeVar("H", bound=Header)

_NO_FIELDS = msgspec.Raw(b"{}")
_NULL = msgspec.Raw(b"null")
_pairs_decoder = msgspec.json.Decoder(dict[str, Any] | None)

#: Java's int. A number beyond it could not be written back in a binary header.
Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]

#: What the JSON header calls our fields; `ext` and `body` get names that no peer writes.
_JSON_NAMES = {"ext_json": "extFields", "ext": "-ext", "body": "-body"}


class Command(msgspec.Struct, gc=False, rename=_JSON_NAMES):
    """A request or answer. Decoded from a frame, or made by `request`, `reply` and `refuse`.

    The field names are those of the JSON header, so that msgspec reads it in one call; `ext` holds the header fields
    of a binary frame and of a command made here, `ext_json` those of a received JSON frame.
    """

    code: Int32
    language: str | int = "OTHER"
    version: Int32 = 0
    opaque: Int32 = 0
    flag: Int32 = 0
    remark: str | None = None
    ext_json: msgspec.Raw = _NO_FIELDS
    ext: dict[str, str] | None = None
    body: bytes = b""

    @property
    def is_answer(self) -> bool:
        return self.flag & ANSWER != 0

    @property
    def is_oneway(self) -> bool:
        return self.flag & ONEWAY != 0

    def fields(self) -> dict[str, str]:
        """The header fields as text. Raises ProtocolError where they are no object of strings."""
        if self.ext is None:
            try:
                pairs = _pairs_decoder.decode(self.ext_json) or {}
            except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
                raise ProtocolError(f"extFields is not a JSON object of strings: {error}") from None
            self.ext = {name: _text(value) for name, value in pairs.items() if value is not None}
        return self.ext

    def header(self, header_type: type[H]) -> H:
        """The typed header. Raises RequestError that names a missing field or a value of the wrong type."""
        if self.ext is not None:
            return decode_ext(header_type, self.ext)
        fields = _NO_FIELDS if self.ext_json == _NULL else self.ext_json  # client-go writes null for no fields
        try:
            header: H = _json_decoder(header_type).decode(fields)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            reason = f"bad {header_type.__name__} header: {error}"
            raise RequestError(ResponseCode.SYSTEM_ERROR, reason) from None
        return header

    def reply(self, header: Header | None = None, body: bytes = b"") -> Command:
        """The successful answer to this request."""
        ext = encode_ext(header) if header is not None else {}
        return answer(self.opaque, ResponseCode.SUCCESS, ext=ext, body=body)

    def refuse(self, code: int, remark: str) -> Command:
        """The answer that says why not."""
        return answer(self.opaque, code, remark)

    def raise_for_code(self) -> None:
        """As the requester: an answer that is not SUCCESS becomes a RequestError with its code and remark."""
        if self.code != ResponseCode.SUCCESS:
            raise RequestError(self.code, self.remark or "no remark")


def request(code: int, header: Header | None = None, body: bytes = b"", *, oneway: bool = False) -> Command:
    """A new request. Its opaque is given by the connection that sends it."""
    return Command(
        code,
        language="PYTHON",
        version=CURRENT_VERSION,
        flag=ONEWAY if oneway else 0,
        ext=encode_ext(header) if header is not None else {},
        body=body,
    )


def answer(
    opaque: int, code: int, remark: str | None = None, *, ext: dict[str, str] | None = None, body: bytes = b""
) -> Command:
    """An answer to the request with this opaque."""
    return Command(code, "PYTHON", CURRENT_VERSION, opaque, ANSWER, remark, ext=ext or {}, body=body)


@cache
def _json_decoder(header_type: type[H]) -> msgspec.json.Decoder[H]:
    return msgspec.json.Decoder(header_type, strict=False)


def _text(value: Any) -> str:
    """A field that a peer did not write as a string, as Java takes it: its JSON text."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
