"""A message's properties as one string: how records and send headers carry them (protocol section 4.2).

    name 0x01 value 0x02  name 0x01 value 0x02 ...

5.x ends the last pair with 0x02, 4.x may not; both are read, and the first form is written. A later pair of the same
name wins. A pair without a name, without a value or shorter than three characters does not count.
"""

from __future__ import annotations

from typing import Final

NAME_END: Final = "\x01"
PAIR_END: Final = "\x02"


def encode(pairs: dict[str, str]) -> bytes:
    """The properties string of `pairs`, in their order, as UTF-8.

    Raises ValueError for a name with 0x01 or 0x02 in it or a value with 0x02: they would read back as something else.
    """
    for name, value in pairs.items():
        if NAME_END in name or PAIR_END in name or PAIR_END in value:
            raise ValueError(f"property {name!r}: {value!r} holds a byte that separates properties (0x01 or 0x02)")
    text = "".join([f"{name}\x01{value}\x02" for name, value in pairs.items()])
    return text.encode("utf-8", "surrogatepass")


def decode(properties: bytes) -> dict[str, str]:
    """The pairs of a properties string. Malformed UTF-8 is replaced, not refused, as in Java."""
    pairs = {}
    for pair in properties.decode("utf-8", "replace").split(PAIR_END):
        name, _, value = pair.partition(NAME_END)
        if name and value:
            pairs[name] = value
    return pairs


def find(properties: bytes, name: bytes) -> bytes | None:
    """One value, without decoding the others; None if it is absent. Agrees with `decode`."""
    mark = name + b"\x01"
    at = properties.rfind(mark)
    while at >= 0:
        while at > 0 and properties[at - 1] != 2:  # the end of a longer name, or inside a value
            at = properties.rfind(mark, 0, at)
        if at < 0:
            return None
        begin = at + len(mark)
        end = properties.find(b"\x02", begin)
        if end < 0:
            end = len(properties)
        if end != begin:  # an empty value does not count, but an earlier pair of the name might
            return properties[begin:end]
        at = properties.rfind(mark, 0, at)
    return None
