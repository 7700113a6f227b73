"""The planner for Kubernetes and volumes: which are deleted, kept, grown or given back, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rocket_operator.objects import broker as broker_objects
from rocket_operator.objects.groups import Group
from rocket_operator.rollout import objects
from rocket_operator.rollout.cluster import next_step
from rocket_operator.rollout.steps import Apply, Delete, Patch, Wait
from rocket_operator.rollout.view import View
from rocket_testing.planned import (
    ACTIVE,
    GROUP_1,
    IMAGES,
    REMOVING,
    TWO,
    applied,
    at_rest,
    live,
    marked,
    pod,
    seen,
    volume,
    with_broker,
    with_volumes,
    without,
)  # fmt: skip

# -- volumes -----------------------------------------------------------------------------------------------------------

DELETED_WHEN_SCALED = "{broker: {slavesPerGroup: 0, storage: {whenScaled: Delete}}}"


def test_a_volume_is_deleted_only_when_its_pod_is_gone() -> None:
    view = at_rest(DELETED_WHEN_SCALED)
    assert isinstance(found := next_step(view), Delete)
    assert found.target == "PersistentVolumeClaim store-orders-broker-0-1"
    still_there = replace(pod(Group(0, ACTIVE), 1), terminating=True)
    assert next_step(seen(view, pods=(*view.observed.pods, still_there))) is None


def test_a_volume_is_not_deleted_while_the_master_of_its_group_does_not_serve() -> None:
    view = at_rest(DELETED_WHEN_SCALED)
    assert isinstance(next_step(without(view, "orders-broker-0-0")), Wait)


def test_a_volume_that_waits_for_its_groups_master_holds_up_no_other() -> None:
    view = at_rest("{broker: {slavesPerGroup: 0, storage: {whenScaled: Delete}}}", ACTIVE, REMOVING)
    steps = list(objects.release_volumes(without(view, "orders-broker-0-0")))
    assert [step.target.rpartition("-broker-")[2] for step in steps] == ["1-0", "1-1", ""]


@pytest.mark.parametrize(
    ("storage", "behind", "replicas"),
    [("Delete", 0, 1), ("Delete", 70_000, 1), ("Delete", None, 2), ("Retain", None, 1)],
)
def test_a_slave_that_may_have_more_than_its_master_stays_where_its_volume_would_go(
    storage: str, behind: int | None, replicas: int
) -> None:
    kept = f"storage: {{whenScaled: {storage}}}"
    one, none = at_rest(f"{{broker: {{{kept}}}}}"), at_rest(f"{{broker: {{slavesPerGroup: 0, {kept}}}}}")
    view = replace(with_broker(one, "orders-broker-0-1", behind=behind), cluster=none.cluster)
    while isinstance(step := next_step(view), Apply):
        view = replace(view, observed=view.observed.with_object(applied(step.manifest)))
    assert view.observed.objects["StatefulSet", "orders-broker-0"]["spec"]["replicas"] == replicas
    assert isinstance(step, Wait) == (replicas == 2)


def test_volumes_of_a_group_that_nobody_knows_are_not_deleted() -> None:
    view = at_rest(DELETED_WHEN_SCALED)
    unknown = volume(view.cluster, 5, 1)
    assert next_step(seen(view, volumes=(view.observed.volumes[0], unknown))) is None


def test_a_slaves_volume_that_is_kept_does_not_count_as_a_removed_groups() -> None:
    assert next_step(at_rest("{broker: {slavesPerGroup: 0}}")) is None


def test_a_stateful_set_stays_until_its_volumes_would_survive_it() -> None:
    view = marked(at_rest("{}", ACTIVE, REMOVING))
    made = live(broker_objects.stateful_set(view.cluster, Group(1, REMOVING), IMAGES))
    view = replace(view, observed=view.observed.with_object(made))
    assert isinstance(found := next(objects.clean(view)), Delete)
    assert found.target == f"StatefulSet {GROUP_1}"
    assert isinstance(next(objects.clean(with_volumes(view, owned=True))), Wait)


def test_a_volume_that_is_larger_than_wished_is_left_as_it_is() -> None:
    view = at_rest("{broker: {storage: {size: 20Gi}}}")
    smaller = replace(view, cluster=at_rest("{broker: {storage: {size: 10Gi}}}").cluster)
    found = next_step(smaller)
    assert isinstance(found, Apply), "which says that it is smaller by now, and changes no template"
    assert found.manifest["spec"]["volumeClaimTemplates"] == template(view)


def template(view: View) -> Any:
    return view.observed.objects["StatefulSet", "orders-broker-0"]["spec"]["volumeClaimTemplates"]


def test_each_volume_grows_before_its_stateful_set_is_made_anew() -> None:
    larger = at_rest("{broker: {storage: {size: 30Gi}}}").cluster
    view = replace(at_rest("{broker: {storage: {size: 20Gi}}}"), cluster=larger)
    assert isinstance(found := next_step(view), Patch)
    assert (found.name, found.changes) == (
        "store-orders-broker-0-0", {"spec": {"resources": {"requests": {"storage": "30Gi"}}}},
    )  # fmt: skip
    made_anew = next_step(with_volumes(view, requested="30Gi"))
    assert isinstance(made_anew, Delete)
    assert (made_anew.target, made_anew.orphan) == ("StatefulSet orders-broker-0", True)


def test_old_volumes_come_back_once_and_the_wish_for_them_is_taken_off() -> None:
    view = marked(at_rest(TWO, ACTIVE, ACTIVE))
    view = replace(view, cluster=replace(view.cluster, annotations={"rocketcluster.dev/adopt-volumes": "1"}))
    adopted = next_step(view)
    assert isinstance(adopted, Patch)
    assert (adopted.name, adopted.changes) == (
        "store-orders-broker-1-0", {"metadata": {"annotations": {"rocketcluster.dev/released": None}}},
    )  # fmt: skip
    done = next_step(with_volumes(view, released=False))
    assert isinstance(done, Patch)
    assert (done.target, done.changes) == (
        "RocketCluster orders", {"metadata": {"annotations": {"rocketcluster.dev/adopt-volumes": None}}},
    )  # fmt: skip
