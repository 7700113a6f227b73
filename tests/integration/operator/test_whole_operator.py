"""The operator as it runs: it leads, watches by kopf, reconciles, and tells of itself over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rocket_operator import handlers
from rocket_operator.cluster.api import Api, ApiError
from rocket_operator.cluster.kinds import OPTIONAL
from rocket_operator.cluster.leader import Leader, Timing
from rocket_operator.runner import LEASE
from rocket_testing.kubernetes import Kubernetes
from rocket_testing.operator_bench import Bench
from rocket_testing.waiting import eventually
from rocket_testing.whole_operator import QUICK, SETTINGS, get, running, write_kubeconfig

Start = Callable[..., object]


@pytest.fixture
async def kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kubernetes]:
    async with Kubernetes() as found:
        write_kubeconfig(found, tmp_path / "kubeconfig")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield found


def make(kubernetes: Kubernetes, name: str = "orders") -> None:
    kubernetes.store.create({
        "apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster",
        "metadata": {"name": name, "namespace": "default"}, "spec": {},
    })  # fmt: skip


def is_stable(kubernetes: Kubernetes, name: str = "orders") -> bool:
    body = kubernetes.store.get("RocketCluster", "default", name) or {}
    found = {each["type"]: each for each in body.get("status", {}).get("conditions", [])}
    is_current = found.get("Stable", {}).get("observedGeneration") == body.get("metadata", {}).get("generation")
    return is_current and found["Stable"]["status"] == "True"


async def test_whatever_happens_to_a_cluster_or_its_children_wakes_the_operator(kubernetes: Kubernetes) -> None:
    async with running(kubernetes):
        make(kubernetes)
        await eventually(lambda: is_stable(kubernetes))
        kubernetes.store.delete(("Service", "default", "orders-namesrv"))
        await eventually(lambda: kubernetes.store.get("Service", "default", "orders-namesrv"))
        kubernetes.store.patch(("RocketCluster", "default", "orders"), {"spec": {"broker": {"groups": 2}}})
        await eventually(lambda: is_stable(kubernetes))
        assert kubernetes.store.get("StatefulSet", "default", "orders-broker-1") is not None


async def test_what_happens_between_a_list_and_its_watch_is_heard_by_the_watch(kubernetes: Kubernetes) -> None:
    listed = kubernetes.store.version
    make(kubernetes)
    url = f"{kubernetes.url}/apis/rocketcluster.dev/v1alpha1/rocketclusters"
    asked = {"watch": "true", "resourceVersion": listed}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url, params=asked) as watch:
        event = json.loads(await watch.content.readline())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "orders")


async def test_no_finalizer_and_no_annotation_is_put_on_a_resource(kubernetes: Kubernetes) -> None:
    async with running(kubernetes):
        make(kubernetes)
        await eventually(lambda: is_stable(kubernetes))
    body = kubernetes.store.get("RocketCluster", "default", "orders")
    assert body is not None
    assert not body["metadata"].get("finalizers")
    assert not body["metadata"].get("annotations")


def test_a_watch_that_is_refused_and_tried_again_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    handlers.tame_logs()
    logging.getLogger("kopf._cogs.clients.watching").error("refused")
    logging.getLogger("kopf.objects").info("an event")
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", "refused")]


async def test_watches_that_hear_nothing_cost_no_more_than_a_resync(kubernetes: Kubernetes) -> None:
    async with running(kubernetes, replace(SETTINGS, resync=0.3)):
        make(kubernetes)
        await eventually(lambda: is_stable(kubernetes))
        kubernetes.faults.is_deaf = True
        kubernetes.store.delete(("Service", "default", "orders-namesrv"))
        await eventually(lambda: kubernetes.store.get("Service", "default", "orders-namesrv"))


async def test_the_second_operator_stands_by_and_takes_over_at_once_when_the_first_stops(
    kubernetes: Kubernetes,
) -> None:
    patient = replace(SETTINGS, lease_namespace="default", timing=Timing(duration=60.0, renew=40.0, retry=0.05))
    first, second = (replace(patient, instance=name) for name in ("first", "second"))
    async with running(kubernetes, second) as standing_by:
        async with running(kubernetes, first):
            lease = await eventually(lambda: kubernetes.store.get("Lease", "default", LEASE))
            leader = lease["spec"]["holderIdentity"]
            make(kubernetes)
            await eventually(lambda: is_stable(kubernetes))
            if leader == "first":
                assert (await get(standing_by, "/readyz"))[1].startswith("standing by")
        make(kubernetes, "billing")
        await eventually(lambda: is_stable(kubernetes, "billing"))


async def test_a_leader_that_died_is_outwaited_and_not_a_moment_less(kubernetes: Kubernetes) -> None:
    async with Api(kubernetes.configuration) as api:
        dead = Leader(api, "default", LEASE, "dead", QUICK)
        await dead.acquired()
        heir = Leader(api, "default", LEASE, "heir", QUICK)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(QUICK.duration * 0.8):
                await heir.acquired()
        async with asyncio.timeout(10):
            await heir.acquired()
        async with asyncio.timeout(10):
            await dead.lost()


async def test_a_leader_that_cannot_renew_gives_up_before_another_may_lead(kubernetes: Kubernetes) -> None:
    async with Api(kubernetes.configuration) as api:
        leader = Leader(api, "default", LEASE, "first", QUICK)
        await leader.acquired()
        kubernetes.faults.answers = [500] * 1000
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.timeout(10):
            await leader.lost()
        assert loop.time() - begun < QUICK.duration + 1


class SilentApi(Api):
    """Answers until it is told to be silent; then a request is never over."""

    is_silent = False

    async def get(self, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        if self.is_silent:
            await asyncio.Event().wait()
        return await super().get(kind, namespace, name)


async def test_a_leader_whose_last_attempt_hangs_gives_up_before_another_may_lead(kubernetes: Kubernetes) -> None:
    timing = Timing(duration=1.6, renew=1.0, retry=0.9)
    async with SilentApi(kubernetes.configuration) as api:
        leader = Leader(api, "default", LEASE, "first", timing)
        await leader.acquired()
        api.is_silent = True
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.timeout(10):
            await leader.lost()
        assert loop.time() - begun < timing.duration


async def test_a_lease_that_is_another_ones_by_now_is_neither_renewed_nor_released(kubernetes: Kubernetes) -> None:
    async with Api(kubernetes.configuration) as api:
        leader = Leader(api, "default", LEASE, "first", QUICK)
        await leader.acquired()
        kubernetes.store.patch(("Lease", "default", LEASE), {"spec": {"holderIdentity": "second"}})
        async with asyncio.timeout(10):
            await leader.lost()
        await leader.release()
    lease = kubernetes.store.get("Lease", "default", LEASE)
    assert lease is not None
    assert lease["spec"]["holderIdentity"] == "second"


async def test_a_leader_that_renews_in_time_goes_on_leading(kubernetes: Kubernetes) -> None:
    async with Api(kubernetes.configuration) as api:
        leader = Leader(api, "default", LEASE, "first", QUICK)
        heir = Leader(api, "default", LEASE, "heir", QUICK)
        await leader.acquired()
        leading, waiting = asyncio.create_task(leader.lost()), asyncio.create_task(heir.acquired())
        done, _ = await asyncio.wait({leading, waiting}, timeout=QUICK.duration * 2)
        for task in (leading, waiting):
            task.cancel()
        await asyncio.gather(leading, waiting, return_exceptions=True)
    assert not done


async def test_a_lease_is_outwaited_for_as_long_as_its_holder_said(kubernetes: Kubernetes) -> None:
    async with Api(kubernetes.configuration) as api:
        await Leader(api, "default", LEASE, "patient", replace(QUICK, duration=1000)).acquired()
        heir = Leader(api, "default", LEASE, "heir", QUICK)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(QUICK.duration * 1.5):
                await heir.acquired()


async def test_a_lease_that_is_let_go_is_not_outwaited(kubernetes: Kubernetes) -> None:
    async with Api(kubernetes.configuration) as api:
        first = Leader(api, "default", LEASE, "first", replace(QUICK, duration=1000))
        await first.acquired()
        await first.release()
        async with asyncio.timeout(10):
            await Leader(api, "default", LEASE, "heir", QUICK).acquired()


async def test_an_operator_that_comes_back_under_its_name_leads_at_once(kubernetes: Kubernetes) -> None:
    async with Api(kubernetes.configuration) as api:
        await Leader(api, "default", LEASE, "first", replace(QUICK, duration=1000)).acquired()
        async with asyncio.timeout(10):
            await Leader(api, "default", LEASE, "first", QUICK).acquired()


async def test_the_operator_tells_of_itself_and_of_its_clusters(kubernetes: Kubernetes) -> None:
    async with running(kubernetes) as operator:
        make(kubernetes)
        await eventually(lambda: is_stable(kubernetes))
        assert (await get(operator, "/healthz"))[0] == 200
        assert await get(operator, "/readyz") == (200, "leading\n")

        async def metrics() -> str:
            return (await get(operator, "/metrics"))[1]

        lines = (await metrics()).splitlines()
        assert "rocket_operator_leader 1.0" in lines
        assert any(line.startswith("rocket_operator_queue_depth") for line in lines)
        assert 'rocket_cluster_condition{name="orders",namespace="default",status="True",type="Stable"} 1.0' in lines
        assert 'rocket_cluster_groups{name="orders",namespace="default",state="Active"} 1.0' in lines
        for name in (
            'rocket_operator_reconcile_total{result="success"}', "rocket_operator_reconcile_duration_seconds_count",
            "rocket_operator_reconcile_last_success_timestamp", "rocket_operator_watch_last_event_age_seconds",
            'rocket_operator_api_requests_total{code="200",verb="patch"}',
        ):  # fmt: skip
            assert any(line.startswith(name) and not line.endswith(" 0.0") for line in lines), name
        kubernetes.store.delete(("RocketCluster", "default", "orders"))

        async def is_forgotten() -> bool:
            return "orders" not in await metrics()

        await eventually(is_forgotten)


async def test_only_the_very_object_that_was_seen_is_deleted(kubernetes: Kubernetes) -> None:
    metadata = {"name": "made-anew", "namespace": "default"}
    kubernetes.store.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    async with Api(kubernetes.configuration) as api:
        with pytest.raises(ApiError) as refused:
            await api.delete("ConfigMap", "default", "made-anew", "the uid of an earlier one")
    assert refused.value.is_conflict
    assert kubernetes.store.get("ConfigMap", "default", "made-anew") is not None


class ConfinedApi(Api):
    """May not see the Prometheus operator's objects."""

    async def list(self, kind: str, namespace: str | None, label_selector: str | None = None) -> list[dict[str, Any]]:
        if kind in OPTIONAL:
            raise ApiError(403, "Forbidden", f"{kind} may not be listed")
        return await super().list(kind, namespace, label_selector)


