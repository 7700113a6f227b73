"""Shows a running cluster: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rocket_cli.console import table
from rocket_operator.objects.members import Member
from rocket_operator.objects.ports import CLIENTS
from rocket_operator.objects.processes import Desired
from rocket_operator.rollout.processes import Observed, Phase

_COLOURS = {"ready": "green", "not ready": "yellow", "starting": "yellow", "stopping": "yellow", "down": "red"}


@dataclass(frozen=True, slots=True)
class Row:
    """One member as the table shows it. `state` is one of the words of `_COLOURS`, or "waiting"."""

    member: Member
    role: str
    ports: str
    state: str
    reason: str
    restarts: int
    pid: int


def rows(desired: Desired, observed: Mapping[str, Observed]) -> list[Row]:
    """Everybody who is wanted or still there, in the order they start."""
    ports = {process.name: process.ports for process in desired.processes}
    roles = {process.name: process.role for process in desired.processes}
    everybody = {process.name: process.member for process in desired.processes}
    everybody |= {name: one.member for name, one in observed.items() if one.phase is not Phase.ENDED}
    ordered = sorted(everybody.values(), key=lambda member: member.start_rank)
    return [
        _row(member, roles.get(member.name, member.role), ports.get(member.name, {}), observed.get(member.name))
        for member in ordered
    ]


def _row(member: Member, role: str, ports: Mapping[str, int], seen: Observed | None) -> Row:
    listed = ", ".join(str(port) if what == CLIENTS else f"{what} {port}" for what, port in ports.items())
    if seen is None:
        return Row(member, role, listed, "waiting", "", 0, 0)
    return Row(member, role, listed, _state(seen), seen.reason, seen.restarts, seen.pid)


def _state(seen: Observed) -> str:
    if seen.phase is Phase.ENDED:
        return "down"
    if seen.phase in (Phase.STOPPING, Phase.KILLED):
        return "stopping"
    if seen.ready:
        return "ready"
    return "not ready" if seen.answers else "starting"


class PlainView:
    """One line for each thing that happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._states: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def said(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def seen(self, desired: Desired, observed: Mapping[str, Observed]) -> None:
        states = {row.member.name: row for row in rows(desired, observed)}
        for name, row in states.items():
            if row.state == "ready" != self._states.get(name):
                self.said(f"{name} is ready: {row.role}, ports {row.ports}, pid {row.pid}")
        self._states = {name: row.state for name, row in states.items()}


class LiveView(PlainView):
    """The table, drawn anew when it changed; what is said scrolls by above it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._shown: Sequence[Row] = ()

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def seen(self, desired: Desired, observed: Mapping[str, Observed]) -> None:
        current = rows(desired, observed)
        if current != self._shown:
            self._shown = current
            self._live.update(members_table(current), refresh=True)


def view(console: Console) -> PlainView:
    return LiveView(console) if console.is_terminal else PlainView(console)


def members_table(shown: Sequence[Row]) -> Table:
    result = table("member", "role", "ports", "state", "restarts", "pid")
    for row in shown:
        state = Text(f"{row.state}: {row.reason}" if row.reason else row.state, _COLOURS.get(row.state, ""))
        result.add_row(row.member.name, row.role, row.ports, state, str(row.restarts), str(row.pid or ""))
    return result
