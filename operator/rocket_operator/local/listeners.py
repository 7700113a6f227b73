"""Ports in use: which of a process's ports somebody else listens on, and who that is."""

from __future__ import annotations

import socket

import psutil

from rocket_operator.objects.processes import LOOPBACK, Process


def conflicts(process: Process) -> list[str]:
    """A sentence for each port that `process` needs and cannot have."""
    return [
        f"port {port}, which {process.name} needs for {purpose}, is in use by {holder(port)}"
        for purpose, port in process.ports.items()
        if is_taken(port)
    ]


def is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger after a stop do not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def holder(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return f"pid {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass  # it ended meanwhile, or belongs to another user
    return "another process"
