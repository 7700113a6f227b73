"""The kinds that the operator reads or writes, and where the API has them. Known by heart, nothing is discovered."""

from __future__ import annotations

from dataclasses import dataclass

from rocket_operator import objects


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind's place in the API."""

    name: str
    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


_ALL = (
    Kind("RocketCluster", "rocketcluster.dev", "v1alpha1", "rocketclusters"),
    Kind("RocketTopic", "rocketcluster.dev", "v1alpha1", "rockettopics"),
    Kind("RocketConsumerGroup", "rocketcluster.dev", "v1alpha1", "rocketconsumergroups"),
    Kind("ServiceAccount", "", "v1", "serviceaccounts"),
    Kind("Role", "rbac.authorization.k8s.io", "v1", "roles"),
    Kind("RoleBinding", "rbac.authorization.k8s.io", "v1", "rolebindings"),
    Kind("ConfigMap", "", "v1", "configmaps"),
    Kind("Service", "", "v1", "services"),
    Kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets"),
    Kind("Lease", "coordination.k8s.io", "v1", "leases"),
    Kind("Deployment", "apps", "v1", "deployments"),
    Kind("StatefulSet", "apps", "v1", "statefulsets"),
    Kind("Pod", "", "v1", "pods"),
    Kind("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
    Kind("Event", "", "v1", "events"),
    Kind("PodMonitor", "monitoring.coreos.com", "v1", "podmonitors"),
    Kind("PrometheusRule", "monitoring.coreos.com", "v1", "prometheusrules"),
    Kind("StorageClass", "storage.k8s.io", "v1", "storageclasses", namespaced=False),
)

KINDS = {kind.name: kind for kind in _ALL}

#: The kinds of a cluster's children; the optional ones may not exist in a Kubernetes.
CHILDREN = objects.KINDS
OPTIONAL = frozenset({"PodMonitor", "PrometheusRule"})
