"""Free ports for servers that tests start: no two tests, and no two servers of one, get the same."""

from __future__ import annotations

import socket

import pytest

from rocket_testing.ports import Ports, share


def test_a_port_is_not_given_out_again_before_all_others() -> None:
    ports = Ports(range(7000, 7040))
    taken = [ports.take(0) for _ in range(40)]
    assert len(set(taken)) > 38  # somebody else may have one of them


def test_no_port_of_a_broker_is_given_to_another_server() -> None:
    ports = Ports(range(7000, 7040))
    broker, other = ports.take(-2, 0, 1), ports.take(0)
    assert other not in {broker - 2, broker - 1, broker, broker + 1}


def test_a_port_in_use_is_left_out() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        with pytest.raises(RuntimeError, match="no free ports"):
            Ports(range(port, port + 1)).take(0)


@pytest.mark.parametrize("outgoing", ["32768\t60999\n", "16000\t65535\n", "1024\t65535\n"])
def test_shares_of_test_processes_do_not_overlap_each_other_or_the_ports_of_connections(outgoing: str) -> None:
    shares = [set(share(worker, 3, outgoing)) for worker in range(3)]
    assert sum(map(len, shares)) == len(set.union(*shares)) == 12000
    if not outgoing.startswith("1024"):
        assert max(set.union(*shares)) < int(outgoing.split()[0])
