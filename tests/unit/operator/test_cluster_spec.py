"""A manifest is either a complete spec, or a list of everything that is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from rocket_operator import manifest, schema
from rocket_operator.problems import InvalidManifest
from rocket_operator.spec import ClusterSpec, FlushMode, Keep, Mode, ReplicationMode

HEAD = "apiVersion: rocketcluster.dev/v1alpha1\nkind: RocketCluster\nmetadata: {name: orders}\n"


def parse(spec: str) -> ClusterSpec:
    return ClusterSpec.parse(manifest.read(f"{HEAD}spec: {spec}"))


def problems(text: str, previous: str | None = None) -> list[str]:
    with pytest.raises(InvalidManifest) as refused:
        ClusterSpec.parse(manifest.read(text), manifest.read(previous) if previous else None)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize("spec", ["{}", "", "{nameServer: , broker: {config: null}}"])
def test_an_empty_spec_is_two_name_servers_one_group_and_one_slave(spec: str) -> None:
    cluster = parse(spec)
    assert (cluster.name, cluster.cluster_name, cluster.mode) == ("orders", "orders", Mode.RUNNING)
    assert (cluster.name_server.replicas, cluster.name_server.port, cluster.name_server.config) == (2, 9876, {})
    broker = cluster.broker
    assert (broker.groups, broker.slaves_per_group, broker.port, broker.config) == (1, 1, 10911, {})
    assert (broker.replication.mode, broker.flush) == (ReplicationMode.ASYNC, FlushMode.ASYNC)
    assert (broker.storage.size, broker.storage.when_scaled) == ("10Gi", Keep.RETAIN)


def test_a_manifest_without_spec_is_an_empty_spec() -> None:
    assert ClusterSpec.parse(manifest.read(HEAD)) == parse("{}")


def test_every_field_is_taken_over() -> None:
    spec = parse(
        "{clusterName: C, nameServer: {replicas: 3, port: 2000, config: {orderMessageEnable: 'true'}},"
        " broker: {groups: 2, slavesPerGroup: 2, port: 3000, replication: {mode: Sync}, flush: Sync,"
        " config: {fileReservedTime: '48'}}}"
    )
    assert spec.cluster_name == "C"
    assert (spec.name_server.replicas, spec.name_server.port, spec.name_server.config) == (
        3, 2000, {"orderMessageEnable": "true"},
    )  # fmt: skip
    broker = spec.broker
    assert (broker.groups, broker.slaves_per_group, broker.port) == (2, 2, 3000)
    assert (broker.replication.mode, broker.flush) == (ReplicationMode.SYNC, FlushMode.SYNC)
    assert broker.config == {"fileReservedTime": "48"}


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("{broker: {groups: 0}}", "spec.broker.groups: 0 is less than the minimum 1"),
        ("{broker: {groups: 101}}", "spec.broker.groups: 101 is more than the maximum 100"),
        ("{broker: {groups: 1.0}}", "spec.broker.groups: 1.0 is not an integer"),
        ("{broker: {groups: true}}", "spec.broker.groups: true is not an integer"),
        ("{broker: [1]}", "spec.broker: [1] is not a mapping"),
        ("{broker: {flush: sync}}", 'spec.broker.flush: "sync" is not one of Async, Sync'),
        ("{clusterName: 12}", 'spec.clusterName: 12 is not a string: write "12", in quotes'),
        ("{clusterName: a b}", 'spec.clusterName: "a b" does not match ^[%|a-zA-Z0-9_-]+$'),
        ("{clusterName: ''}", 'spec.clusterName: "" does not match ^[%|a-zA-Z0-9_-]+$'),
        (
            "{broker: {config: {fileReservedTime: 48}}}",
            'spec.broker.config.fileReservedTime: 48 is not a string: write "48", in quotes',
        ),
        (
            "{broker: {slavesPergroup: 3}}",
            "spec.broker.slavesPergroup: unknown field (value 3); did you mean slavesPerGroup?",
        ),
        (
            "{zzz: {}}",
            "spec.zzz: unknown field (value {}); allowed here are broker, clusterName, deletionPolicy, failover, "
            "image, logging, managementPolicy, mode, monitoring, nameServer, scaling, security, update, version",
        ),
        (
            "{broker: {slavesPerGroup: 0, replication: {mode: Sync}}}",
            "spec.broker.slavesPerGroup: replication.mode Sync needs slavesPerGroup of at least 1",
        ),
        (
            "{broker: {replication: {mode: Sync, minInSyncReplicas: 2}}}",
            "spec.broker.replication.minInSyncReplicas: minInSyncReplicas above 1 needs replication.mode Sync and "
            "failover.mode Automatic",
        ),
        (
            "{broker: {replication: {mode: Sync, minInSyncReplicas: 3}}, failover: {mode: Automatic}}",
            "spec.broker.replication.minInSyncReplicas: a group has no more members than slavesPerGroup + 1",
        ),
        (
            "{nameServer: {config: {listenPort: '1', orderMessageEnable: 'true'}}}",
            'spec.nameServer.config.listenPort: "1": the cluster sets this key itself',
        ),
        (
            "{broker: {config: {mapedFileSizeCommitLog: '67108864'}}}",
            'spec.broker.config.mapedFileSizeCommitLog: unknown field (value "67108864"); did you mean '
            "mappedFileSizeCommitLog?",
        ),
        (
            "{broker: {config: {aclEnable: 'true'}}}",
            'spec.broker.config.aclEnable: unknown field (value "true"); none of the 69 allowed here is like it',
        ),
        (
            "{broker: {config: {fileReservedTime: 2d}}}",
            'spec.broker.config.fileReservedTime: "2d" does not match ^[1-9][0-9]{0,17}$',
        ),
        ("{broker: {config: {traceOn: 'yes'}}}", 'spec.broker.config.traceOn: "yes" is not one of true, false'),
        (
            "{broker: {config: {flushDiskType: SYNC_FLUSH}}}",
            'spec.broker.config.flushDiskType: "SYNC_FLUSH": spec.broker.flush says it',
        ),
        (
            "{broker: {config: {regionId: 'a //b'}}}",
            "spec.broker.config.regionId: \"a //b\": a value may not contain ' //', which starts a comment",
        ),
    ],
)
def test_a_refusal_has_the_path_the_value_and_what_is_allowed(spec: str, sentence: str) -> None:
    assert problems(f"{HEAD}spec: {spec}") == [sentence]


def test_each_key_that_the_cluster_sets_is_named() -> None:
    found = problems(f"{HEAD}spec: {{broker: {{config: {{listenPort: '1', brokerId: '0', brokerPermission: '4'}}}}}}")
    assert sorted(sentence.split(":")[0] for sentence in found) == [
        "spec.broker.config.brokerId", "spec.broker.config.brokerPermission", "spec.broker.config.listenPort",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["'two\\nlines'", "' led by a blank'", "'back\\\\slash'"])
def test_a_value_that_a_properties_file_could_not_hold_is_refused(value: str) -> None:
    assert (
        "does not match"
        in problems(f"{HEAD}spec: {{broker: {{config: {{regionId: {value.replace(chr(39), chr(34))}}}}}}}")[0]
    )


@pytest.mark.parametrize(
    ("before", "after"), [("'67108864'", "'1073741824'"), ("'67108864'", None), (None, "'67108864'")]
)
def test_a_log_keeps_the_size_of_its_files(before: str | None, after: str | None) -> None:
    def text(size: str | None) -> str:
        return f"{HEAD}spec: {{broker: {{config: {{{f'mappedFileSizeCommitLog: {size}' if size else ''}}}}}}}"

    assert problems(text(after), text(before)) == [
        "spec.broker.config.mappedFileSizeCommitLog: a log keeps the size of its files, and brokers refuse to start "
        "with another"
    ]


def test_the_default_size_of_the_logs_files_may_be_said_or_left_out() -> None:
    said = f"{HEAD}spec: {{broker: {{config: {{mappedFileSizeCommitLog: '1073741824'}}}}}}"
    ClusterSpec.parse(manifest.read(said), manifest.read(HEAD))


def test_all_problems_are_told_at_once() -> None:
    assert len(problems(f"{HEAD}spec: {{x: 1, nameServer: {{replicas: 0}}, broker: {{flush: No, port: 80}}}}")) == 4


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty: it needs one RocketCluster"),
        ("- 1", "the file holds a list, not a RocketCluster"),
        (
            f"{HEAD}---\nkind: ConfigMap\n",
            "the file holds 2 documents (RocketCluster, ConfigMap): give one RocketCluster a file of its own",
        ),
        (f"{HEAD}spec:\n  a: 1\n  a: 2\n", "line 6, column 3: the key 'a' appears twice"),
        (f"{HEAD}spec: {{1: 2}}", "line 4, column 8: the key 1 is not a string"),
        (
            f"{HEAD}spec: [",
            "line 4, column 8: while parsing a flow node, expected the node content, but found '<stream end>'",
        ),
    ],
)
def test_a_text_that_is_no_single_mapping_is_refused(text: str, sentence: str) -> None:
    assert problems(text) == [sentence]


def test_a_separator_alone_makes_no_second_document() -> None:
    assert manifest.read(f"---\n{HEAD}---\n")["kind"] == "RocketCluster"


def test_a_manifest_that_holds_itself_is_refused() -> None:
    assert "spec.broker.broker: unknown field" in problems(f"{HEAD}spec: &loop {{broker: *loop}}")[0]


def test_another_kind_is_not_held_against_our_schema() -> None:
    text = "apiVersion: v1\nkind: Pod\nspec: {containers: []}"
    assert problems(text) == ["apiVersion: v1 is not rocketcluster.dev/v1alpha1", "kind: Pod is not RocketCluster"]


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ("{}", "metadata.name: is missing; every member's name begins with it"),
        ("{name: Orders}", 'metadata.name: "Orders" does not match ^[a-z]([-a-z0-9]*[a-z0-9])?$'),
        (f"{{name: {'a' * 41}}}", f'metadata.name: "{"a" * 41}" has 41 characters, the maximum is 40'),
    ],
)
def test_a_name_that_members_cannot_carry_is_refused(metadata: str, sentence: str) -> None:
    assert problems(f"apiVersion: rocketcluster.dev/v1alpha1\nkind: RocketCluster\nmetadata: {metadata}") == [sentence]


def test_what_the_api_server_puts_into_metadata_is_no_unknown_field() -> None:
    text = HEAD.replace("{name: orders}", "{name: orders, namespace: a, uid: b, generation: 3, labels: {x: y}}")
    assert ClusterSpec.parse(manifest.read(text)).name == "orders"


def test_the_name_on_the_wire_cannot_change_while_the_cluster_exists() -> None:
    told = "spec.clusterName: clusterName cannot be added or removed while the cluster exists"
    assert problems(f"{HEAD}spec: {{clusterName: a}}", HEAD) == [told]
    assert problems(f"{HEAD}spec: {{clusterName: a}}", f"{HEAD}spec: {{clusterName: b}}") == [
        'spec.clusterName: "a": clusterName cannot change while the cluster exists'
    ]


def test_another_resource_name_is_another_cluster() -> None:
    assert problems(HEAD, HEAD.replace("orders", "pay")) == [
        "metadata.name: orders is not pay, and a cluster keeps its name"
    ]


def test_dates_stay_text_as_in_kubernetes() -> None:
    assert manifest.read("a: 2024-01-01") == {"a": "2024-01-01"}


def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [*node.get("properties", {}).values()]
    if isinstance(node.get("additionalProperties"), dict):
        inner.append(node["additionalProperties"])
    if "items" in node:
        inner.append(node["items"])
    return [node, *(found for one in inner for found in nodes(one))]


def test_the_schema_is_structural_and_bounded() -> None:
    """What an API server asks of a schema, and what keeps the cost of its rules within the limit."""
    for node in nodes(schema.of("rocketclusters")):
        assert "type" in node or node.get("x-kubernetes-int-or-string")
        assert not {"$ref", "oneOf", "propertyNames", "definitions"} & node.keys()
        assert not ("properties" in node and "additionalProperties" in node)
        assert "maxProperties" in node or "additionalProperties" not in node
        assert {"maxItems", "x-kubernetes-list-type"} & node.keys() or "items" not in node
        assert node.get("type") != "string" or {"maxLength", "enum"} & node.keys() or "description" in node


def test_metadata_is_narrowed_as_far_as_an_api_server_allows() -> None:
    """It refuses a CRD that says more of metadata than its name."""
    metadata = schema.of("rocketclusters")["properties"]["metadata"]
    assert metadata.keys() == {"type", "properties"}
    assert metadata["properties"].keys() == {"name"}


def test_every_field_of_the_spec_says_what_it_is_and_every_block_has_defaults() -> None:
    spec = schema.of("rocketclusters")["properties"]["spec"]
    override = spec["properties"]["broker"]["properties"]["groupOverrides"]["items"]  # what it lacks is not overridden
    for node in nodes(spec):
        for field in node.get("properties", {}).values():
            assert field.get("description")
            if field["type"] == "object" and "additionalProperties" not in field and node is not override:
                assert field["default"] == {}
