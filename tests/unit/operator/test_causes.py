"""Stable, the status line and an Event name what somebody has to mend, not what follows from it."""

from __future__ import annotations

import pytest

from rocket_operator.conditions import Found, cause

FINE = {
    "Reconciled": Found(True, "AsSpecified", "fine"),
    "StorageHealthy": Found(True, "Bound", "fine"),
    "Degraded": Found(False, "AllServe", "fine"),
    "Scaling": Found(False, "NotScaling", "fine"),
}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Reconciled", Found(False, "RefusedByApiServer", "no")),
        ("StorageHealthy", Found(False, "StorageClassMissing", "no class")),
        ("Degraded", Found(True, "ErrImagePull", "no image")),
        ("Scaling", Found(True, "OldVolumesFound", "old ones")),
    ],
)
def test_what_somebody_must_mend_is_a_cause(name: str, found: Found) -> None:
    told = cause({**FINE, "Ready": Found(False, "NameServersUnavailable", "no name server is ready"), name: found})
    assert told == Found(False, found.reason, f"{name}: {found.message}")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Reconciled", Found(False, "Progressing", "making it")),
        ("StorageHealthy", Found(False, "Pending", "soon")),
        ("Degraded", Found(True, "BrokerDown", "it starts")),
        ("Scaling", Found(True, "Creating", "soon")),
    ],
)
def test_what_passes_by_itself_is_none(name: str, found: Found) -> None:
    assert cause({**FINE, name: found}) is None
