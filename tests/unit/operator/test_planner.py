"""The planner for Kubernetes: a cluster at rest, one thing about it otherwise, the next step out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rocket_operator.objects import broker as broker_objects
from rocket_operator.objects.groups import Group, State
from rocket_operator.rollout import scaling
from rocket_operator.rollout.cluster import next_step
from rocket_operator.rollout.steps import Apply, CopyMetadata, Delete, HandOver, Unregister, Wait
from rocket_operator.rollout.view import Blocker, View
from rocket_operator.status import Look, status
from rocket_testing.planned import (
    ACTIVE,
    DRAINING,
    GOING,
    GROUP_1,
    IMAGES,
    REMOVING,
    STALE,
    TWO,
    UNREGISTERING,
    at_rest,
    live,
    marked,
    moved_to,
    pod,
    seen,
    volume,
    with_broker,
    with_live,
    with_pod,
    without,
)  # fmt: skip
from rocket_wire.bodies.topics import TopicConfig


@pytest.mark.parametrize(("spec", "states"), [("{}", [ACTIVE]), (TWO, [ACTIVE, ACTIVE]), ("{mode: Hibernated}", [])])
def test_a_cluster_at_rest_is_left_alone(spec: str, states: list[State]) -> None:
    assert next_step(at_rest(spec, *states)) is None


def test_a_statefulset_that_kubernetes_has_not_seen_as_it_is_is_waited_for() -> None:
    """Until then nobody knows which pods are of an earlier revision: nothing is as the spec says."""
    view = with_live(at_rest(), "StatefulSet", "orders-broker-0", {"generation": 2})
    step = next_step(view)
    assert isinstance(step, Wait)
    assert "orders-broker-0" in step.why
    stable = status(Look(view, step), {})["conditions"][-1]
    assert (stable["type"], stable["status"]) == ("Stable", "False")


# -- failover ----------------------------------------------------------------------------------------------------------

AUTOMATIC = "{failover: {mode: Automatic}}"
ALONE = "{failover: {mode: Automatic}, broker: {slavesPerGroup: 0}}"


def led_by(view: View, ordinal: int) -> View:
    for number in (0, 1):
        view = with_pod(view, f"orders-broker-0-{number}", is_master=number == ordinal)
    return view


def test_a_master_that_is_scaled_away_hands_over_first() -> None:
    view = replace(led_by(at_rest(AUTOMATIC), 1), cluster=at_rest(ALONE).cluster)
    step = next_step(view)
    assert isinstance(step, HandOver)
    assert (step.pod, step.to) == ("orders-broker-0-1", "orders-broker-0-0")
    after = next_step(led_by(view, 0))
    assert isinstance(after, Apply)
    assert after.manifest["spec"]["replicas"] == 1


def beginning(lease: str) -> View:
    """The slave has a lease and follows nobody; the master, which is yet to be restarted, has this one."""
    view = at_rest(AUTOMATIC)
    settings = {**view.observed.brokers["orders-broker-0-0"].settings, "leaseStore": lease}
    view = with_broker(view, "orders-broker-0-1", behind=None)
    return with_pod(with_broker(view, "orders-broker-0-0", settings=settings), "orders-broker-0-0", revision=STALE)


def test_a_master_is_given_its_lease_while_its_slaves_cannot_follow_it_without() -> None:
    step = next_step(beginning(""))
    assert isinstance(step, Delete)
    assert step.name == "orders-broker-0-0"


def test_a_master_with_a_lease_is_not_restarted_while_its_slaves_do_not_follow() -> None:
    assert isinstance(next_step(beginning("kubernetes")), Wait)


def test_a_master_stays_while_no_member_that_stays_serves() -> None:
    view = replace(led_by(at_rest(AUTOMATIC), 1), cluster=at_rest(ALONE).cluster)
    step = next_step(with_pod(view, "orders-broker-0-0", ready=False))
    assert not isinstance(step, Apply) or step.manifest["kind"] != "StatefulSet"


# -- groups that come --------------------------------------------------------------------------------------------------


def test_a_new_group_is_not_opened_while_a_group_that_it_learns_from_is_silent() -> None:
    view = at_rest(TWO, ACTIVE, State.SYNCING)
    silent = {name: one for name, one in view.observed.brokers.items() if name != "orders-broker-0-0"}
    assert moved_to(next_step(view)) == "Active"
    assert isinstance(next_step(seen(view, brokers=silent)), Wait)


@pytest.mark.parametrize("group", [0, 1])
def test_a_new_group_is_not_opened_while_consumer_groups_are_unknown(group: int) -> None:
    view = with_broker(at_rest(TWO, ACTIVE, State.SYNCING), f"orders-broker-{group}-0", consumer_groups=None)
    assert isinstance(next_step(view), Wait)


def test_a_master_that_stops_is_not_told_anything_though_it_still_answers() -> None:
    view = at_rest(TWO, ACTIVE, State.SYNCING)
    assert isinstance(next_step(with_pod(view, f"{GROUP_1}-0", terminating=True)), Wait)


@pytest.mark.parametrize("topic", ["orders", "orders-broker-0", "orders-broker-7", "TBW102"])
def test_topics_that_every_broker_makes_for_itself_are_not_given_to_a_new_group(topic: str) -> None:
    view = at_rest(TWO, ACTIVE, State.SYNCING)
    found = next_step(
        with_broker(view, "orders-broker-0-0", topics={topic: TopicConfig(topic), "pay": TopicConfig("pay")})
    )
    assert isinstance(found, CopyMetadata)
    assert [each.topic_name for each in found.topics] == ["pay"]


def test_a_new_group_is_closed_and_is_not_made_unasked_while_old_volumes_of_its_number_are_there() -> None:
    view = at_rest(TWO, ACTIVE)
    old = replace(volume(view.cluster, 1, 0), released=True)
    assert [group.state for group in view.groups] == [ACTIVE, State.CREATING]
    assert next_step(seen(view, volumes=(*view.observed.volumes, old))) is None


# -- groups that go ----------------------------------------------------------------------------------------------------


def test_a_group_that_has_begun_to_leave_goes_before_a_higher_one() -> None:
    view = at_rest("{}", ACTIVE, DRAINING, ACTIVE)
    leaving = scaling.leaving(view)
    assert leaving is not None
    assert leaving.index == 1


def test_every_member_must_take_no_more_messages_before_a_group_is_drained() -> None:
    view = at_rest("{}", ACTIVE, State.CORDONING)
    assert moved_to(next(scaling.drain(view))) == "Draining"
    open_slave = {**view.observed.brokers[f"{GROUP_1}-1"].settings, "brokerPermission": "6"}
    assert isinstance(next(scaling.drain(with_broker(view, f"{GROUP_1}-1", settings=open_slave))), Wait)


@pytest.mark.parametrize(
    ("backlog", "state"),
    [((), "Verifying"), ((Blocker("pay", "settle", 1),), "Unregistering"), (None, "Unregistering")],
)
def test_a_late_drain_is_forced_only_where_something_is_or_may_be_left(
    backlog: tuple[Blocker, ...] | None, state: str
) -> None:
    view = at_rest("{scaling: {down: {drainTimeoutSeconds: 10, onTimeout: Force}}}", ACTIVE, DRAINING)
    assert moved_to(next_step(with_broker(view, f"{GROUP_1}-0", backlog=backlog))) == state


def test_a_group_whose_backlog_is_unknown_stays() -> None:
    view = at_rest("{scaling: {down: {stableSeconds: 0}}}", ACTIVE, DRAINING)
    assert isinstance(next_step(with_broker(view, f"{GROUP_1}-0", backlog=None)), Wait)


@pytest.mark.parametrize("behind", [None, 1])
def test_a_group_whose_slave_may_have_more_than_its_master_stays_or_is_forced(behind: int | None) -> None:
    stays = at_rest("{scaling: {down: {stableSeconds: 0}}}", ACTIVE, DRAINING)
    step = next_step(with_broker(stays, f"{GROUP_1}-1", behind=behind))
    assert isinstance(step, Wait)
    assert f"{GROUP_1}-1 does not follow its master" in step.why
    verified = at_rest("{scaling: {down: {stableSeconds: 0}}}", ACTIVE, State.VERIFYING)
    assert moved_to(next_step(with_broker(verified, f"{GROUP_1}-1", behind=behind))) == "Draining"
    goes = at_rest("{scaling: {down: {drainTimeoutSeconds: 10, onTimeout: Force}}}", ACTIVE, DRAINING)
    assert moved_to(next_step(with_broker(goes, f"{GROUP_1}-1", behind=behind))) == "Unregistering"


def test_a_group_whose_slave_has_no_pod_stays_with_what_that_one_may_hold() -> None:
    view = at_rest("{scaling: {down: {stableSeconds: 0}}}", ACTIVE, DRAINING)
    brokers = {name: each for name, each in view.observed.brokers.items() if name != f"{GROUP_1}-1"}
    found = next(scaling.drain(seen(without(view, f"{GROUP_1}-1"), brokers=brokers)))
    assert f"{GROUP_1}-1 does not follow its master" in found.why
    alone = at_rest("{broker: {slavesPerGroup: 0}, scaling: {down: {stableSeconds: 0}}}", ACTIVE, DRAINING)
    assert moved_to(next(scaling.drain(alone))) == "Verifying"


def test_no_group_is_forced_out_while_the_cluster_hibernates() -> None:
    spec = "{mode: Hibernated, scaling: {down: {drainTimeoutSeconds: 1, onTimeout: Force}}}"
    assert next_step(at_rest(spec, ACTIVE, DRAINING)) is None


def test_the_last_group_that_takes_messages_stays_until_a_wanted_one_does() -> None:
    view = at_rest("{}", State.CREATING, ACTIVE, ACTIVE)
    found = next(scaling.drain(view))
    assert found.why == "group 2 stays until another group takes messages"


def test_a_group_past_return_is_unregistered_though_it_is_wanted_again() -> None:
    view = seen(at_rest(TWO, ACTIVE, UNREGISTERING), routes={"10.0.9.1:9876": frozenset({GROUP_1})})
    found = next_step(view)
    assert isinstance(found, Unregister)
    assert (found.name_server, found.broker_name) == ("10.0.9.1:9876", GROUP_1)
    assert moved_to(next_step(seen(view, routes={"10.0.9.1:9876": frozenset({"orders-broker-0"})}))) == "Removing"


def test_a_group_keeps_its_config_map_until_nothing_else_is_left_of_it() -> None:
    view = at_rest("{}", ACTIVE, REMOVING)
    assert isinstance(found := next_step(marked(view)), Delete)
    assert found.target == f"ConfigMap {GROUP_1}"
    set_that_goes = live(broker_objects.stateful_set(view.cluster, Group(1, REMOVING), IMAGES))
    set_that_goes["metadata"] |= GOING
    left = marked(view).observed.with_object(set_that_goes)
    assert next_step(replace(view, observed=left)) is None


# -- objects -----------------------------------------------------------------------------------------------------------


def test_an_object_that_goes_is_waited_for_and_neither_changed_nor_deleted_again() -> None:
    view = with_live(at_rest(), "Service", "orders-namesrv", {**GOING, "labels": {}})
    unwanted = ("Service", "orders-broker-4")
    going = {**view.observed.objects["Service", "orders-broker-0"], "metadata": {"name": unwanted[1], **GOING}}
    assert next_step(seen(view, objects={**view.observed.objects, unwanted: going})) is None


def test_nothing_is_done_to_a_paused_cluster() -> None:
    assert next_step(seen(at_rest("{managementPolicy: Paused}"), objects={})) is None


# -- restarts ----------------------------------------------------------------------------------------------------------


def stale(spec: str = "{}", *states: State) -> View:
    """Only the master of group 0 has yet to be restarted."""
    return with_pod(at_rest(spec, *states), "orders-broker-0-0", revision=STALE)


def restarted(view: View) -> list[str]:
    step = next_step(view)
    return [step.name] if isinstance(step, Delete) and step.kind == "Pod" else []


def test_a_master_is_restarted_when_its_slaves_have_all_that_it_has() -> None:
    assert restarted(stale()) == ["orders-broker-0-0"]


@pytest.mark.parametrize(("behind", "names"), [(100, ["orders-broker-0-0"]), (101, []), (None, [])])
def test_a_master_waits_for_slaves_that_are_too_far_or_who_knows_how_far_behind(
    behind: int | None, names: list[str]
) -> None:
    view = stale("{update: {maxLagBytes: 100}}")
    assert restarted(with_broker(view, "orders-broker-0-1", behind=behind)) == names


def test_slaves_restart_before_their_master() -> None:
    assert restarted(with_pod(stale(), "orders-broker-0-1", revision=STALE)) == ["orders-broker-0-1"]


@pytest.mark.parametrize("away", [{"ready": False}, {"terminating": True}])
def test_no_broker_is_restarted_while_one_of_another_group_does_not_serve(away: dict[str, bool]) -> None:
    assert restarted(with_pod(stale(TWO, ACTIVE, ACTIVE), f"{GROUP_1}-1", **away)) == []


def test_no_broker_is_restarted_while_one_of_another_group_is_not_there() -> None:
    assert restarted(without(stale(TWO, ACTIVE, ACTIVE), f"{GROUP_1}-1")) == []


def test_no_broker_is_restarted_while_a_group_leaves() -> None:
    view = stale("{}", ACTIVE, UNREGISTERING)
    still_there = tuple(pod(Group(1, UNREGISTERING), ordinal) for ordinal in (0, 1))
    assert restarted(seen(view, pods=(*view.observed.pods, *still_there))) == []


def test_a_broker_that_does_not_serve_is_restarted_at_once_and_only_once() -> None:
    view = with_pod(stale(), "orders-broker-0-1", ready=False, revision=STALE)
    assert restarted(view) == ["orders-broker-0-1"]
    assert restarted(with_pod(view, "orders-broker-0-1", terminating=True)) == []


@pytest.mark.parametrize("spec", ["{mode: Hibernated}", "{update: {strategy: OnDelete}}"])
def test_a_cluster_that_hibernates_or_whose_pods_a_person_restarts_has_no_broker_restarted(spec: str) -> None:
    running = stale().observed
    assert restarted(seen(at_rest(spec), pods=running.pods, brokers=running.brokers)) == []


def test_no_broker_is_restarted_before_kubernetes_has_told_the_revision_of_the_latest_change() -> None:
    assert restarted(with_live(stale(), "StatefulSet", "orders-broker-0", {"generation": 2})) == []


def test_a_pod_that_is_going_has_no_say_in_the_version() -> None:
    old = with_pod(at_rest(), "orders-broker-0-1", version="0.9")
    assert status(Look(old), {})["version"]["current"] == "0.9"
    going = with_pod(old, "orders-broker-0-1", terminating=True)
    assert status(Look(going), {})["version"]["current"] == "1.0"
