"""Free ports for servers that tests start.

Ports are taken below the range from which the kernel serves outgoing connections, so that no connection of another
test can take one between the look and the use.
"""

from __future__ import annotations

import random
import socket
from typing import Final

_RANGE: Final = range(20000, 32000)


def free_port() -> int:
    """A port on which nobody listens."""
    return free_ports(0)


def free_broker_port() -> int:
    """A port for a broker: the VIP listener's (two below) and the replication's (one above) are free as well."""
    return free_ports(-2, 0, 1)


def free_ports(*offsets: int) -> int:
    """A port such that port + offset is free for each offset."""
    for port in random.sample(_RANGE, 500):
        if all(_is_free(port + offset) for offset in offsets):
            return port
    raise RuntimeError("no free ports: 500 tries")


def _is_free(port: int) -> bool:
    for host in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
