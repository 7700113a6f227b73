"""Real clients against a running cluster: builds their programs, plays the scenarios, shows what came of them.

    python tests/interop/run.py --up                                     starts the quickstart's cluster itself
    python tests/interop/run.py --namesrv "localhost:9876;localhost:9877"
    python tests/interop/run.py --only go --only java-5.5.0:retry        a client, a scenario, or both

Exit status 1 when anything failed, or when there was no cluster. A missing toolchain is told in the table, and is
neither a failure nor a success.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rocket_interop import cluster, report, stores
from rocket_interop.clients import BUILD, BuildError, Client, all_clients
from rocket_interop.judgement import Faults
from rocket_interop.program import ProgramError
from rocket_interop.report import Outcome, Result
from rocket_interop.scenarios import SCENARIOS
from rocket_interop.stage import Stage

NAMESRV = "localhost:9876;localhost:9877"
FIND_SECONDS = 10
SCENARIO_SECONDS = 150
STORE_SECONDS = 300
AT_ONCE = 3
LONGEST_FIRST = ("retry",)  # it waits more than it works
SHOWN_FAULTS = 3


@dataclass(frozen=True)
class Run:
    """One run of the suite: where, under which name, and which clients can be used."""

    namesrv: str
    name: str
    usable: list[Client]

    async def play(self, client: Client, scenario: str) -> Result:
        others = [other for other in self.usable if other is not client and not other.options]
        if scenario == "mixed" and not others:
            return Result(client.name, scenario, Outcome.LEFT_OUT, "missing: any other client")
        logs = BUILD / "logs"
        stage = Stage(client, others, scenario, self.namesrv, self.name, logs)
        started = time.monotonic()
        try:
            faults = await faults_of(SCENARIOS[scenario](stage), SCENARIO_SECONDS)
        finally:
            await stage.clear()
        events = {program.name: program.events for program in stage.programs}
        return Result(client.name, scenario, *told(faults), time.monotonic() - started, events)


async def faults_of(playing: Awaitable[Faults], seconds: float) -> Faults:
    """What went wrong in a scenario; one that does not end, or whose programs or servers fail, has gone wrong."""
    try:
        async with asyncio.timeout(seconds):
            return await playing
    except TimeoutError:
        return [f"no end within {seconds} s"]
    except (ProgramError, cluster.ClusterError, stores.ServerFailed) as error:
        return [str(error)]


def told(faults: Faults) -> tuple[Outcome, str]:
    """How it went, and the reason to show."""
    return Outcome.FAILED if faults else Outcome.PASSED, "; ".join(faults[:SHOWN_FAULTS])


async def prepare(clients: list[Client], console: Console) -> tuple[list[Client], dict[str, tuple[Outcome, str]]]:
    """Builds what can be built. Answers with the usable clients, and for each other one why it is not."""
    problems: dict[str, tuple[Outcome, str]] = {}
    for build in dict.fromkeys(client.build for client in clients):
        names = [client.name for client in clients if client.build == build]
        missing = build.missing()
        if missing is not None:
            problems |= dict.fromkeys(names, (Outcome.LEFT_OUT, f"missing: {missing}"))
            continue
        console.print(f"building {', '.join(names)}", highlight=False)
        try:
            await build.make()
        except BuildError as error:
            problems |= dict.fromkeys(names, (Outcome.FAILED, f"could not be built: {error}"))
    return [client for client in clients if client.name not in problems], problems


async def play_all(run: Run, wanted: list[tuple[Client, str]], console: Console) -> list[Result]:
    turn = asyncio.Semaphore(AT_ONCE)

    async def play(pair: tuple[Client, str]) -> Result:
        async with turn:
            result = await run.play(*pair)
        console.print(f"{result.client} {result.scenario}: {result.cell()}", highlight=False)
        return result

    tasks = {pair: asyncio.create_task(play(pair)) for pair in sorted(wanted, key=_is_short)}
    return [await tasks[pair] for pair in wanted]


def _is_short(pair: tuple[Client, str]) -> bool:
    return pair[1] not in LONGEST_FIRST


def choose(clients: list[Client], only: list[str]) -> list[tuple[Client, str]]:
    """The pairs to play; `only` names clients, scenarios, or pairs as client:scenario."""
    pairs = [(client, scenario) for client in clients for scenario in client.scenarios]
    return [
        (client, scenario)
        for client, scenario in pairs
        if not only or {client.name, scenario, f"{client.name}:{scenario}"} & set(only)
    ]


async def play_stores(
    only: list[str], name: str, problem: tuple[Outcome, str] | None, console: Console
) -> list[Result]:
    """Our broker and Apache's in turn on one store: these start their own servers."""
    results = []
    for _, scenario in choose([stores.client()], only):
        if problem is not None:
            results.append(Result(stores.client().name, scenario, *problem))
            continue
        started = time.monotonic()
        faults = await faults_of(stores.play(scenario, name), STORE_SECONDS)
        results.append(Result(stores.client().name, scenario, *told(faults), time.monotonic() - started))
        console.print(f"{results[-1].client} {scenario}: {results[-1].cell()}", highlight=False)
    return results


async def run_suite(arguments: argparse.Namespace, console: Console) -> list[Result]:
    clients = all_clients()
    wanted = choose(clients, arguments.only)
    # Whoever plays "mixed" needs all the others.
    needed = clients if any(scenario == "mixed" for _, scenario in wanted) else [client for client, _ in wanted]
    if choose([stores.client()], arguments.only):
        needed = [*needed, stores.client()]
    usable, problems = await prepare(list(dict.fromkeys(needed)), console)
    if arguments.build_only:
        return [Result(name, "build", *problem) for name, problem in problems.items()]
    name = f"{int(time.time()):x}"
    async with AsyncExitStack() as stack:
        if not wanted:
            pass
        elif arguments.up:
            await stack.enter_async_context(cluster.started(arguments.up, arguments.namesrv))
        else:
            await cluster.wait_ready(arguments.namesrv, FIND_SECONDS)
        run = Run(arguments.namesrv, name, usable)
        played = await play_all(run, [pair for pair in wanted if pair[0] in usable], console)
    unplayed = [
        Result(client.name, scenario, *problems[client.name]) for client, scenario in wanted if client.name in problems
    ]
    played_stores = await play_stores(arguments.only, name, problems.get(stores.client().name), console)
    return played + unplayed + played_stores


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namesrv", default=NAMESRV, help="name servers, separated by ; (default: %(default)s)")
    parser.add_argument(
        "--up",
        nargs="?",
        const=cluster.QUICKSTART,
        metavar="MANIFEST",
        help="start a cluster, and stop it at the end (default: the quickstart's)",
    )
    parser.add_argument("--only", action="append", default=[], help="client, scenario or client:scenario; repeatable")
    parser.add_argument("--build-only", action="store_true", help="build what is chosen, and play nothing")
    parser.add_argument("--json", type=Path, help="write results and everything that was said to this file")
    arguments = parser.parse_args()
    # Reasons are sentences: without a terminal the table is made wide enough for them.
    console = Console(width=None if sys.stdout.isatty() else 160)
    if not choose([*all_clients(), stores.client()], arguments.only):
        parser.error(f"--only {' '.join(arguments.only)} names no client or scenario")
    try:
        results = asyncio.run(run_suite(arguments, console))
    except cluster.ClusterError as error:
        console.print(f"interop: {error}", markup=False)
        return 1
    report.show(results, console)
    if arguments.json:
        report.save(results, arguments.json)
    return 1 if any(result.outcome is Outcome.FAILED for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
