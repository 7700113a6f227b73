"""What all JSON bodies share: camelCase names, Java's idea of what is written, one kind of error.

Java writes every number, boolean and collection, and leaves out what is null; it reads a missing member as the
field's initial value. A body says so in its defaults:

    broker_name: str                              mandatory: nothing works without it
    zone_name: str | None = None                  null in Java, so absent on the wire
    perm: Int = written(6)                        read as 6 where absent, always written
    attributes: dict[str, str] = written_new(dict)

Bodies are values: changed by `msgspec.structs.replace`, compared with ==.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Self, TypeVar

import msgspec

from rocket_wire import fastjson
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError
from rocket_wire.headers.numbers import Int

T = TypeVar("T")


def written(value: T, name: str | None = None) -> T:
    """A default that is written even when unchanged. `name` is the wire's where it is not just camelCase."""
    # A factory's product is no default to msgspec's `omit_defaults`, which compares by identity.
    default: T = msgspec.field(default_factory=lambda: value, name=name)
    return default


def written_new(make: Callable[[], T], name: str | None = None) -> T:
    """`written` for what must not be shared: a new collection for each body."""
    # Not `make` itself: msgspec knows dict, list and set, and omits them when empty.
    default: T = msgspec.field(default_factory=lambda: make(), name=name)
    return default


class Body(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """A JSON body. Unknown members are ignored, null ones count as absent."""

    def encode(self) -> bytes:
        """Standard JSON, compact, members sorted by name."""
        # By way of builtins: msgspec's encoder does not sort beside numbers as keys.
        return msgspec.json.encode(msgspec.to_builtins(self, str_keys=True, order="sorted"))

    def encode_unquoted(self) -> bytes:
        """The same with bare numbers as keys, as Java writes by default (section 2.6)."""
        return fastjson.encode(self)

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """From JSON or Java's dialect of it. Raises RequestError that names the body and the member at fault."""
        decoder: msgspec.json.Decoder[Self] = _decoder(cls)
        try:
            return decoder.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _lenient(cls, content, None)

    @classmethod
    def regular(cls, members: Any) -> Any:
        """The parsed members as this body's fields take them: overridden where some peer writes them its own way."""
        return members


class MessageQueue(msgspec.Struct, rename="camel", frozen=True, order=True):
    """One queue of a topic on one group of brokers: the key of most tables."""

    topic: str
    broker_name: str
    queue_id: Int


class KeyedBody(Body, frozen=True):
    """A body with tables by MessageQueue. Java's dialect is its only form."""

    def encode(self) -> bytes:
        """Java's dialect, compact, members sorted by name."""
        return fastjson.encode(self)

    @classmethod
    def decode(cls, content: bytes) -> Self:
        """From Java's dialect. Raises RequestError that names the body and the member at fault."""
        return _lenient(cls, content, _message_queue)


B = TypeVar("B", bound=Body)


@cache
def _decoder(body_type: type[B]) -> msgspec.json.Decoder[B]:
    return msgspec.json.Decoder(body_type)


def _lenient(body_type: type[B], content: bytes, key: Callable[[dict[str, Any]], MessageQueue] | None) -> B:
    try:
        return msgspec.convert(body_type.regular(fastjson.parse(content, key)), body_type, strict=False)
    except (fastjson.DialectError, msgspec.ValidationError) as error:
        reason = f"bad {body_type.__name__} body: {error}"
        raise RequestError(ResponseCode.SYSTEM_ERROR, reason) from None


def _message_queue(members: dict[str, Any]) -> MessageQueue:
    return msgspec.convert(members, MessageQueue, strict=False)
