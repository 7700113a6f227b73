"""The planner against a model of a machine: any wish, any beginning, and processes that die as they like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

from hypothesis import given, settings
from hypothesis import strategies as st

from rocket_operator.objects.members import Member
from rocket_operator.objects.processes import Desired, desired
from rocket_operator.rollout.processes import Observed, Phase, Step, Verb, next_step, waits
from rocket_operator.spec import ClusterSpec

STEP_LIMIT = 400

unhurried = settings(deadline=None, max_examples=60)

counts = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.sampled_from(["1s", "1s 2s"]))


def wish(servers: int, groups: int, slaves: int, levels: str) -> Desired:
    spec = {
        "nameServer": {"replicas": servers},
        "broker": {"groups": groups, "slavesPerGroup": slaves, "config": {"messageDelayLevel": levels}},
    }
    kind = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster", "metadata": {"name": "orders"}}
    return desired(ClusterSpec.parse({**kind, "spec": spec}), PurePath("/srv"))


wishes = st.builds(lambda numbers: wish(*numbers), counts)


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Observed]:
    """Members of an earlier wish in any phase, some of them left over, and a member of another cluster."""
    seen = {"pay-broker-0-0": Observed(Member("pay", 0, 0), Phase.RUNNING, 0.0, {}, left_over=True)}
    for process in draw(wishes).processes:
        if draw(st.booleans()):
            phase = draw(st.sampled_from(Phase))
            serves = phase is Phase.RUNNING and draw(st.booleans())
            seen[process.name] = Observed(
                process.member, phase, 0.0, process.settings, answers=serves, ready=serves,
                left_over=phase is not Phase.ENDED and draw(st.booleans()), failures=draw(st.integers(1, 5)),
            )  # fmt: skip
    return seen


def do(step: Step, wanted: Desired, seen: dict[str, Observed], now: float) -> None:
    """What a machine does with a step. A stop takes a while, as a kill does: it is over when time has passed."""
    if step.verb is Verb.START:
        process = next(process for process in wanted.processes if process.name == step.name)
        seen[step.name] = Observed(process.member, Phase.RUNNING, now, process.settings)
    elif step.verb is Verb.STOP:
        seen[step.name] = replace(seen[step.name], phase=Phase.STOPPING, since=now, answers=False, ready=False)
    elif step.verb is Verb.KILL:
        seen[step.name] = replace(seen[step.name], phase=Phase.KILLED, answers=False, ready=False)
    elif step.verb is Verb.CONFIGURE:
        told = {**seen[step.name].settings, **step.settings}
        seen[step.name] = replace(seen[step.name], settings=told)


def pass_time(seen: dict[str, Observed]) -> None:
    for name, one in list(seen.items()):
        if one.member.cluster != "orders":
            continue
        if one.phase in (Phase.STOPPING, Phase.KILLED):
            del seen[name]
        elif one.phase is Phase.RUNNING:
            seen[name] = replace(one, answers=True, ready=True)


def converge(wanted: Desired, seen: dict[str, Observed]) -> list[Step]:
    """Every step until nothing is to be done and time changes nothing."""
    done, now, quiet = [], 0.0, 0
    for _ in range(STEP_LIMIT):
        step = next_step(wanted, seen, now)
        if step is None:
            waiting = waits(wanted, seen, now)
            before = dict(seen)
            pass_time(seen)
            now += 1.0
            quiet = quiet + 1 if not waiting and before == seen else 0
            if quiet > 1:
                return done
            continue
        check_that_it_is_harmless(step, wanted, seen)
        done.append(step)
        do(step, wanted, seen, now)
    raise AssertionError(f"no end after {STEP_LIMIT} rounds, the last was {done[-1].why}")


def check_that_it_is_harmless(step: Step, wanted: Desired, seen: dict[str, Observed]) -> None:
    assert step.member.cluster == wanted.cluster
    names = {process.name for process in wanted.processes}
    one = seen.get(step.name)
    if step.verb is Verb.STOP and one is not None and step.name in names and one.ready and not one.left_over:
        away = [name for name in names if name not in seen or not seen[name].ready]
        assert not away, f"{step.why} while {away} does not serve"


@unhurried
@given(wishes, machines())
def test_whatever_runs_becomes_what_is_wanted(wanted: Desired, seen: dict[str, Observed]) -> None:
    foreign = seen["pay-broker-0-0"]
    converge(wanted, seen)
    ours = {name: one for name, one in seen.items() if one.phase is not Phase.ENDED and one is not foreign}
    assert {name: one.settings for name, one in ours.items()} == {
        process.name: process.settings for process in wanted.processes
    }
    assert seen["pay-broker-0-0"] == foreign


@unhurried
@given(wishes, machines())
def test_what_has_converged_stays(wanted: Desired, seen: dict[str, Observed]) -> None:
    converge(wanted, seen)
    assert converge(wanted, seen) == []


@unhurried
@given(wishes, machines())
def test_everything_can_be_stopped(wanted: Desired, seen: dict[str, Observed]) -> None:
    converge(wanted.stopped(), seen)
    assert all(one.phase is Phase.ENDED for one in seen.values() if one.member.cluster == "orders")


@unhurried
@given(wishes, st.data())
def test_after_any_death_it_converges_again(wanted: Desired, data: st.DataObject) -> None:
    seen: dict[str, Observed] = {}
    converge(wanted, seen)
    victim = data.draw(st.sampled_from(sorted(seen)))
    seen[victim] = replace(seen[victim], phase=Phase.ENDED, since=0.0, answers=False, ready=False, failures=1)
    assert [(step.verb, step.name) for step in converge(wanted, seen)] == [(Verb.START, victim)]


@unhurried
@given(wishes, wishes)
def test_scaling_never_restarts_those_who_stay(before: Desired, after: Desired) -> None:
    same_config = [process.settings.get("messageDelayLevel") for process in (*before.processes, *after.processes)]
    if len(set(same_config)) > 2:  # None for name servers, and one value
        return
    seen: dict[str, Observed] = {}
    converge(before, seen)
    steps = converge(after, seen)
    stay = {process.name for process in before.processes} & {process.name for process in after.processes}
    assert all(step.verb is Verb.CONFIGURE for step in steps if step.name in stay)
