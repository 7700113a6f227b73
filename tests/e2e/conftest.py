"""One real cluster and one operator, installed from the chart, for all tests; each test has a namespace of its own.

E2E_STATE=DIR uses a cluster that runs already (tests/kubernetes/cluster.py --state DIR), which is kind to whoever
writes tests; its operator is replaced by the checkout's.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from rocket_testing.e2e import images
from rocket_testing.e2e import kubernetes as real
from rocket_testing.e2e.kubernetes import Kubernetes
from rocket_testing.e2e.operator import Operator

#: What a pod must be like here to run at all.
_STRICT = "pod-security.kubernetes.io/enforce=restricted"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    if reason := real.missing():
        pytest.skip(reason)
    real.build()
    archives = list(images.archives().values())
    if state := os.environ.get("E2E_STATE"):
        running = Kubernetes(Path(state))
        for archive in archives:
            running.container_runtime("images", "import", str(archive))
        yield running
        return
    with Kubernetes.started(tmp_path_factory.mktemp("kubernetes") / "state", archives) as started:
        yield started


@pytest.fixture(scope="session")
def operator(kubernetes: Kubernetes) -> Operator:
    found = Operator(kubernetes)
    found.install()
    return found


@pytest.fixture
def namespace(kubernetes: Kubernetes, operator: Operator) -> Iterator[str]:
    """An empty namespace where only restricted pods run. Afterwards the operator's log must be clean."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    kubernetes.kubectl("create", "namespace", name)
    kubernetes.kubectl("label", "namespace", name, _STRICT)
    since = time.time()
    yield name
    try:
        assert operator.complaints(since, name) == []
    finally:
        kubernetes.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def another_namespace(kubernetes: Kubernetes, operator: Operator) -> Iterator[str]:
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    kubernetes.kubectl("create", "namespace", name)
    yield name
    kubernetes.kubectl("delete", "namespace", name, "--wait=false")
