"""Free ports for servers that tests start.

Ports are taken below the range from which the kernel serves outgoing connections, so that no connection of another
test can take one between the look and the use. Test processes that run side by side (pytest-xdist) have a share of the
range each, and one process goes through its share in order, each for the same reason: a port that was given out and is
not yet listened on looks free.
"""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import Final

_OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_COUNT: Final = 12000


class Ports:
    """Ports of a range, each given out once until the range is used up. Not for threads."""

    def __init__(self, ports: range) -> None:
        self._ports = ports
        self._next = random.choice(ports)

    def take(self, *offsets: int) -> int:
        """A port such that port + offset is free for each offset; no port between these is given out either."""
        low, high = min(0, *offsets), max(0, *offsets)
        for _ in self._ports:
            first = self._next if self._next + high - low in self._ports else self._ports.start
            port = first - low
            if all(_is_free(port + offset) for offset in (0, *offsets)):
                self._next = port + high + 1
                return port
            self._next = first + 1
        raise RuntimeError(f"no free ports in {self._ports}")


def share(worker: int, workers: int, outgoing: str) -> range:
    """The ports of one of `workers` test processes; `outgoing` is the kernel's range for connections, "32768 60999"."""
    first_outgoing = int(outgoing.split()[0])
    begin = first_outgoing - _COUNT if first_outgoing > _COUNT + 1024 else 20000
    size = _COUNT // workers
    return range(begin + worker * size, begin + (worker + 1) * size)


_PORTS: Final = Ports(
    share(
        int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")),
        int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
        _OUTGOING.read_text(),
    )
)


def free_port() -> int:
    """A port on which nobody listens."""
    return _PORTS.take(0)


def free_broker_port() -> int:
    """A port for a broker: the VIP listener's (two below) and the replication's (one above) are free as well."""
    return _PORTS.take(-2, 0, 1)


def free_ports(*offsets: int) -> int:
    """A port such that port + offset is free for each offset."""
    return _PORTS.take(*offsets)


def _is_free(port: int) -> bool:
    for host in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
