"""An API server in this process, for tests of the operator that need only Python.

    async with Kubernetes() as kubernetes:
        async with Api(kubernetes.configuration) as api: ...        the operator's own client, over HTTP
        kubernetes.store.create(manifest)                           as another client would
        kubernetes.store.get("Pod", "default", "orders-broker-0-0")

It enforces what operators trip over: resourceVersion and 409, server-side apply with field ownership, the status
subresource, generations, owner references and garbage collection, finalizers, what a StatefulSet or a claim may not
change, and for our own kinds the CRDs' schema with defaults and CEL rules. A node with the StatefulSet and Deployment
controllers is part of it (workloads.py); what pods do is a test's to say. Faults are in faults.py.

It is held against a real API server by tests/e2e; what it does not have: admission, RBAC, quotas, paging.
"""

from rocket_testing.kubernetes.server import Kubernetes

__all__ = ["Kubernetes"]
