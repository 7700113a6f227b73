"""What brokers may do in Kubernetes: see and change the Leases of their own cluster, by name, and nothing else.

Without failover their pods do not even hold a token: who is a group's master follows from ordinals then.
"""

from __future__ import annotations

from collections.abc import Sequence

from rocket_operator.objects.metadata import Cluster, Component, Manifest, child, labels

_API = "rbac.authorization.k8s.io"


def service_account(cluster: Cluster) -> Manifest:
    found = child(cluster, "v1", "ServiceAccount", cluster.brokers, labels(cluster, Component.BROKER))
    return found | {"automountServiceAccountToken": False}


def role(cluster: Cluster, groups: Sequence[int]) -> Manifest:
    return child(cluster, f"{_API}/v1", "Role", cluster.brokers, labels(cluster, Component.BROKER)) | {
        "rules": [
            {
                "apiGroups": ["coordination.k8s.io"],
                "resources": ["leases"],
                "resourceNames": [cluster.group(index) for index in groups],
                "verbs": ["get", "watch", "update", "patch"],
            }
        ]
    }


def role_binding(cluster: Cluster) -> Manifest:
    return child(cluster, f"{_API}/v1", "RoleBinding", cluster.brokers, labels(cluster, Component.BROKER)) | {
        "roleRef": {"apiGroup": _API, "kind": "Role", "name": cluster.brokers},
        "subjects": [{"kind": "ServiceAccount", "name": cluster.brokers, "namespace": cluster.namespace}],
    }
