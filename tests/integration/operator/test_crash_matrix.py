"""The operator killed after its n-th write, for every n: another one that knows nothing brings it to the same end.

A write is a change in the API server or a word to a broker. `make test` kills after every 13th, `make crash-matrix`
after each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rocket_operator.cluster.api import ApiError
from rocket_testing.operator_bench import Bench, bench
from rocket_wire.bodies.topics import TopicConfig

Change = Callable[[Bench], None]
_LOOKS = 200


def _create(b: Bench) -> None:
    b.make(broker={"groups": 2}, scaling={"down": {"stableSeconds": 0}})


def _scale_up(b: Bench) -> None:
    b.brokers.groups[0].topics = {"pay": TopicConfig("pay")}
    b.edit(broker={"groups": 3, "slavesPerGroup": 2}, nameServer={"replicas": 3})


def _scale_down(b: Bench) -> None:
    b.brokers.groups[1].topics = {"only-here": TopicConfig("only-here")}
    b.edit(broker={"groups": 1})


def _scale_down_with_volumes(b: Bench) -> None:
    b.edit(broker={"groups": 1, "slavesPerGroup": 0, "storage": {"whenScaled": "Delete"}})


def _change_settings(b: Bench) -> None:
    b.edit(broker={"config": {"messageIndexEnable": "false", "fileReservedTime": "24"}})


def _change_image(b: Bench) -> None:
    b.edit(version="2.0")


def _grow(b: Bench) -> None:
    b.store.create({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "standard"},
        "allowVolumeExpansion": True,
    })  # fmt: skip
    b.edit(broker={"storage": {"size": "20Gi"}})


def _delete(b: Bench) -> None:
    b.delete()


def _hibernate(b: Bench) -> None:
    b.edit(mode="Hibernated")


SCENARIOS: dict[str, Change | None] = {
    "create": None, "scale up": _scale_up, "scale down": _scale_down,
    "scale down with volumes": _scale_down_with_volumes, "change settings": _change_settings,
    "change image": _change_image, "grow volumes": _grow, "delete": _delete, "hibernate": _hibernate,
}  # fmt: skip


async def _settle(b: Bench) -> None:
    """Until nothing is left to do."""
    for _ in range(_LOOKS):
        for claim in b.store.list("PersistentVolumeClaim"):  # the volume's driver
            size = claim["spec"]["resources"]["requests"]["storage"]
            key = ("PersistentVolumeClaim", "default", claim["metadata"]["name"])
            b.store.patch(key, {"status": {"capacity": {"storage": size}}}, "status")
        before = b.store.version
        await b.look()
        if b.store.version == before and b.condition("Stable").get("status") != "False":
            return
        await asyncio.sleep(0)
    raise AssertionError(f"it never comes to rest: {b.status()}")


async def _until_killed(b: Bench) -> bool:
    """Looks until the operator's last write; False where it came to its end before."""
    for _ in range(_LOOKS):
        try:
            await b.look()
        except ApiError:
            return True
        if b.kubernetes.faults.is_cut:
            return True
        if b.condition("Stable").get("status") == "True" or not b.store.list("RocketCluster"):
            return False
        await asyncio.sleep(0)
    return False


async def _begin(b: Bench, scenario: str) -> None:
    _create(b)
    change = SCENARIOS[scenario]
    if change is not None:
        await _settle(b)
        change(b)


async def _undisturbed(scenario: str) -> tuple[object, int]:
    """How it ends, and how many writes it takes."""
    async with bench() as b:
        await _begin(b, scenario)
        begun = len(b.kubernetes.faults.writes)
        await _settle(b)
        return b.picture(), len(b.kubernetes.faults.writes) - begun


async def _killed_after(scenario: str, number: int) -> object:
    """How it ends when the operator dies after so many writes."""
    async with bench() as b:
        await _begin(b, scenario)
        faults = b.kubernetes.faults
        faults.last_write = len(faults.writes) + number
        await _until_killed(b)
        faults.last_write = None
        b.restart()
        await _settle(b)
        return b.picture()


async def _matrix(scenario: str, step: int) -> None:
    expected, writes = await _undisturbed(scenario)
    assert writes > 0 or scenario == "delete"
    for number in range(1, writes + 1, step):
        assert await _killed_after(scenario, number) == expected, f"killed after write {number} of {writes}"


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_an_operator_killed_now_and_then_leaves_no_trace(scenario: str) -> None:
    await _matrix(scenario, 13)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_an_operator_killed_after_any_write_leaves_no_trace(scenario: str) -> None:
    await _matrix(scenario, 1)
