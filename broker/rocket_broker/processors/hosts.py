"""Addresses as records hold them."""

from __future__ import annotations

from functools import lru_cache

from rocket_net.client import split_address
from rocket_wire import record


@lru_cache(maxsize=4096)
def host_bytes(address: str) -> bytes:
    """`ip:port` as a record stores it: 4 or 16 bytes of address, port as int32 (protocol section 4.1)."""
    return record.encode_host(*split_address(address))
