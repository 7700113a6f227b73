"""Where a lease is kept, a folder or a Kubernetes Lease: of those who change it at once, one succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rocket_broker.failover.file_lease import FileLease
from rocket_broker.failover.kubernetes_lease import ApiServer, KubernetesLease
from rocket_broker.failover.lease import LeaseStore, LeaseUnavailable
from rocket_broker.failover.member import Lease
from rocket_testing.kubernetes.server import Kubernetes

Open = Callable[[str], LeaseStore]
ONE = Lease(
    holder="g-0", epoch=1, sync_set=frozenset({"g-0", "g-1"}), ha_address="10.0.0.1:10912", address="10.0.0.1:1"
)


@pytest.fixture
async def kubernetes() -> AsyncIterator[Kubernetes]:
    async with Kubernetes() as running:
        running.store.create(
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "g", "namespace": "shop"}}
        )
        yield running


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """What a pod finds of its service account."""
    for name, content in (("namespace", "shop"), ("token", "secret")):
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.fixture(params=["folder", "kubernetes"])
async def opened(
    request: pytest.FixtureRequest, tmp_path: Path, kubernetes: Kubernetes, account: Path
) -> AsyncIterator[Open]:
    """Opens the group's lease for a member."""
    stores: list[LeaseStore] = []

    def open_store(name: str) -> LeaseStore:
        if request.param == "folder":
            stores.append(FileLease(tmp_path / "lease", name))
        else:
            stores.append(KubernetesLease("g", 15, ApiServer(kubernetes.url, account)))
        return stores[-1]

    yield open_store
    for store in stores:
        await store.close()


def said(lease: Lease | None) -> Lease | None:
    """Without what tells one change from another."""
    return lease and Lease(
        holder=lease.holder, epoch=lease.epoch, sync_set=lease.sync_set, ha_address=lease.ha_address,
        address=lease.address, heir=lease.heir,
    )  # fmt: skip


async def test_a_lease_that_was_never_written_is_empty(opened: Open) -> None:
    assert said(await opened("g-0").read()) == Lease()


async def test_what_one_member_writes_the_others_read(opened: Open) -> None:
    store = opened("g-0")
    written = await store.write(ONE, await store.read())
    assert said(written) == ONE
    assert await opened("g-1").read() == written


async def test_every_change_is_told_from_the_one_before(opened: Open) -> None:
    store = opened("g-0")
    first = await store.write(ONE, await store.read())
    assert first is not None
    second = await store.write(ONE, first)
    assert second is not None
    assert first.change != second.change


async def test_a_change_of_what_does_not_stand_any_more_is_none(opened: Open) -> None:
    store = opened("g-0")
    seen = await store.read()
    first = await store.write(ONE, seen)
    assert await opened("g-1").write(Lease(holder="g-1", epoch=1), seen) is None
    assert await store.read() == first


async def test_a_released_lease_has_no_holder(opened: Open) -> None:
    store = opened("g-0")
    written = await store.write(ONE, await store.read())
    assert written is not None
    released = Lease(epoch=1, sync_set=ONE.sync_set, heir="g-1")
    await store.write(released, written)
    assert said(await store.read()) == released


async def test_of_many_who_write_at_once_one_succeeds(opened: Open) -> None:
    stores = [opened(f"g-{number}") for number in range(8)]
    for epoch in range(1, 6):
        seen = await stores[0].read()
        wanted = [Lease(holder=f"g-{number}", epoch=epoch) for number in range(8)]
        written = await asyncio.gather(*(store.write(lease, seen) for store, lease in zip(stores, wanted, strict=True)))
        winners = [lease for lease in written if lease is not None]
        assert len(winners) == 1
        assert await stores[1].read() == winners[0]


# -- a folder ----------------------------------------------------------------------------------------------------------


async def test_one_that_wakes_up_after_many_changes_changes_nothing(tmp_path: Path) -> None:
    """Its number is free again, since the others deleted what they left behind."""
    folder = tmp_path / "lease"
    late, busy = FileLease(folder, "g-1"), FileLease(folder, "g-0")
    seen = await busy.write(ONE, await busy.read())
    assert seen is not None
    newest = seen
    for _ in range(5):
        newest = await busy.write(ONE, newest) or newest
    assert not (folder / f"{int(seen.change) + 1:020d}").exists()
    assert await late.write(Lease(holder="g-1", epoch=9), seen) is None
    assert await busy.read() == newest


async def test_a_folder_that_is_none_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "lease").write_text("a file")
    store = FileLease(tmp_path / "lease", "g-0")
    with pytest.raises(LeaseUnavailable):
        await store.read()
    with pytest.raises(LeaseUnavailable):
        await store.write(ONE, Lease())


async def test_a_folder_that_went_is_not_made_anew(tmp_path: Path) -> None:
    """It may come back, and two leases would lead two masters."""
    folder = tmp_path / "lease"
    store = FileLease(folder, "g-0")
    written = await store.write(ONE, await store.read())
    assert written is not None
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(LeaseUnavailable):
        await store.write(ONE, written)
    assert not folder.exists()


async def test_a_folder_that_goes_just_after_a_change_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lease"
    store = FileLease(folder, "g-0")
    seen = await store.read()
    monkeypatch.setattr(store, "_sync", lambda: folder.rename(tmp_path / "elsewhere"))
    with pytest.raises(LeaseUnavailable, match="is gone"):
        await store.write(ONE, seen)


# -- Kubernetes --------------------------------------------------------------------------------------------------------


async def test_an_api_server_that_is_away_is_no_answer(kubernetes: Kubernetes, account: Path) -> None:
    store = KubernetesLease("g", 15, ApiServer(kubernetes.url, account))
    seen = await store.read()
    kubernetes.faults.last_write = 0
    with pytest.raises(LeaseUnavailable):
        await store.read()
    with pytest.raises(LeaseUnavailable):
        await store.write(ONE, seen)
    kubernetes.faults.last_write = None
    assert await store.write(ONE, seen) is not None
    await store.close()


async def test_a_lease_that_somebody_deleted_is_named(kubernetes: Kubernetes, account: Path) -> None:
    store = KubernetesLease("other", 15, ApiServer(kubernetes.url, account))
    with pytest.raises(LeaseUnavailable, match="other: 404"):
        await store.read()
    await store.close()


async def test_what_the_operator_wrote_into_it_stays(kubernetes: Kubernetes, account: Path) -> None:
    key = ("Lease", "shop", "g")
    kubernetes.store.patch(key, {"metadata": {"labels": {"rocketcluster.dev/cluster": "orders"}}})
    store = KubernetesLease("g", 15, ApiServer(kubernetes.url, account))
    await store.write(ONE, await store.read())
    found = kubernetes.store.get(*key) or {}
    assert found["metadata"]["labels"] == {"rocketcluster.dev/cluster": "orders"}
    assert found["spec"]["holderIdentity"] == "g-0"
    await store.close()


async def test_a_pod_without_an_api_server_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(LeaseUnavailable, match="outside of a pod"):
        await KubernetesLease("g", 15).read()
