"""The level-based loop for one cluster: look, decide one step, do it, again; then say in the status how it stands.

Nothing is remembered between two calls: what a crash interrupts, the next look finds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rocket_operator import conditions
from rocket_operator.cluster.actor import Actor, NameTaken
from rocket_operator.cluster.api import Api, ApiError
from rocket_operator.cluster.brokers import Refused
from rocket_operator.cluster.events import Events
from rocket_operator.cluster.observer import Observer
from rocket_operator.cluster.resources import Resources
from rocket_operator.conditions import Found, Problem, condition
from rocket_operator.objects.metadata import Cluster, Images, Manifest
from rocket_operator.problems import InvalidManifest
from rocket_operator.rollout.cluster import next_step
from rocket_operator.rollout.steps import Patch, Step, Wait
from rocket_operator.spec import KIND, ClusterSpec
from rocket_operator.status import Look, is_same, status

log = logging.getLogger("rocket.operator")

STATUS_MANAGER = "rocket-operator-status"
#: A look that finds more to do than this is cut, so that a status is written now and then.
_MOST_STEPS = 100


@dataclass(frozen=True)
class Outcome:
    """How one call went. `again`: seconds until the next look is due anyway; None: at the next resync."""

    again: float | None = None
    problem: Problem | None = None
    retry: bool = False
    """Something that may be over soon kept it from its work: try again, with growing pauses."""
    retry_after: float | None = None
    exists: bool = True
    status: Mapping[str, Any] | None = None
    """As it was written."""


class Reconciler:
    """Brings clusters to what their resources say."""

    def __init__(self, api: Api, observer: Observer, actor: Actor, events: Events, defaults: Images) -> None:
        self._api = api
        self._observer = observer
        self._actor = actor
        self._events = events
        self._resources = Resources(api, observer)
        self._defaults = defaults

    async def reconcile(self, namespace: str, name: str, clock: Callable[[], float]) -> Outcome:
        """One whole look at one cluster. Raises ApiError only where not even the resource can be read."""
        body = await self._api.get(KIND, namespace, name)
        if body is None or "deletionTimestamp" in body["metadata"]:
            await self._resources.orphaned(namespace, name)
            return Outcome(exists=False)  # its children go with it, by their owner references
        try:
            return await self._bring(_cluster(body), body, clock)
        except InvalidManifest as error:
            problem = Problem("InvalidSpec", "; ".join(str(one) for one in error.problems))
            log.warning("%s/%s cannot be used: %s", namespace, name, problem.message)
            await self._write_problem(body, problem, clock())
            return Outcome(problem=problem)
        except ApiError:
            raise
        except Exception as error:  # whatever it is: a status that stays as it was would be untrue
            problem = Problem("OperatorFault", f"a fault of the operator: {type(error).__name__}: {error}")
            log.exception("%s/%s cannot be looked at: a fault of the operator", namespace, name)
            await self._write_problem(body, problem, clock())
            return Outcome(problem=problem, retry=True)

    async def _bring(self, cluster: Cluster, body: Manifest, clock: Callable[[], float]) -> Outcome:
        images = Images.choose(cluster.spec, self._defaults)
        done: list[Step] = []
        problem, retry, delay = None, False, None
        view, step = None, None
        try:
            view = await self._observer.look(cluster, images, clock())
            is_fresh = True
            while len(done) < _MOST_STEPS:
                step = next_step(view)
                if step is None or isinstance(step, Wait):
                    if is_fresh:
                        break
                    view, is_fresh = await self._observer.look(cluster, images, clock()), True
                    continue
                if step in done:
                    problem = Problem("ApplyConflict", f"done, and undone by somebody else: {step.why}")
                    retry = True  # with pauses: whoever it is may be as fast
                    break
                made = await self._actor.act(cluster, step)
                done.append(step)
                if isinstance(step, Patch) and step.kind == KIND:
                    return Outcome(again=0.0)  # the resource itself changed: it is read anew
                is_fresh = made is None
                if made is None:
                    view = await self._observer.look(cluster, images, clock())
                else:  # the answer itself says how the object is now
                    view = replace(view, observed=view.observed.with_object(made), now=clock())
        except ApiError as error:
            problem, retry, delay = _problem(error, step), not error.is_refusal, error.retry_after
        except NameTaken as error:
            problem, retry = Problem("NameTaken", str(error)), True
        except Refused as error:
            problem, retry = Problem("RejectedByBroker", str(error)), True
        if problem is not None:
            await self._report(cluster, problem)
        if view is None:
            if problem is not None:
                await self._write_problem(body, problem, clock())
            return Outcome(problem=problem, retry=True, retry_after=delay)
        return await self._say(Look(view, step, done, problem, self._defaults.version), body, retry, delay, clock)

    async def _say(
        self, look: Look, body: Manifest, retry: bool, delay: float | None, clock: Callable[[], float]
    ) -> Outcome:
        previous = body.get("status") or {}
        new = status(look, previous)
        if not is_same(new, previous):
            await self._write_status(look.view.cluster, new)
            await self._tell_cause(look, previous)
        await self._resources.report(look.view)
        due = look.step.due if isinstance(look.step, Wait) else None
        more = len(look.done) >= _MOST_STEPS
        again = 0.0 if more else max(0.0, due - clock()) if due is not None else None
        return Outcome(again, look.problem, retry, delay, status=new)

    async def _tell_cause(self, look: Look, previous: Mapping[str, Any]) -> None:
        """An Event for what somebody has to do something about, once; a problem of the operator's is told by itself."""
        wrong = conditions.cause(look.judged)
        known = [each.get("message") for each in previous.get("conditions") or () if each["type"] == "Stable"]
        if wrong is not None and look.problem is None and wrong.message[:1000] not in known:
            await self._events.tell(look.view.cluster, wrong.reason, wrong.message, is_warning=True)

    async def _write_status(self, cluster: Cluster, new: Mapping[str, Any]) -> None:
        manifest = {
            "apiVersion": "rocketcluster.dev/v1alpha1",
            "kind": KIND,
            "metadata": {"name": cluster.name, "namespace": cluster.namespace},
            "status": new,
        }
        await self._api.apply(manifest, "status", STATUS_MANAGER)

    async def _report(self, cluster: Cluster, problem: Problem) -> None:
        where = {"namespace": cluster.namespace, "cluster": cluster.name, "reason": problem.reason}
        log.warning("%s/%s: %s", cluster.namespace, cluster.name, problem.message, extra=where)
        await self._events.tell(cluster, problem.reason, problem.message, is_warning=True)

    async def _write_problem(self, body: Manifest, problem: Problem, now: float) -> None:
        """Says what is wrong where nothing else can be said: all but these two conditions stays as it was told last."""
        metadata, previous = body["metadata"], body.get("status") or {}
        told = previous.get("conditions") or ()
        before = {each["type"]: each for each in told}
        wrong = Found(False, problem.reason, problem.message)
        found = [
            condition(name, wrong, before.get(name), metadata.get("generation", 0), now)
            for name in ("Reconciled", "Stable")
        ]
        names = {each["type"] for each in found}
        others = [each for each in told if each["type"] not in names]
        new = {**previous, "summary": problem.message[:200], "conditions": [*found, *others]}
        if not is_same(new, previous):
            named = {"metadata": {"name": metadata["name"], "namespace": metadata["namespace"]}, "status": new}
            await self._api.apply({"apiVersion": body["apiVersion"], "kind": KIND, **named}, "status", STATUS_MANAGER)


def _cluster(body: Manifest) -> Cluster:
    metadata = body["metadata"]
    spec = ClusterSpec.parse({key: body[key] for key in ("apiVersion", "kind", "metadata", "spec") if key in body})
    annotations = metadata.get("annotations") or {}
    return Cluster(spec, metadata["namespace"], metadata["uid"], metadata.get("generation", 1), annotations)


def _problem(error: ApiError, step: Step | None) -> Problem:
    doing = f" ({step.why})" if step is not None else ""
    if error.is_refusal:
        return Problem("RefusedByApiServer", f"the API server refuses{doing}: {error.message or error.reason}")
    return Problem("ApiError", f"the API server answers {error.status or 'nothing'}{doing}: {error}")
