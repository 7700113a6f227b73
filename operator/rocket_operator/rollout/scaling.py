"""Decisions about groups that come and go (objects/groups.py has the states).

A new group is closed until it has the topics and consumer groups of the others. A group that is no longer wanted is
closed, and goes when everything in it is consumed; until it unregisters it can be taken back. One group leaves at a
time, the highest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rocket_operator.objects import broker
from rocket_operator.objects.groups import Group, State
from rocket_operator.objects.members import Member
from rocket_operator.rollout.differences import stamped
from rocket_operator.rollout.metadata import to_copy
from rocket_operator.rollout.steps import Apply, CopyMetadata, Step, Unregister, Wait
from rocket_operator.rollout.view import Blocker, View
from rocket_operator.spec import DrainPolicy


def take_back(view: View) -> Iterator[Step]:
    """A group that leaves and is wanted again is opened again."""
    for group in view.existing_groups:
        if group.state.can_come_back and view.wanted(group):
            why = f"opening group {group.index} again: it is wanted"
            yield move(view, Group(group.index, State.ACTIVE), why, "GroupOpened")


def open_groups(view: View) -> Iterator[Step]:
    """New groups learn what the others know, and are opened."""
    for group in view.existing_groups:
        if group.state is State.CREATING and view.wanted(group) and view.is_complete(group.index):
            why = f"group {group.index} is up: it is given the others' topics and consumer groups"
            yield move(view, Group(group.index, State.SYNCING), why, "GroupSyncing")
        if group.state is State.SYNCING and view.wanted(group):
            yield from _sync(view, group)


def drain(view: View) -> Iterator[Step]:
    """The next step of the one group that leaves."""
    group = leaving(view)
    if group is None or not view.is_running:
        return
    match group.state:
        case State.CREATING | State.SYNCING | State.ACTIVE:
            yield from _cordon(view, group)
        case State.CORDONING:
            yield from _wait_for_cordon(view, group)
        case State.DRAINING | State.VERIFYING:
            yield from _wait_for_consumers(view, group)
        case State.UNREGISTERING:
            yield from _unregister(view, group)
        case State.REMOVING:
            return  # objects.clean deletes what it has


def leaving(view: View) -> Group | None:
    """The group that leaves now: one that has begun to, else the highest that is not wanted."""
    unwanted = [group for group in view.existing_groups if not view.wanted(group) or not _can_stay(group)]
    begun = [group for group in unwanted if group.state.is_leaving]
    return max(begun or unwanted, key=lambda group: group.index, default=None)


def blockers(view: View, group: Group) -> tuple[Blocker, ...] | None:
    """What keeps a group from being removed, largest first; None: nobody could say."""
    master = view.master(group.index)
    backlog = view.observed.brokers[master.name].backlog if master else None
    if backlog is None:
        return None
    ignored = view.cluster.spec.scaling.down.unconsumed == "Discard"
    counted = [blocker for blocker in backlog if blocker.remaining > 0 and (blocker.group or not ignored)]
    return tuple(sorted(counted, key=lambda blocker: (-blocker.remaining, blocker.topic, blocker.group)))


def move(view: View, moved: Group, why: str, reason: str) -> Apply:
    """The write that brings a group to another state, its permission with it."""
    return Apply(why, stamped(broker.config_map(view.cluster, moved)), reason=reason)


def _can_stay(group: Group) -> bool:
    return group.state not in (State.UNREGISTERING, State.REMOVING)


def _sync(view: View, group: Group) -> Iterator[Step]:
    target = view.master(group.index)
    if target is None:
        yield Wait(f"waiting for the master of group {group.index} to give it topics and consumer groups")
        return
    for source in view.active_groups():
        pod = view.master(source.index)
        if pod is None:
            yield Wait(f"waiting for the master of group {source.index}, whose topics group {group.index} shall have")
            return
        yield from _copy(view, source.index, group.index)
    why = f"opening group {group.index}: it knows what the others know"
    yield move(view, Group(group.index, State.ACTIVE), why, "GroupOpened")


def _copy(view: View, source: int, target: int) -> Iterator[Step]:
    """The step that gives one group what another knows and it does not."""
    from_pod, to_pod = view.master(source), view.master(target)
    if from_pod is None or to_pod is None:
        yield Wait(f"waiting for the masters of groups {source} and {target} to copy topics")
        return
    brokers = view.observed.brokers
    copied = to_copy(brokers[from_pod.name], brokers[to_pod.name], view.cluster)
    if copied is None:
        yield Wait(f"waiting for the topics of groups {source} and {target}")
    elif any(copied):
        topics, groups = copied
        why = f"giving group {target} what group {source} has: {len(topics)} topics, {len(groups)} consumer groups"
        yield CopyMetadata(why, to_pod.name, view.address(to_pod), topics, groups, reason="MetadataCopied")


def _cordon(view: View, group: Group) -> Iterator[Step]:
    down = view.cluster.spec.scaling.down
    if down.policy is DrainPolicy.BLOCK:
        yield Wait(f"group {group.index} is not wanted, and scaling.down.policy Block leaves it as it is")
        return
    staying = [other for other in view.active_groups() if view.wanted(other)]
    if not staying:
        yield Wait(f"group {group.index} stays until another group takes messages")
        return
    if group.state is State.ACTIVE and down.policy is DrainPolicy.DRAIN:
        for other in staying:  # a topic that only this group has must not vanish for producers
            yield from _copy(view, group.index, other.index)
    why = f"closing group {group.index} for producers: {view.cluster.spec.broker.groups} groups are wanted"
    yield move(view, Group(group.index, State.CORDONING, started=view.now), why, "GroupCordoned")


def _wait_for_cordon(view: View, group: Group) -> Iterator[Step]:
    if view.cluster.spec.scaling.down.policy is DrainPolicy.FORCE:
        yield _leave(view, group, "scaling.down.policy is Force")
        return
    members = view.members(group.index)
    brokers = [view.observed.brokers.get(pod.name) for pod in members]
    closed = [one for one in brokers if one and one.settings.get("brokerPermission") == broker.READ_ONLY]
    if members and len(closed) == len(members):
        why = f"draining group {group.index}: it takes no more messages"
        yield move(view, replace(group, state=State.DRAINING), why, "GroupDraining")
    else:
        yield Wait(f"waiting for the brokers of group {group.index} to take no more messages")


def _wait_for_consumers(view: View, group: Group) -> Iterator[Step]:
    down, left = view.cluster.spec.scaling.down, blockers(view, group)
    if down.policy is DrainPolicy.FORCE:
        yield _leave(view, group, "scaling.down.policy is Force")
        return
    deadline = (group.started or view.now) + down.drain_timeout_seconds if down.drain_timeout_seconds else None
    is_late = deadline is not None and view.now >= deadline
    in_doubt = doubt(view, group, left)
    if is_late and down.on_timeout is DrainPolicy.FORCE and (left or in_doubt):
        yield _leave(view, group, f"it was not drained within {down.drain_timeout_seconds} s")
    elif group.state is State.VERIFYING and (left or in_doubt):
        why = f"group {group.index} has messages to consume again, or may have"
        yield move(view, replace(group, state=State.DRAINING, quiet_since=None), why, "GroupDraining")
    elif in_doubt:
        yield Wait(f"it cannot be said what is left in group {group.index}: {in_doubt}", deadline)
    elif left:
        total = sum(blocker.remaining for blocker in left)
        late = f", longer than {down.drain_timeout_seconds} s" if is_late else ""
        first = left[0]
        whose = f"by {first.group}" if first.group else "and no consumer group ever read that topic"
        most = f"most of them in {first.topic}, {whose}"
        yield Wait(f"group {group.index} has {total} messages to consume{late}, {most}", deadline)
    elif group.state is State.DRAINING:
        why = f"group {group.index} is consumed; it must stay so for {down.stable_seconds} s"
        yield move(view, replace(group, state=State.VERIFYING, quiet_since=view.now), why, "GroupVerifying")
    else:
        yield from _verify(view, group)


def doubt(view: View, group: Group, left: tuple[Blocker, ...] | None) -> str | None:
    """Why it cannot be said that nothing is left. A master that lost its volume has nothing, but its slaves may."""
    if left is None:
        return "its master, or that of a group that stays, does not answer"
    for ordinal in range(1, view.cluster.members_per_group) if not left else ():
        name = Member(view.cluster.name, group.index, ordinal).name
        if view.behind(name) != 0:
            return f"{name} does not follow its master, and may hold what that one lacks"
    return None


def _verify(view: View, group: Group) -> Iterator[Step]:
    stable = view.cluster.spec.scaling.down.stable_seconds
    due = (group.quiet_since or view.now) + stable
    if view.now >= due:
        yield _leave(view, group, f"nothing was left to consume for {stable} s")
    else:
        yield Wait(f"group {group.index} is consumed; it must stay so for {due - view.now:.0f} s more", due)


def _leave(view: View, group: Group, because: str) -> Apply:
    why = f"stopping group {group.index}: {because}"
    return move(view, replace(group, state=State.UNREGISTERING), why, "GroupUnregistering")


def _unregister(view: View, group: Group) -> Iterator[Step]:
    """Brokers that stop unregister themselves; for those that could not, it is done here."""
    if view.members(group.index):
        yield Wait(f"waiting for the brokers of group {group.index} to stop")
        return
    name = view.cluster.group(group.index)
    for server, known in view.observed.routes.items():
        if name in known:
            why = f"having name server {server} forget {name}"
            yield Unregister(why, server, name, reason="GroupUnregistered")
    why = f"removing group {group.index}: no name server knows it any more"
    yield move(view, replace(group, state=State.REMOVING), why, "GroupRemoving")
