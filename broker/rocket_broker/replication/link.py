"""What a slave knows of its master at this moment; a master's own link stays empty."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class MasterLink:
    """Addresses as `host:port`, empty while unknown."""

    address: str = ""
    ha_address: str = ""
    is_connected: bool = False