async def test_an_operator_that_may_not_see_monitors_does_without_them() -> None:
    async with Kubernetes(without=frozenset()) as kubernetes, ConfinedApi(kubernetes.configuration) as api:
        b = Bench(kubernetes, api)
        b.make()
        await b.until_stable()
        assert b.names("PodMonitor") == []


class EvictedApi(Api):
    """Remembers a pod of the cluster that was evicted."""

    async def list(self, kind: str, namespace: str | None, label_selector: str | None = None) -> list[dict[str, Any]]:
        found = await super().list(kind, namespace, label_selector)
        spec = {"containers": [{"name": "namesrv", "image": "namesrv:1.0"}]}
        evicted = {"metadata": {"name": "evicted", "uid": "e"}, "spec": spec, "status": {"phase": "Failed"}}
        return [*found, evicted] if kind == "Pod" else found


async def test_a_pod_that_was_evicted_and_is_only_remembered_keeps_no_cluster_from_hibernating() -> None:
    async with Kubernetes() as kubernetes, EvictedApi(kubernetes.configuration) as api:
        b = Bench(kubernetes, api)
        b.make()
        await b.until_stable()
        b.edit(mode="Hibernated")
        await b.until_stable()


async def test_monitors_and_rules_are_made_where_their_kinds_exist() -> None:
    async with Kubernetes(without=frozenset()) as kubernetes, Api(kubernetes.configuration) as api:
        b = Bench(kubernetes, api)
        b.make()
        await b.until_stable()
        assert b.names("PodMonitor") == ["orders"]
        assert b.names("PrometheusRule") == ["orders"]
        b.edit(monitoring={"podMonitor": "Disabled"})
        await b.until_stable()
        assert b.names("PodMonitor") == []
