"""What brokers must be asked before the planner can decide: cheap things always, long lists only when they matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rocket_operator.objects.groups import State
from rocket_operator.objects.metadata import Manifest
from rocket_operator.rollout import declared, scaling
from rocket_operator.rollout.view import View


@dataclass(frozen=True, slots=True)
class Needs:
    """`metadata`: every master's topics and consumer groups. `backlog`: the group whose messages are counted."""

    metadata: bool = False
    backlog: int | None = None
    routes: bool = False


def needs(view: View) -> Needs:
    """From what is seen before any broker was asked."""
    leaving = scaling.leaving(view)
    syncs = any(group.state is State.SYNCING for group in view.existing_groups)
    resources = bool(view.observed.topics or view.observed.consumer_groups)
    objects: Mapping[tuple[str, str], Manifest] = view.observed.objects
    drains = leaving is not None and leaving.state in (State.DRAINING, State.VERIFYING)
    return Needs(
        metadata=syncs or leaving is not None or declared.is_asked(view.cluster, objects, resources),
        backlog=leaving.index if leaving is not None and drains else None,
        routes=leaving is not None and leaving.state is State.UNREGISTERING,
    )
