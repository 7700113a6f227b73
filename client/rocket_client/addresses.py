"""Who we are to others: this host's address, and a name for each client."""

from __future__ import annotations

import itertools
import os
import socket
import time

_numbers = itertools.count()


def new_client_id() -> str:
    """`ip@pid#nanoseconds#number`: unlike any other in this process, on this host, and on others."""
    return f"{local_ip()}@{os.getpid()}#{time.time_ns()}#{next(_numbers)}"


def local_ip() -> str:
    """The address from which this host reaches others; 127.0.0.1 where it reaches none. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation address: connecting a datagram socket only asks for a route
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
