"""Decisions about RocketTopics and RocketConsumerGroups: every group has what is declared, and loses what is not.

A resource that is deleted tells nothing any more. So a ConfigMap records what was declared and what shall become of it:
it is written before anything is made, and an entry leaves it when nothing is left to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from rocket_operator.objects.metadata import Cluster, Component, Manifest, child, labels
from rocket_operator.rollout.differences import difference, stamped
from rocket_operator.rollout.resources import DeclaredGroup, DeclaredTopic
from rocket_operator.rollout.steps import Apply, CopyMetadata, DeleteMetadata, Step
from rocket_operator.rollout.view import Broker, Pod, View
from rocket_operator.spec import Keep

_TOPICS, _GROUPS = "topics", "consumerGroups"

#: Name → what becomes of it when its resource is deleted.
Record = Mapping[str, str]
D = TypeVar("D", DeclaredTopic, DeclaredGroup)


def record_name(cluster: Cluster) -> str:
    return f"{cluster.name}-declared"


def record_key(cluster: Cluster) -> tuple[str, str]:
    return "ConfigMap", record_name(cluster)


def winners(declared: Sequence[D]) -> dict[str, D]:
    """Name → the resource that declares it: the oldest, where several do."""
    found: dict[str, D] = {}
    for each in sorted(declared, key=lambda one: (one.created, one.resource)):
        found.setdefault(each.name, each)
    return found


def declare(view: View) -> Iterator[Step]:
    """Everything declared is recorded, then made or corrected on every group that takes messages."""
    topics, groups = winners(view.observed.topics), winners(view.observed.consumer_groups)
    recorded_topics, recorded_groups = _record(view, _TOPICS), _record(view, _GROUPS)
    wanted_topics = {**recorded_topics, **{name: each.policy.value for name, each in topics.items()}}
    wanted_groups = {**recorded_groups, **{name: each.policy.value for name, each in groups.items()}}
    yield from _write_record(view, wanted_topics, wanted_groups)
    for pod, broker in _masters(view):
        missing = tuple(
            each.config for name, each in topics.items() if not each.is_met_by((broker.topics or {}).get(name))
        )
        lacking = tuple(
            each.config for name, each in groups.items() if not each.is_met_by((broker.consumer_groups or {}).get(name))
        )
        if missing or lacking:
            names = ", ".join([*(each.topic_name for each in missing), *(each.group_name for each in lacking)])
            why = f"making on {pod.name} what is declared: {names}"
            yield CopyMetadata(why, pod.name, view.address(pod), missing, lacking, reason="DeclaredApplied")


def forget(view: View) -> Iterator[Step]:
    """What is no longer declared is deleted where its resource said so, and leaves the record."""
    topics, groups = _record(view, _TOPICS), _record(view, _GROUPS)
    gone_topics = [name for name in topics if name not in winners(view.observed.topics)]
    gone_groups = [name for name in groups if name not in winners(view.observed.consumer_groups)]
    if not gone_topics and not gone_groups:
        return
    if any(policy == Keep.DELETE for policy in (*map(topics.get, gone_topics), *map(groups.get, gone_groups))):
        if not _all_answer(view):
            return
        for pod, broker in _masters(view):
            for name in gone_topics:
                if topics[name] == Keep.DELETE and name in (broker.topics or {}):
                    why = f"deleting topic {name} on {pod.name}: its RocketTopic is gone, its deletionPolicy was Delete"
                    yield DeleteMetadata(why, pod.name, view.address(pod), topic=name, reason="DeclaredDeleted")
            for name in gone_groups:
                if groups[name] == Keep.DELETE and name in (broker.consumer_groups or {}):
                    why = f"deleting consumer group {name} on {pod.name}: its RocketConsumerGroup is gone"
                    yield DeleteMetadata(
                        why, pod.name, view.address(pod), consumer_group=name, reason="DeclaredDeleted"
                    )
    left_topics = {name: policy for name, policy in topics.items() if name not in gone_topics}
    left_groups = {name: policy for name, policy in groups.items() if name not in gone_groups}
    yield from _write_record(view, left_topics, left_groups)


def is_asked(cluster: Cluster, objects: Mapping[tuple[str, str], Manifest], declared: bool) -> bool:
    """Whether brokers must be asked for their topics because of resources, those that are gone included."""
    recorded = objects.get(record_key(cluster))
    return declared or bool(recorded and any(_read(recorded, key) for key in (_TOPICS, _GROUPS)))


def _masters(view: View) -> Iterator[tuple[Pod, Broker]]:
    """The masters of groups that take messages, with what they know: those that said all of it."""
    for group in view.active_groups():
        pod = view.master(group.index)
        broker = view.observed.brokers[pod.name] if pod else None
        if pod and broker and broker.topics is not None and broker.consumer_groups is not None:
            yield pod, broker


def _all_answer(view: View) -> bool:
    return len(list(_masters(view))) == len(list(view.active_groups()))


def _record(view: View, key: str) -> dict[str, str]:
    found = view.live(*record_key(view.cluster))
    return _read(found, key) if found else {}


def _read(record: Manifest, key: str) -> dict[str, str]:
    try:
        found = json.loads((record.get("data") or {}).get(key, "{}"))
    except ValueError:
        return {}  # somebody wrote nonsense into it: it is written anew
    return found if isinstance(found, dict) else {}


def _write_record(view: View, topics: Record, groups: Record) -> Iterator[Step]:
    live = view.live(*record_key(view.cluster))
    if live is None and not topics and not groups:
        return
    name = record_name(view.cluster)
    manifest = child(view.cluster, "v1", "ConfigMap", name, labels(view.cluster, Component.BROKER))
    manifest["data"] = {_TOPICS: json.dumps(topics, sort_keys=True), _GROUPS: json.dumps(groups, sort_keys=True)}
    wanted = stamped(manifest)
    if live is None or difference(wanted, live):
        yield Apply("recording which topics and consumer groups are declared", wanted, live is None)
