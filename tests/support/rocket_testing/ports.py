"""Free ports for servers that tests start.

Ports are taken below the range from which the kernel serves outgoing connections, so that no connection of another
test can take one between the look and the use. Test processes that run side by side (pytest-xdist) have a share of the
range each, for the same reason.
"""

from __future__ import annotations

import os
import random
import socket
from typing import Final

_ALL: Final = range(20000, 32000)
_WORKERS: Final = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_SHARE: Final = len(_ALL) // _WORKERS
_RANGE: Final = _ALL[_WORKER * _SHARE : (_WORKER + 1) * _SHARE]


def free_port() -> int:
    """A port on which nobody listens."""
    return free_ports(0)


def free_broker_port() -> int:
    """A port for a broker: the VIP listener's (two below) and the replication's (one above) are free as well."""
    return free_ports(-2, 0, 1)


def free_ports(*offsets: int) -> int:
    """A port such that port + offset is free for each offset."""
    for port in random.sample(_RANGE[max(0, -min(offsets)) : len(_RANGE) - max(offsets)], 500):
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
