"""Whatever a person wishes, in whatever order and however far the last wish has come: what always holds, holds."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from rocket_operator.rollout.view import Blocker
from rocket_testing.operator_bench import Bench, bench

WISHES: list[dict[str, Any]] = [
    {"broker": {"groups": 1}}, {"broker": {"groups": 2}}, {"broker": {"groups": 3}},
    {"broker": {"slavesPerGroup": 0}}, {"broker": {"slavesPerGroup": 2}}, {"nameServer": {"replicas": 3}},
    {"version": "2.0"}, {"version": "3.0"}, {"broker": {"config": {"messageIndexEnable": "false"}}},
    {"broker": {"config": {"fileReservedTime": "24"}}}, {"broker": {"storage": {"whenScaled": "Delete"}}},
    {"managementPolicy": "Paused"}, {"managementPolicy": "Managed"},
]  # fmt: skip

_GROUP = "rocketcluster.dev/group"

#: A wish, how many looks pass before the next one, and which group holds messages from then on.
steps = st.lists(st.tuples(st.sampled_from(WISHES), st.integers(0, 6), st.integers(0, 2)), min_size=1, max_size=5)


@given(steps)
@example([({"broker": {"groups": 1}}, 2, 2), ({"broker": {"groups": 3}}, 6, 2)])  # a group comes back before others
@settings(
    max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
)
def test_nothing_is_lost_nobody_is_disturbed_twice_and_it_comes_to_rest(wishes: list[Any]) -> None:
    asyncio.run(_live(wishes))


async def _live(wishes: list[Any]) -> None:
    async with bench() as b:
        b.make(broker={"groups": 2}, scaling={"down": {"stableSeconds": 0}})
        await b.until_stable()
        away: list[int] = []
        b.store.on_change.append(lambda event, one: _count_absent(b, event, one, away))
        for wish, looks, full in wishes:
            b.brokers.groups[full].backlog = (Blocker("pay", "settle", 5),)
            b.edit(**wish)
            for _ in range(looks):
                await _look(b)
        assert max(away, default=0) <= 1, "brokers of which one restarts are never fewer than all but one"
        b.edit(managementPolicy="Managed")
        for group in range(3):
            b.brokers.groups[group].backlog = ()
        await _come_to_rest(b)


def _count_absent(b: Bench, event: str, one: dict[str, Any], away: list[int]) -> None:
    """When a broker's pod goes: how many brokers that should run do not."""
    if event != "DELETED" or one["kind"] != "Pod" or _GROUP not in one["metadata"]["labels"]:
        return
    wanted = sum(each["spec"]["replicas"] for each in b.store.list("StatefulSet"))
    serving = [pod for pod in b.store.list("Pod", "default", _GROUP) if pod.get("status", {}).get("phase") == "Running"]
    away.append(wanted - len(serving))


def _adopt(b: Bench, group: str) -> None:
    wish = {"metadata": {"annotations": {"rocketcluster.dev/adopt-volumes": group}}}
    b.store.patch(("RocketCluster", "default", "orders"), wish)


async def _look(b: Bench) -> None:
    """One look. A group that holds messages does not go."""
    holding = {group for group, data in b.brokers.groups.items() if data.backlog and b.state(group) == "Active"}
    await b.look()
    for group in holding:
        assert f"orders-broker-{group}" in b.names("StatefulSet"), f"group {group} went with its messages"


async def _come_to_rest(b: Bench) -> None:
    for _ in range(60):
        await _look(b)
        if b.condition("Scaling").get("reason") == "OldVolumesFound":
            _adopt(b, b.condition("Scaling")["message"].split()[1])
            await _look(b)
        if b.condition("Stable").get("status") == "True":
            break
    assert b.condition("Stable")["status"] == "True", b.status()
    b.kubernetes.faults.writes.clear()
    await b.look()
    assert b.kubernetes.faults.writes == [], "at rest, nothing is written"
