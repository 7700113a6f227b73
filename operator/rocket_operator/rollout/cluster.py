"""The planner for Kubernetes: one cluster's wishes and what is seen of it in, the next step out.

The order of the decisions is the order of what matters: what is missing is made before anything that runs is disturbed,
and a group that leaves goes before brokers are restarted. Of each decision only the first step counts: where it is a
Wait, the rest of that decision waits.
"""

from __future__ import annotations

from rocket_operator.rollout import declared, objects, restarts, scaling
from rocket_operator.rollout.steps import Step, Wait
from rocket_operator.rollout.view import View

DECISIONS = (
    scaling.take_back,
    objects.adopt_volumes,
    objects.apply,
    objects.label_roles,
    restarts.configure,
    scaling.open_groups,
    declared.declare,
    declared.forget,
    scaling.drain,
    objects.clean,
    objects.release_volumes,
    objects.forget_groups,
    restarts.restart,
)


def next_step(view: View) -> Step | None:
    """What to do next; None when nothing is to be done. A Wait says what must happen before more can be done."""
    if view.cluster.spec.management_policy == "Paused":
        return None
    firsts = (next(decide(view), None) for decide in DECISIONS)
    waits = []
    for step in firsts:
        if step is not None and not isinstance(step, Wait):
            return step
        waits.append(step)
    return next((step for step in waits if step is not None), None)
