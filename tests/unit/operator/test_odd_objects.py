"""What a person may have put beside, or onto, the operator's objects: it is left aside, and ends no look."""

from __future__ import annotations

from typing import Any

import pytest

from rocket_operator import manifest, quantity
from rocket_operator.cluster import reading
from rocket_operator.cluster.api import ApiError
from rocket_operator.objects.groups import Group
from rocket_operator.objects.metadata import (
    CLUSTER_LABEL,
    GROUP_LABEL,
    QUIET_ANNOTATION,
    STARTED_ANNOTATION,
    Cluster,
)
from rocket_operator.spec import ClusterSpec

ORDERS = "apiVersion: rocketcluster.dev/v1alpha1\nkind: RocketCluster\nmetadata: {name: orders}\nspec: {}\n"


def pod(name: str, group: str | None) -> dict[str, Any]:
    labels = {CLUSTER_LABEL: "orders"} | ({} if group is None else {GROUP_LABEL: group})
    return {"metadata": {"name": name, "uid": "u", "labels": labels}, "spec": {"containers": [{"image": "broker:1"}]}}


@pytest.mark.parametrize(
    "name", ["orders-broker-0-0-copy", "debug", "other-broker-0-0", "orders-broker-0-007", "orders-namesrv-0"]
)
def test_a_pod_that_only_wears_a_brokers_labels_is_none(name: str) -> None:
    assert reading.pod(pod(name, "0")) is None


def test_a_brokers_pod_is_known_by_its_name_whatever_somebody_wrote_into_its_label() -> None:
    found = reading.pod(pod("orders-broker-1-2", "x"))
    assert found is not None
    assert (found.group, found.ordinal) == (1, 2)


def test_a_name_servers_pod_has_no_group() -> None:
    found = reading.pod(pod("orders-namesrv-7d9c-x2", None))
    assert found is not None
    assert found.group is None


@pytest.mark.parametrize(
    ("name", "index"),
    [("orders-broker-3", 3), ("orders-broker-03", None), ("orders-broker-x", None), ("orders-namesrv", None),
     ("other-broker-3", None)],
)  # fmt: skip
def test_an_objects_group_is_in_its_name(name: str, index: int | None) -> None:
    assert Cluster(ClusterSpec.parse(manifest.read(ORDERS)), "messaging", "u-1").group_index(name) == index


@pytest.mark.parametrize("text", ["inf", "-inf", "nan", "-1", "1e300", "soon", ""])
def test_an_annotation_that_is_no_time_counts_as_absent(text: str) -> None:
    found = Group.read(1, {"metadata": {"annotations": {STARTED_ANNOTATION: text, QUIET_ANNOTATION: text}}})
    assert (found.started, found.quiet_since) == (None, None)


@pytest.mark.parametrize(
    ("status", "message", "refused"),
    [
        (500, 'failed to create typed patch object (x; apps/v1, Kind=StatefulSet): .spec: expected map, got "y"', True),
        (500, "etcdserver: request timed out", False),
        (422, "periodSeconds: Invalid value", True),
        (503, "", False),
    ],
)
def test_what_an_api_server_will_refuse_again_is_a_refusal(status: int, message: str, refused: bool) -> None:
    assert ApiError(status, "InternalError", message).is_refusal == refused


@pytest.mark.parametrize("text", ["1e999999999", "1E-999999999"])
def test_a_quantity_beyond_all_numbers_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity.parse(text)
    assert not quantity.is_equal(text, "1")
