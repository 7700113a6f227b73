"""What each object of a cluster is, in full where it is short, by the fields that matter where it is long."""

from __future__ import annotations

from typing import Any

import pytest

from rocket_operator import manifest
from rocket_operator.objects import broker, desired, monitoring, namesrv, pods, rbac, settings
from rocket_operator.objects.groups import Group, State
from rocket_operator.objects.metadata import Cluster, Images
from rocket_operator.spec import ClusterSpec

IMAGES = Images("broker:1.0", "namesrv:1.0", "1.0")
OWNER = {
    "apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster", "name": "orders", "uid": "u-1",
    "controller": True, "blockOwnerDeletion": True,
}  # fmt: skip
LABELS = {
    "rocketcluster.dev/cluster": "orders", "app.kubernetes.io/name": "rocketcluster",
    "app.kubernetes.io/instance": "orders", "app.kubernetes.io/part-of": "rocketcluster",
    "app.kubernetes.io/managed-by": "rocket-operator",
}  # fmt: skip
BROKER_1 = {
    "rocketcluster.dev/cluster": "orders", "app.kubernetes.io/component": "broker", "rocketcluster.dev/group": "1",
}  # fmt: skip


def cluster(spec: str = "{}") -> Cluster:
    text = f"apiVersion: rocketcluster.dev/v1alpha1\nkind: RocketCluster\nmetadata: {{name: orders}}\nspec: {spec}\n"
    return Cluster(ClusterSpec.parse(manifest.read(text)), "messaging", "u-1")


def active(index: int = 1) -> Group:
    return Group(index, State.ACTIVE)


def stateful_set(spec: str = "{}", group: Group | None = None) -> dict[str, Any]:
    return dict(broker.stateful_set(cluster(spec), group or active(), IMAGES))


def container(spec: str = "{}") -> dict[str, Any]:
    return dict(stateful_set(spec)["spec"]["template"]["spec"]["containers"][0])


def test_a_groups_service_names_every_member_ready_or_not() -> None:
    assert broker.headless_service(cluster(), 1) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "orders-broker-1", "namespace": "messaging", "labels": LABELS | BROKER_1,
            "ownerReferences": [OWNER],
        },
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": BROKER_1,
            "ports": [
                {"name": "clients", "port": 10911, "targetPort": "clients", "protocol": "TCP"},
                {"name": "replication", "port": 10912, "targetPort": "replication", "protocol": "TCP"},
            ],
        },
    }  # fmt: skip


def test_a_disruption_budget_lets_one_member_of_a_group_go() -> None:
    assert broker.disruption_budget(cluster(), 1)["spec"] == {
        "maxUnavailable": 1, "selector": {"matchLabels": BROKER_1}, "unhealthyPodEvictionPolicy": "AlwaysAllow",
    }  # fmt: skip


def test_clients_reach_ready_name_servers_and_brokers_all_of_them() -> None:
    clients, brokers = namesrv.client_service(cluster()), namesrv.headless_service(cluster())
    assert clients["metadata"]["name"] == "orders-namesrv"
    assert clients["spec"]["type"] == "ClusterIP"
    assert "publishNotReadyAddresses" not in clients["spec"]
    assert brokers["metadata"]["name"] == "orders-namesrv-headless"
    assert (brokers["spec"]["clusterIP"], brokers["spec"]["publishNotReadyAddresses"]) == ("None", True)


def test_brokers_may_change_their_own_leases_and_nothing_else() -> None:
    assert rbac.role(cluster(), [0, 1])["rules"] == [
        {
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
            "resourceNames": ["orders-broker-0", "orders-broker-1"], "verbs": ["get", "watch", "update", "patch"],
        }
    ]  # fmt: skip


def test_a_groups_members_are_replaced_only_by_the_planner_and_all_start_at_once() -> None:
    spec = stateful_set()["spec"]
    assert spec["updateStrategy"] == {"type": "OnDelete"}
    assert spec["podManagementPolicy"] == "Parallel"
    assert spec["selector"] == {"matchLabels": BROKER_1}
    assert spec["replicas"] == 2


@pytest.mark.parametrize(
    ("text", "state", "deleted"),
    [
        ("{}", State.ACTIVE, "Retain"),
        ("{deletionPolicy: Delete}", State.ACTIVE, "Delete"),
        ("{deletionPolicy: Delete}", State.UNREGISTERING, "Retain"),
        ("{broker: {storage: {whenScaled: Delete}}}", State.ACTIVE, "Retain"),
    ],
)
def test_kubernetes_deletes_volumes_only_with_a_cluster_that_says_so(text: str, state: State, deleted: str) -> None:
    policy = stateful_set(text, Group(1, state))["spec"]["persistentVolumeClaimRetentionPolicy"]
    assert policy == {"whenScaled": "Retain", "whenDeleted": deleted}


