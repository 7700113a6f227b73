"""Runs the cluster of a manifest on this machine, from start to orderly stop. `up` and `demo` are made of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rocket_cli.manifest_file import ManifestFile
from rocket_client import RocketError, ServerAdmin
from rocket_operator.local.configure import configure
from rocket_operator.local.folder import DataFolder
from rocket_operator.local.runner import Runner, Watcher
from rocket_operator.local.substrate import LocalSubstrate, Programs
from rocket_operator.objects.members import Role
from rocket_operator.objects.ports import CLIENTS
from rocket_operator.objects.processes import LOOPBACK, desired, name_server_addresses
from rocket_operator.problems import CannotStart
from rocket_operator.rollout.processes import Patience
from rocket_operator.spec import ClusterSpec, ReplicationMode

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Places:
    """Folders that the command line names; None for the usual ones."""

    data: Path | None = None
    programs: Path | None = None


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """A cluster that runs in the background."""

    file: ManifestFile
    runner: Runner
    running: asyncio.Task[None]
    root: Path

    @property
    def addresses(self) -> str:
        """What clients are given as the name servers."""
        return name_server_addresses(self.file.spec, "localhost")

    async def until_ready(self, timeout: float | None) -> bool:
        """True once all members are ready; False when the cluster was stopped before.

        Raises CannotStart when it takes longer than `timeout` seconds.
        """
        ready = asyncio.create_task(self._ready())
        await asyncio.wait({ready, self.running}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if ready.cancel() and not self.running.done():
            raise CannotStart(f"not all members are ready after {timeout:.0f} s; their logs are in {self.root}")
        return not self.running.done()

    async def _ready(self) -> None:
        """Returns when all members are ready, and the slaves of a synchronous cluster have what their masters have."""
        await self.runner.until_ready()
        if self.file.spec.broker.replication.mode is not ReplicationMode.SYNC:
            return
        async with ServerAdmin() as admin:
            for process in desired(self.file.spec, self.root).processes:
                if process.member.role is Role.MASTER:
                    await _until_it_has_a_slave(admin, f"{LOOPBACK}:{process.ports[CLIENTS]}")


async def _until_it_has_a_slave(admin: ServerAdmin, master: str) -> None:
    while not await _has_slave(admin, master):  # noqa: ASYNC110  # another process sends no events
        await asyncio.sleep(_LOOK_SECONDS)


async def _has_slave(admin: ServerAdmin, master: str) -> bool:
    try:
        return any(slave.in_sync for slave in await admin.slaves(master))
    except RocketError:
        return False  # it is asked again; how it does is the planner's to see


@asynccontextmanager
async def running(file: ManifestFile, places: Places, watcher: Watcher) -> AsyncIterator[LocalCluster]:
    """The cluster, from its first start until all of it is stopped; Ctrl-C and SIGTERM stop it, as leaving does.

    Raises CannotStart, or InvalidManifest when its ports collide.
    """
    home = DataFolder(places.data or Path("data") / file.spec.name)
    programs = Programs(configure, places.programs)
    wanted, patience = desired(file.spec, home.root), Patience()
    with home.lock():
        async with LocalSubstrate(home, programs, watcher.said, patience) as substrate:
            substrate.check(wanted)
            runner = Runner(substrate, wanted, watcher, patience)
            _stop_on_signals(runner, watcher)
            cluster = LocalCluster(file, runner, asyncio.create_task(runner.run()), home.root)
            following = asyncio.create_task(_follow(file, home.root, runner, watcher))
            try:
                yield cluster
            finally:
                following.cancel()
                if not runner.stopping:
                    runner.stop()
                await asyncio.gather(following, return_exceptions=True)
                await cluster.running


async def _follow(file: ManifestFile, root: Path, runner: Runner, watcher: Watcher) -> None:
    told = name_server_addresses(file.spec, "localhost")

    def changed(spec: ClusterSpec) -> None:
        nonlocal told
        if runner.stopping:
            return
        runner.want(desired(spec, root))
        watcher.said(f"{file.path} changed")
        addresses = name_server_addresses(spec, "localhost")
        if addresses != told:
            watcher.said(f"Name servers from now on:\n  export NAMESRV_ADDR='{addresses}'")
            told = addresses

    await file.follow(changed, watcher.said)


def _stop_on_signals(runner: Runner, watcher: Watcher) -> None:
    def stop() -> None:
        if not runner.stopping:
            watcher.said("stopping in order, so that nothing has to be recovered; Ctrl-C again kills what still runs")
        runner.stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)
