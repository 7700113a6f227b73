"""Who we are to others: this host's address, and a name for each client."""

from __future__ import annotations

import ipaddress
import itertools
import os
import random
import socket
import time

from rocket_wire.message_id import UniqueKeys

_numbers = itertools.count()


def new_client_id() -> str:
    """`ip@pid#nanoseconds#number`: unlike any other in this process, on this host, and on others."""
    return f"{local_ip()}@{os.getpid()}#{time.time_ns()}#{next(_numbers)}"


def new_unique_keys() -> UniqueKeys:
    """A source of message ids that no other client has."""
    return UniqueKeys(ipaddress.ip_address(local_ip()).packed, os.getpid(), random.SystemRandom().getrandbits(32))


def local_ip() -> str:
    """The address from which this host reaches others; 127.0.0.1 where it reaches none. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation address: connecting a datagram socket only asks for a route
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