def test_every_pod_meets_the_restricted_standard() -> None:
    for workload in (stateful_set(), namesrv.deployment(cluster(), IMAGES)):
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"] == {
            "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
        }  # fmt: skip
        assert pod["automountServiceAccountToken"] is False
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert {"startupProbe", "livenessProbe", "readinessProbe", "resources"} <= pod["containers"][0].keys()


def test_a_broker_is_told_its_number_and_address_and_shares_the_rest() -> None:
    found = container()
    assert found["args"] == [
        "-c", "/etc/rocketcluster/broker.properties", "--keep-file", "--set", "brokerId=$(ORDINAL)", "--set",
        "brokerIP1=$(POD_IP)", "--log-format", "json", "--log-level", "info",
    ]  # fmt: skip
    paths = {each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"] for each in found["env"]}
    assert paths == {"ORDINAL": "metadata.labels['apps.kubernetes.io/pod-index']", "POD_IP": "status.podIP"}


def test_nothing_that_changes_with_a_pod_or_a_name_server_is_in_a_template() -> None:
    text = str(stateful_set()["spec"]["template"])
    assert "namesrvAddr" not in text
    more = stateful_set("{nameServer: {replicas: 5}}")
    assert more["spec"]["template"] == stateful_set()["spec"]["template"]


def test_brokers_find_name_servers_by_one_name() -> None:
    found = broker.group_settings(cluster(), active())
    assert found["namesrvAddr"] == "orders-namesrv-headless.messaging.svc:9876"
    assert found["fetchNameSrvAddrByDnsLookup"] == "true"


@pytest.mark.parametrize(
    ("state", "permission"),
    [(state, "6" if state is State.ACTIVE else "4") for state in State],
)
def test_a_group_takes_messages_only_while_it_is_active(state: State, permission: str) -> None:
    assert broker.group_settings(cluster(), Group(1, state))["brokerPermission"] == permission


def test_a_groups_state_stands_in_its_config_map_beside_its_permission() -> None:
    group = Group(1, State.VERIFYING, 1000.5, 2000.25)
    found = broker.config_map(cluster(), group)
    assert Group.read(1, found) == group
    assert broker.wanted_settings(found)["brokerPermission"] == "4"


def test_a_live_key_changes_no_template_and_another_key_does() -> None:
    plain = stateful_set()["spec"]["template"]
    assert stateful_set("{broker: {config: {fileReservedTime: '24'}}}")["spec"]["template"] == plain
    assert stateful_set("{broker: {config: {messageIndexEnable: 'false'}}}")["spec"]["template"] != plain
    assert broker.stateful_set(cluster(), Group(1, State.DRAINING), IMAGES)["spec"]["template"] == plain


def test_single_groups_may_have_other_volumes_resources_and_settings() -> None:
    spec = (
        "{broker: {groupOverrides: [{group: 1, storageSize: 20Gi, resources: {limits: {memory: 2Gi}},"
        " config: {fileReservedTime: '1'}}]}}"
    )
    own, other = stateful_set(spec), stateful_set(spec, active(0))
    claim = own["spec"]["volumeClaimTemplates"][0]["spec"]
    assert claim["resources"]["requests"]["storage"] == "20Gi"
    assert own["spec"]["template"]["spec"]["containers"][0]["resources"] == {
        "requests": {},
        "limits": {"memory": "2Gi"},
    }
    assert broker.group_settings(cluster(spec), active())["fileReservedTime"] == "1"
    assert broker.group_settings(cluster(spec), active(0))["fileReservedTime"] == "72"
    assert other["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "10Gi"


@pytest.mark.parametrize(
    ("wish", "kind"),
    [("Preferred", "preferredDuringSchedulingIgnoredDuringExecution"),
     ("Required", "requiredDuringSchedulingIgnoredDuringExecution"), ("None", None)],
)  # fmt: skip
def test_members_of_a_group_keep_apart_as_far_as_is_wished(wish: str, kind: str | None) -> None:
    pod = stateful_set(f"{{broker: {{scheduling: {{groupAntiAffinity: '{wish}'}}}}}}")["spec"]["template"]["spec"]
    assert list(pod.get("affinity", {}).get("podAntiAffinity", {})) == ([kind] if kind else [])


def test_a_pod_template_is_laid_over_field_by_field_and_container_by_container() -> None:
    over = (
        "{broker: {podTemplate: {metadata: {annotations: {a: b}}, spec: {hostname: x, containers: ["
        "{name: broker, env: [{name: TZ, value: UTC}]}, {name: side, image: car}]}}}}"
    )
    template = stateful_set(over)["spec"]["template"]
    assert template["metadata"]["annotations"]["a"] == "b"
    assert template["spec"]["hostname"] == "x"
    assert [each["name"] for each in template["spec"]["containers"]] == ["broker", "side"]
    assert [each["name"] for each in template["spec"]["containers"][0]["env"]] == ["ORDINAL", "POD_IP", "TZ"]
    assert template["spec"]["containers"][0]["image"] == "broker:1.0"


@pytest.mark.parametrize(
    "metadata", ["{labels: {app.kubernetes.io/managed-by: me, team: pay}}", "{labels: null}", "null"]
)
def test_labels_that_pods_are_found_by_stay_whatever_a_pod_template_says(metadata: str) -> None:
    plain = stateful_set("{}")["spec"]["template"]["metadata"]["labels"]
    found = stateful_set(f"{{broker: {{podTemplate: {{metadata: {metadata}}}}}}}")["spec"]["template"]["metadata"]
    assert found["labels"] == plain | ({"team": "pay"} if "team" in metadata else {})


def test_null_takes_a_field_away() -> None:
    assert pods.overlay({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": None}}) == {"b": {"d": 3}}


def test_objects_are_applied_in_an_order_in_which_each_finds_what_it_needs() -> None:
    kinds = [each["kind"] for each in desired(cluster(), [active(0), active(1)], IMAGES)]
    assert kinds == [
        "ServiceAccount", "Role", "RoleBinding", *["ConfigMap"] * 3, *["Service"] * 4, *["PodDisruptionBudget"] * 3,
        *["Lease"] * 2, "Deployment", *["StatefulSet"] * 2,
    ]  # fmt: skip


def test_a_group_that_is_removed_keeps_only_the_word_that_it_is() -> None:
    found = desired(cluster(), [active(0), Group(1, State.REMOVING)], IMAGES)
    assert [each["kind"] for each in found if each["metadata"]["name"] == "orders-broker-1"] == ["ConfigMap"]


def test_monitors_and_rules_exist_only_where_their_kinds_do() -> None:
    kinds = frozenset({monitoring.POD_MONITOR, monitoring.PROMETHEUS_RULE})
    with_them = {each["kind"] for each in desired(cluster(), [active()], IMAGES, kinds)}
    without = {each["kind"] for each in desired(cluster(), [active()], IMAGES)}
    assert with_them - without == kinds
    off = {
        each["kind"]
        for each in desired(cluster("{monitoring: {podMonitor: Disabled, rules: Disabled}}"), [], IMAGES, kinds)
    }
    assert not off & kinds


def test_a_hibernated_cluster_has_everything_but_pods() -> None:
    found = {each["kind"]: each for each in desired(cluster("{mode: Hibernated}"), [active()], IMAGES)}
    assert (found["StatefulSet"]["spec"]["replicas"], found["Deployment"]["spec"]["replicas"]) == (0, 0)


@pytest.mark.parametrize(
    ("spec", "image"),
    [
        ("{}", "broker:9"), ("{version: '2'}", "broker:2"), ("{image: {broker: 'mine:x'}}", "mine:x"),
        ("{version: '2', image: {broker: 'mine:{version}'}}", "mine:2"),
    ],
)  # fmt: skip
def test_an_image_follows_the_version_unless_it_is_named(spec: str, image: str) -> None:
    assert Images.choose(cluster(spec).spec, Images("broker:{version}", "n", "9")).broker == image


def test_settings_are_written_and_read_back() -> None:
    found = {"a": "1", "b": "x=y"}
    assert settings.parse(settings.text(found)) == found


def rules(spec: str = "{}") -> dict[str, str]:
    """What a cluster's alerts ask."""
    found = monitoring.prometheus_rule(cluster(spec))["spec"]["groups"]
    return {rule["alert"]: rule["expr"] for group in found for rule in group["rules"]}


def test_the_alerts_have_the_clusters_own_limits() -> None:
    spec = "{nameServer: {replicas: 3}, monitoring: {consumerLagMessages: 7, diskUsedPercent: 70}}"
    assert rules(spec)["RocketConsumerLag"].endswith(" > 7")
    assert rules(spec)["RocketDiskPressure"].endswith(" > 70")
    assert " < 3 and " in rules(spec)["RocketNameServerDown"]


def test_a_disk_is_full_when_the_largest_file_of_any_groups_log_finds_no_room() -> None:
    size = "config: {mappedFileSizeCommitLog: '2147483648'}"
    assert rules()["RocketDiskFull"].endswith(" < 1073741824")
    assert rules(f"{{broker: {{{size}}}}}")["RocketDiskFull"].endswith(" < 2147483648")
    override = f"{{broker: {{groups: 2, groupOverrides: [{{group: 1, {size}}}]}}}}"
    assert rules(override)["RocketDiskFull"].endswith(" < 2147483648")


def test_no_alert_says_that_nothing_answers_where_nothing_shall() -> None:
    about = {"RocketNameServerDown", "RocketNotScraped"}
    assert about <= rules().keys()
    assert not about & rules("{mode: Hibernated}").keys()
    assert "RocketNotScraped" not in rules("{monitoring: {podMonitor: Disabled}}")
