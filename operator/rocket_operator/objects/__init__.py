"""From a spec to what shall exist, by pure functions, one file a kind.

On one machine these are processes (processes.py). On Kubernetes they are the objects that `desired` lists.
"""

from __future__ import annotations

from collections.abc import Sequence

from rocket_operator.objects import broker, monitoring, namesrv, rbac
from rocket_operator.objects.groups import Group, State
from rocket_operator.objects.metadata import Cluster, Images, Manifest

#: Every kind that a cluster has children of, in the order they are applied. The last two are optional: they are the
#: Prometheus operator's.
KINDS = (
    "ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Service", "PodDisruptionBudget", "Lease", "Deployment",
    "StatefulSet", monitoring.POD_MONITOR, monitoring.PROMETHEUS_RULE,
)  # fmt: skip


def desired(
    cluster: Cluster, groups: Sequence[Group], images: Images, optional: frozenset[str] = frozenset()
) -> list[Manifest]:
    """Everything that shall exist while these groups do, in the order to apply it. `optional`: kinds that exist."""
    staying = [group for group in groups if group.state is not State.REMOVING]
    expected = [cluster.group(group.index) for group in staying if group.state.takes_messages]
    objects = [
        rbac.service_account(cluster),
        rbac.role(cluster, [group.index for group in groups]),
        rbac.role_binding(cluster),
        namesrv.config_map(cluster, expected),
        namesrv.headless_service(cluster),
        namesrv.client_service(cluster),
        namesrv.disruption_budget(cluster),
        namesrv.deployment(cluster, images),
    ]
    objects += [broker.config_map(cluster, group) for group in groups]
    for group in staying:
        objects += of_group(cluster, group, images)
    if monitoring.POD_MONITOR in optional and cluster.spec.monitoring.pod_monitor == "Enabled":
        objects.append(monitoring.pod_monitor(cluster))
    if monitoring.PROMETHEUS_RULE in optional and cluster.spec.monitoring.rules == "Enabled":
        objects.append(monitoring.prometheus_rule(cluster))
    return sorted(objects, key=lambda manifest: KINDS.index(manifest["kind"]))


def of_group(cluster: Cluster, group: Group, images: Images) -> list[Manifest]:
    """A group's own objects, without the ConfigMap that says where it stands."""
    return [
        broker.headless_service(cluster, group.index),
        broker.disruption_budget(cluster, group.index),
        broker.lease(cluster, group.index),
        broker.stateful_set(cluster, group, images),
    ]
