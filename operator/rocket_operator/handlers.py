"""kopf's part: it watches, and what happens to a cluster, its children, or what is declared for it wakes the queue.

No decision is made here and nothing is stored: no finalizer, no annotation, no progress. A watch that stops unseen
costs one resync period, since every look lists everything by itself.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection
from typing import Any

import kopf

from rocket_operator.objects.metadata import CLUSTER_LABEL, GROUP
from rocket_operator.spec import API_VERSION

Wake = Callable[[tuple[str, str], int | None], None]
Seen = Callable[[], None]

_VERSION = API_VERSION.partition("/")[2]
_CHILDREN = (
    ("apps", "v1", "statefulsets"), ("apps", "v1", "deployments"), ("", "v1", "pods"),
    ("", "v1", "persistentvolumeclaims"), ("", "v1", "configmaps"), ("", "v1", "services"),
)  # fmt: skip


def registry(wake: Wake, seen: Seen) -> kopf.OperatorRegistry:
    """What is watched. `wake` is called with the namespace and name of the cluster, and with its spec's generation
    where it is the resource itself that changed; `seen` at every event.

    Both are called in the thread that watches.
    """
    handlers = kopf.OperatorRegistry()

    async def cluster(namespace: str | None, name: str | None, meta: kopf.Meta, **_: Any) -> None:
        seen()
        wake((namespace or "", name or ""), meta.get("generation"))

    async def child(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        seen()
        wake((namespace or "", labels[CLUSTER_LABEL]), None)

    async def declared(namespace: str | None, spec: kopf.Spec, **_: Any) -> None:
        seen()
        if reference := spec.get("clusterRef", {}).get("name"):
            wake((namespace or "", reference), None)

    kopf.on.login(registry=handlers)(_login)
    kopf.on.event(GROUP, _VERSION, "rocketclusters", registry=handlers)(cluster)
    for plural in ("rockettopics", "rocketconsumergroups"):
        kopf.on.event(GROUP, _VERSION, plural, registry=handlers)(declared)
    for group, version, plural in _CHILDREN:
        kopf.on.event(group, version, plural, labels={CLUSTER_LABEL: kopf.PRESENT}, registry=handlers)(child)
    return handlers


def tame_logs() -> None:
    """kopf tells of every event that it passes on, and calls it an error when a watch is refused and tried again."""

    def lower(record: logging.LogRecord) -> bool:
        if record.levelno == logging.ERROR:
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True

    logging.getLogger("kopf").setLevel(logging.ERROR)
    logging.getLogger("kopf._cogs.clients.watching").addFilter(lower)


def _login(**options: Any) -> kopf.ConnectionInfo | None:
    """As a pod's service account, else as kubectl would: like everything else of this operator."""
    return kopf.login_with_service_account(**options) or kopf.login_with_kubeconfig(**options)


def settings(namespaces: Collection[str]) -> kopf.OperatorSettings:
    """kopf as a watcher and nothing else."""
    found = kopf.OperatorSettings()
    found.posting.enabled = False
    found.persistence.finalizer = f"{GROUP}/finalizer"  # none is ever set; were one, it would be of our domain
    found.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    found.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    found.networking.request_timeout = 30
    found.networking.connect_timeout = 10
    found.watching.server_timeout = 600
    found.watching.client_timeout = 660
    found.watching.connect_timeout = 30
    found.queueing.idle_timeout = 0.5  # handlers only wake the queue: there is nothing to wait for at a stop
    found.queueing.exit_timeout = 0.5
    found.scanning.disabled = bool(namespaces)  # what is cluster-wide may not be seen from within namespaces
    return found


def watch(handlers: kopf.OperatorRegistry, namespaces: Collection[str], instance: str, stop: threading.Event) -> None:
    """Watches until `stop` is set; for a thread of its own.

    kopf takes the signals of a main thread, and at its end cancels every task of its loop: ours are in another one.
    Without an `instance` it would ask for the user's name: a container has none.
    """
    asyncio.run(
        kopf.operator(
            identity=instance,  # type: ignore[arg-type]  # a NewType of str that kopf does not export
            registry=handlers,
            settings=settings(namespaces),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=stop,
        )
    )
