"""From a spec to processes: names, settings and ports are literals; scaling moves nobody."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from rocket_operator.objects import settings
from rocket_operator.objects.members import Member, Role
from rocket_operator.objects.ports import ports
from rocket_operator.objects.processes import Desired, desired, members, name_server_addresses
from rocket_operator.objects.settings import restart_hash
from rocket_operator.problems import InvalidManifest
from rocket_operator.spec import ClusterSpec

ROOT = PurePath("/srv/orders")


def spec(name: str = "orders", **blocks: object) -> ClusterSpec:
    kind = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster"}
    return ClusterSpec.parse({**kind, "metadata": {"name": name}, "spec": blocks})


def settings_of(wanted: Desired, name: str) -> dict[str, str]:
    return dict(next(process.settings for process in wanted.processes if process.name == name))


unhurried = hypothesis_settings(deadline=None, max_examples=40)

specs = st.builds(
    lambda servers, groups, slaves: spec(
        nameServer={"replicas": servers}, broker={"groups": groups, "slavesPerGroup": slaves}
    ),
    st.integers(1, 9),
    st.integers(1, 12) | st.just(100),
    st.integers(0, 9),
)


def test_members_start_name_servers_first_then_masters_then_slaves() -> None:
    wanted = desired(spec(broker={"groups": 2, "slavesPerGroup": 1}), ROOT)
    assert [process.name for process in wanted.processes] == [
        "orders-namesrv-0", "orders-namesrv-1", "orders-broker-0-0", "orders-broker-1-0", "orders-broker-0-1",
        "orders-broker-1-1",
    ]  # fmt: skip


def test_a_slave_knows_its_group_its_name_servers_and_its_folder() -> None:
    assert settings_of(desired(spec(clusterName="C"), ROOT), "orders-broker-0-1") == {
        "brokerClusterName": "C",
        "brokerName": "orders-broker-0",
        "brokerId": "1",
        "brokerRole": "SLAVE",
        "flushDiskType": "ASYNC_FLUSH",
        "slaveReadEnable": "true",
        "namesrvAddr": "127.0.0.1:9876;127.0.0.1:9877",
        "bindAddress": "127.0.0.1",
        "brokerIP1": "127.0.0.1",
        "brokerIP2": "127.0.0.1",
        "listenPort": "10921",
        "haListenPort": "10922",
        "storePathRootDir": "/srv/orders/orders-broker-0-1/store",
        "metricsPromExporterPort": "10923",
        "metricsPromExporterHost": "127.0.0.1",
    }


def test_a_name_server_keeps_its_own_configuration() -> None:
    assert settings_of(
        desired(spec(nameServer={"config": {"orderMessageEnable": "true"}}), ROOT), "orders-namesrv-1"
    ) == {
        "listenPort": "9877",
        "bindAddress": "127.0.0.1",
        "kvConfigPath": "/srv/orders/orders-namesrv-1/kvConfig.json",
        "metricsPromExporterPort": "9887",
        "metricsPromExporterHost": "127.0.0.1",
        "orderMessageEnable": "true",
    }


def test_synchronous_replication_waits_for_the_master_and_one_slave() -> None:
    master = settings_of(desired(spec(broker={"replication": {"mode": "Sync"}}), ROOT), "orders-broker-0-0")
    assert (master["brokerRole"], master["inSyncReplicas"]) == ("SYNC_MASTER", "2")
    plain = settings_of(desired(spec(), ROOT), "orders-broker-0-0")
    assert plain["brokerRole"] == "ASYNC_MASTER"
    assert "inSyncReplicas" not in plain


def test_how_many_members_must_be_in_sync_is_told_without_a_restart() -> None:
    failover = {"failover": {"mode": "Automatic"}}
    one = settings_of(desired(spec(broker={"replication": {"mode": "Sync"}}, **failover), ROOT), "orders-broker-0-0")
    two = settings_of(
        desired(spec(broker={"replication": {"mode": "Sync", "minInSyncReplicas": 2}}, **failover), ROOT),
        "orders-broker-0-0",
    )
    assert two == {**one, "minInSyncReplicas": "2"}
    assert restart_hash(two) == restart_hash(one)


def test_synchronous_flush_is_for_every_member() -> None:
    wanted = desired(spec(broker={"flush": "Sync"}), ROOT)
    brokers = [process for process in wanted.processes if process.member.group is not None]
    assert {process.settings["flushDiskType"] for process in brokers} == {"SYNC_FLUSH"}


def test_config_comes_after_what_is_only_a_default_of_ours() -> None:
    wanted = desired(spec(broker={"config": {"slaveReadEnable": "false"}}), ROOT)
    assert settings_of(wanted, "orders-broker-0-0")["slaveReadEnable"] == "false"


def test_tutorial_ports() -> None:
    assert dict(ports(spec(), Member("orders", 0, 0))) == {
        "clients": 10911, "VIP": 10909, "replication": 10912, "HTTP": 10913,
    }  # fmt: skip
    assert dict(ports(spec(), Member("orders", None, 1))) == {"clients": 9877, "HTTP": 9887}
    assert name_server_addresses(spec(), "localhost") == "localhost:9876;localhost:9877"


@unhurried
@given(specs)
def test_no_two_members_share_a_port(described: ClusterSpec) -> None:
    taken = [port for process in desired(described, ROOT).processes for port in process.ports.values()]
    assert len(taken) == len(set(taken))


@unhurried
@given(specs, specs)
def test_scaling_leaves_the_ports_and_folders_of_those_who_stay(one: ClusterSpec, other: ClusterSpec) -> None:
    def places(described: ClusterSpec) -> dict[str, object]:
        wanted = desired(described, ROOT).processes
        return {process.name: (process.ports, process.settings.get("storePathRootDir")) for process in wanted}

    before, after = places(one), places(other)
    assert all(before[name] == after[name] for name in before.keys() & after.keys())


def test_name_servers_among_the_brokers_ports_are_refused() -> None:
    with pytest.raises(InvalidManifest) as refused:
        desired(spec(nameServer={"replicas": 1, "port": 10909}), ROOT)
    assert str(refused.value) == (
        "spec.broker.port: orders-broker-0-0 (VIP) would have port 10909, which orders-namesrv-0 (clients) has\n"
        "spec.broker.port: orders-broker-0-1 (VIP) would have port 10919, which orders-namesrv-0 (HTTP) has"
    )


def test_ports_beyond_the_last_are_refused() -> None:
    with pytest.raises(InvalidManifest, match=r"orders-broker-9-0 \(clients\) would have port 65900"):
        desired(spec(broker={"port": 65000, "groups": 10}), ROOT)


@unhurried
@given(specs)
def test_a_member_is_known_by_its_name(described: ClusterSpec) -> None:
    for member in members(described):
        assert Member.parse(member.name) == member


@pytest.mark.parametrize("name", ["orders", "orders-broker-0", "orders-namesrv-x", "lock", "-namesrv-0"])
def test_other_names_are_no_members(name: str) -> None:
    assert Member.parse(name) is None


def test_a_cluster_may_be_called_like_a_broker() -> None:
    name = Member("a-broker-0", 1, 2).name
    assert Member.parse(name) == Member("a-broker-0", 1, 2)
    assert Member("a", 0, 0).role is Role.MASTER


def test_the_properties_file_has_a_line_for_each_key() -> None:
    assert settings.text({"brokerId": "0", "namesrvAddr": "a:1;b:2"}).splitlines()[1:] == [
        "brokerId=0",
        "namesrvAddr=a:1;b:2",
    ]
