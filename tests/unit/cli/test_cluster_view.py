"""What a person sees of a running cluster."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import PurePath

from rich.console import Console

from rocket_cli.view import LiveView, PlainView, rows, view
from rocket_operator.objects.members import Member
from rocket_operator.objects.processes import Desired, desired
from rocket_operator.rollout.processes import Observed, Phase
from rocket_operator.spec import ClusterSpec

MASTER = Member("orders", 0, 0)


def wanted() -> Desired:
    kind = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster", "metadata": {"name": "orders"}}
    spec = {"nameServer": {"replicas": 1}, "broker": {"slavesPerGroup": 0}}
    return desired(ClusterSpec.parse({**kind, "spec": spec}), PurePath("/srv"))


def running(member: Member = MASTER, **changes: object) -> Observed:
    plain = Observed(member, Phase.RUNNING, 0.0, {}, answers=True, ready=True, pid=42)
    return replace(plain, **changes)


def state(seen: Observed) -> str:
    return next(row.state for row in rows(wanted(), {MASTER.name: seen}) if row.member == MASTER)


def test_each_state_has_its_word() -> None:
    assert state(running()) == "ready"
    assert state(running(ready=False)) == "not ready"
    assert state(running(ready=False, answers=False)) == "starting"
    assert state(running(phase=Phase.STOPPING)) == "stopping"
    assert state(running(phase=Phase.ENDED)) == "down"
    assert [row.state for row in rows(wanted(), {})] == ["waiting", "waiting"]


def test_rows_stand_in_start_order_and_hold_whoever_is_still_there() -> None:
    slave = Member("orders", 0, 1)
    seen = {slave.name: running(slave), MASTER.name: running()}
    assert [row.member.name for row in rows(wanted(), seen)] == ["orders-namesrv-0", MASTER.name, slave.name]
    ended = {slave.name: running(slave, phase=Phase.ENDED)}
    assert slave not in [row.member for row in rows(wanted(), ended)]


def test_a_row_has_ports_restarts_and_pid() -> None:
    row = rows(wanted(), {MASTER.name: running(restarts=3)})[1]
    assert (row.ports, row.restarts, row.pid) == ("10911, VIP 10909, replication 10912, HTTP 10913", 3, 42)


def test_plain_lines_tell_once_that_a_member_is_ready() -> None:
    console = Console(file=io.StringIO(), width=40)
    plain = view(console)
    for _ in range(2):
        plain.seen(wanted(), {MASTER.name: running()})
    plain.seen(wanted(), {MASTER.name: running(ready=False)})
    plain.seen(wanted(), {MASTER.name: running(pid=43)})
    assert printed(console).splitlines() == [
        f"{MASTER.name} is ready: master, ports 10911, VIP 10909, replication 10912, HTTP 10913, pid 42",
        f"{MASTER.name} is ready: master, ports 10911, VIP 10909, replication 10912, HTTP 10913, pid 43",
    ]


def test_a_terminal_gets_a_table_with_sentences_above_it() -> None:
    console = Console(file=io.StringIO(), width=160, force_terminal=True)
    with view(console) as live:
        assert isinstance(live, LiveView)
        live.said("starting [it]")
        live.seen(wanted(), {MASTER.name: running(phase=Phase.ENDED, reason="exited with 1")})
    assert "starting [it]" in printed(console)
    assert "down: exited with 1" in printed(console)


def test_what_is_no_terminal_gets_lines() -> None:
    assert type(view(Console(file=io.StringIO()))) is PlainView


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
