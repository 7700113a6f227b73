"""The planner by its sentences: one situation each, literals in, the next step out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath

import pytest

from rocket_operator.objects.members import Member
from rocket_operator.objects.processes import Desired, Process, desired
from rocket_operator.rollout.processes import Observed, Patience, Phase, Step, Verb, next_step, waits
from rocket_operator.spec import ClusterSpec

NOW = 1000.0
NAMESRV_0, NAMESRV_1 = "orders-namesrv-0", "orders-namesrv-1"
MASTER, SLAVE = "orders-broker-0-0", "orders-broker-0-1"


def wanted(
    groups: int = 1, slaves: int = 1, servers: int = 2, config: Mapping[str, str] | None = None, port: int = 9876
) -> Desired:
    spec = {
        "nameServer": {"replicas": servers, "port": port},
        "broker": {"groups": groups, "slavesPerGroup": slaves, "config": dict(config or {})},
    }
    kind = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster", "metadata": {"name": "orders"}}
    return desired(ClusterSpec.parse({**kind, "spec": spec}), PurePath("/srv"))


def running(process: Process) -> Observed:
    return Observed(process.member, Phase.RUNNING, NOW - 100, process.settings, answers=True, ready=True)


def all_running(desired: Desired) -> dict[str, Observed]:
    return {process.name: running(process) for process in desired.processes}


def ended(process: Process, failures: int, since: float = NOW) -> Observed:
    return Observed(process.member, Phase.ENDED, since, process.settings, failures=failures, reason="exited with 1")


def process(desired: Desired, name: str) -> Process:
    return next(process for process in desired.processes if process.name == name)


def step(desired: Desired, observed: Mapping[str, Observed], now: float = NOW) -> Step:
    found = next_step(desired, observed, now)
    assert found is not None
    return found


def test_nothing_runs_so_the_first_name_server_starts() -> None:
    first = step(wanted(), {})
    assert (first.verb, first.why) == (Verb.START, f"starting {NAMESRV_0}: name server 0")


def test_all_is_as_wanted() -> None:
    assert next_step(wanted(), all_running(wanted()), NOW) is None


def test_brokers_wait_until_the_name_servers_answer() -> None:
    seen = {name: one for name, one in all_running(wanted()).items() if one.member.group is None}
    silent = replace(seen[NAMESRV_1], since=NOW - 1, answers=False, ready=False)
    assert next_step(wanted(), seen | {NAMESRV_1: silent}, NOW) is None
    assert step(wanted(), seen).why == f"starting {MASTER}: master of group 0"


def test_a_name_server_that_stays_silent_does_not_hold_the_brokers_for_ever() -> None:
    seen = {name: one for name, one in all_running(wanted()).items() if one.member.group is None}
    silent = replace(seen[NAMESRV_1], since=NOW - Patience().start, answers=False, ready=False)
    assert step(wanted(), seen | {NAMESRV_1: silent}).name == MASTER


def test_a_name_server_that_keeps_failing_does_not_hold_the_brokers() -> None:
    desired = wanted()
    seen = {NAMESRV_0: running(process(desired, NAMESRV_0)), NAMESRV_1: ended(process(desired, NAMESRV_1), 3)}
    assert step(desired, seen).name == MASTER


def test_a_slave_waits_for_its_own_master_only() -> None:
    desired = wanted(groups=2)
    seen = all_running(desired)
    del seen[SLAVE], seen["orders-broker-1-1"]
    seen[MASTER] = replace(seen[MASTER], since=NOW - 1, ready=False)
    found = step(desired, seen)
    assert found.why == "starting orders-broker-1-1: slave 1 of group 1"


def test_what_died_is_restarted_with_its_reason() -> None:
    desired = wanted()
    seen = all_running(desired) | {MASTER: ended(process(desired, MASTER), 1, since=NOW - 1)}
    found = step(desired, seen)
    assert (found.verb, found.why) == (Verb.START, f"restarting {MASTER}: it exited with 1")


def test_what_keeps_dying_is_restarted_ever_later() -> None:
    desired = wanted()
    seen = all_running(desired) | {MASTER: ended(process(desired, MASTER), 3)}
    assert next_step(desired, seen, NOW) is None
    [wait] = waits(desired, seen, NOW)
    assert wait.why == f"restarting {MASTER} in 2.0 s: it exited with 1, 3 times in a row"
    assert step(desired, seen, NOW + 2.0).verb is Verb.START


def test_what_never_gets_better_has_one_sentence_however_often_it_fails() -> None:
    desired = wanted()
    for failures in (9, 10):
        [wait] = waits(desired, all_running(desired) | {MASTER: ended(process(desired, MASTER), failures)}, NOW)
        assert wait.why == f"restarting {MASTER} every 30 s: it exited with 1 each time"


def test_a_change_that_waits_for_a_member_that_fails_says_so() -> None:
    seen = all_running(wanted()) | {SLAVE: ended(process(wanted(), SLAVE), 3)}
    changed = wanted(config={"messageDelayLevel": "1s"})
    seen[SLAVE] = replace(seen[SLAVE], settings=process(changed, SLAVE).settings)
    assert next_step(changed, seen, NOW) is None
    assert [wait.why for wait in waits(changed, seen, NOW)] == [
        f"restarting {SLAVE} in 2.0 s: it exited with 1, 3 times in a row",
        f"restarting {MASTER}: messageDelayLevel changes; not before {SLAVE} is ready",
    ]


def test_what_was_killed_is_not_killed_again() -> None:
    seen = all_running(wanted())
    seen[SLAVE] = replace(seen[SLAVE], phase=Phase.KILLED)
    assert next_step(wanted(slaves=0), seen, NOW + 100) is None


def test_other_settings_are_tried_at_once() -> None:
    seen = all_running(wanted()) | {MASTER: ended(process(wanted(), MASTER), 9)}
    assert step(wanted(config={"defaultQueryMaxNum": "16"}), seen).verb is Verb.START


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (10_000, 30.0)])
def test_the_delay_doubles_up_to_a_limit(failures: int, seconds: float) -> None:
    assert Patience().restart_delay(failures) == seconds


def test_a_stable_time_makes_failures_forgotten() -> None:
    assert Patience().failures_after(4, ran_seconds=1.0) == 5
    assert Patience().failures_after(4, ran_seconds=30.0) == 1


def test_a_new_group_is_started_beside_the_old_one() -> None:
    assert step(wanted(groups=2), all_running(wanted())).name == "orders-broker-1-0"


def test_a_group_goes_slave_first_and_the_highest_first() -> None:
    seen = all_running(wanted(groups=3))
    first = step(wanted(), seen)
    assert (first.verb, first.name) == (Verb.STOP, "orders-broker-2-1")
    assert first.why == "stopping orders-broker-2-1: slave 1 is no longer wanted; its folder stays"
    del seen["orders-broker-2-1"]
    assert step(wanted(), seen).why == (
        "stopping orders-broker-2-0: group 2 is no longer wanted; its folder stays, and the messages in it come back "
        "when the group is added again"
    )


def test_a_master_waits_for_its_slaves_to_stop() -> None:
    seen = all_running(wanted(groups=2))
    slave = "orders-broker-1-1"
    seen[slave] = replace(seen[slave], phase=Phase.STOPPING, since=NOW)
    assert next_step(wanted(), seen, NOW) is None
    del seen[slave]
    assert step(wanted(), seen).name == "orders-broker-1-0"


def test_a_stop_that_takes_too_long_ends_with_a_kill() -> None:
    seen = all_running(wanted())
    seen[SLAVE] = replace(seen[SLAVE], phase=Phase.STOPPING, since=NOW - 30)
    assert step(wanted(slaves=0), seen).why == f"killing {SLAVE}: it did not stop within 30 s"


def test_everything_stops_slaves_before_their_master_and_name_servers_last() -> None:
    desired = wanted(groups=2)
    seen, order = all_running(desired), []
    while (found := next_step(desired.stopped(), seen, NOW)) is not None:
        order.append(found.name)
        del seen[found.name]
    assert order == [
        "orders-broker-1-1", "orders-broker-1-0", "orders-broker-0-1", "orders-broker-0-0", NAMESRV_1, NAMESRV_0,
    ]  # fmt: skip


def test_brokers_are_told_of_a_new_name_server_as_they_run() -> None:
    seen = all_running(wanted())
    seen["orders-namesrv-2"] = running(process(wanted(servers=3), "orders-namesrv-2"))
    found = step(wanted(servers=3), seen)
    assert (found.verb, found.name) == (Verb.CONFIGURE, MASTER)
    assert found.settings == {"namesrvAddr": "127.0.0.1:9876;127.0.0.1:9877;127.0.0.1:9878"}


def test_a_broker_that_does_not_answer_is_told_later() -> None:
    seen = {name: replace(one, answers=False) for name, one in all_running(wanted()).items()}
    assert step(wanted(servers=3), seen).verb is Verb.START
    seen["orders-namesrv-2"] = running(process(wanted(servers=3), "orders-namesrv-2"))
    assert next_step(wanted(servers=3), seen, NOW) is None


def test_a_name_server_goes_only_when_no_broker_names_it_any_more() -> None:
    before, after = all_running(wanted()), all_running(wanted(servers=1))
    assert step(wanted(servers=1), before).verb is Verb.CONFIGURE
    assert step(wanted(servers=1), before | {MASTER: after[MASTER]}).name == SLAVE
    told = before | {MASTER: after[MASTER], SLAVE: after[SLAVE]}
    assert step(wanted(servers=1), told).why == f"stopping {NAMESRV_1}: name server 1 is no longer wanted"


def test_name_servers_move_one_by_one_before_brokers_are_told_where_they_are() -> None:
    after = wanted(port=9976)
    seen = all_running(wanted())
    first = step(after, seen)
    assert (first.verb, first.name) == (Verb.STOP, NAMESRV_1)
    seen[NAMESRV_1] = running(process(after, NAMESRV_1))
    second = step(after, seen)
    assert (second.verb, second.name) == (Verb.STOP, NAMESRV_0)
    seen[NAMESRV_0] = running(process(after, NAMESRV_0))
    told = step(after, seen)
    assert (told.verb, told.name, told.settings["namesrvAddr"]) == (
        Verb.CONFIGURE, MASTER, "127.0.0.1:9976;127.0.0.1:9977",
    )  # fmt: skip


def test_a_broker_that_does_not_take_a_key_over_is_restarted() -> None:
    seen = all_running(wanted())
    seen = {name: replace(one, refused=frozenset({"namesrvAddr"})) for name, one in seen.items()}
    found = step(wanted(servers=1), seen)
    assert (found.verb, found.why) == (Verb.STOP, f"restarting {SLAVE}: namesrvAddr changes")


def test_a_key_that_needs_a_restart_restarts_the_slave_first() -> None:
    found = step(wanted(config={"messageDelayLevel": "1s"}), all_running(wanted()))
    assert (found.verb, found.why) == (Verb.STOP, f"restarting {SLAVE}: messageDelayLevel changes")


def test_a_key_that_goes_needs_a_restart() -> None:
    found = step(wanted(), all_running(wanted(config={"maxMessageSize": "1"})))
    assert (found.verb, found.why) == (Verb.STOP, f"restarting {SLAVE}: maxMessageSize changes")


def test_no_restart_while_somebody_else_is_away() -> None:
    changed = wanted(groups=2, config={"messageDelayLevel": "1s"})
    seen = all_running(wanted(groups=2))
    seen["orders-broker-1-0"] = replace(running(process(changed, "orders-broker-1-0")), ready=False)
    assert next_step(changed, seen, NOW) is None


def test_what_does_not_serve_is_restarted_with_better_settings_at_once() -> None:
    changed = wanted(config={"messageDelayLevel": "1s"})
    seen = all_running(wanted())
    seen[MASTER] = replace(seen[MASTER], ready=False)
    assert step(changed, seen).name == MASTER


def test_left_overs_are_stopped_before_they_are_started_anew() -> None:
    left_over = Observed(Member("orders", 0, 0), Phase.RUNNING, NOW, {}, left_over=True)
    found = step(wanted(), {MASTER: left_over})
    assert found.why == f"stopping {MASTER}: it is left over from an earlier run that was killed"
    assert step(wanted(), {MASTER: replace(left_over, phase=Phase.STOPPING)}).name == NAMESRV_0


def test_the_processes_of_another_cluster_are_not_ours() -> None:
    foreign = Observed(Member("pay", 0, 0), Phase.RUNNING, NOW, {}, left_over=True)
    assert next_step(wanted().stopped(), {"pay-broker-0-0": foreign}, NOW) is None
