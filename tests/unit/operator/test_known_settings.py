"""What the operator writes is what the programs read. They never import each other: this is where they are compared."""

from __future__ import annotations

from pathlib import Path, PurePath

import msgspec
import pytest

from rocket_broker.settings import LIVE_KEYS as BROKERS_LIVE_KEYS
from rocket_broker.settings import BrokerSettings
from rocket_namesrv.settings import NamesrvSettings
from rocket_net.properties_file import Entry, Settings, SettingsError, load
from rocket_operator import manifest, schema
from rocket_operator.objects.monitoring import SEGMENT_BYTES
from rocket_operator.objects.processes import Desired, desired
from rocket_operator.objects.settings import LIVE_KEYS
from rocket_operator.spec import ClusterSpec
from rocket_testing import settings_page
from rocket_testing.settings_page import config_fields, fixed_keys

EXAMPLES = Path(__file__).parents[3] / "examples"


def example(name: str) -> Desired:
    text = (EXAMPLES / name / "cluster.yaml").read_text("utf-8")
    return desired(ClusterSpec.parse(manifest.read(text)), PurePath("/srv"))


def keys(settings: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(settings)}


def test_every_key_has_a_meaning_in_its_program() -> None:
    kind = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster", "metadata": {"name": "orders"}}
    spec = ClusterSpec.parse({**kind, "spec": {"broker": {"replication": {"mode": "Sync"}}}})
    for process in desired(spec, PurePath("/srv")).processes:
        known = keys(BrokerSettings if process.program == "mqbroker" else NamesrvSettings)
        assert process.settings.keys() <= known


@pytest.mark.parametrize(("block", "settings"), [("broker", BrokerSettings), ("nameServer", NamesrvSettings)])
def test_a_manifest_may_hold_each_key_of_its_program_and_no_other(block: str, settings: type[Settings]) -> None:
    assert config_fields(block).keys() == keys(settings) - fixed_keys(settings).keys()


@pytest.mark.parametrize(("block", "settings"), [("broker", BrokerSettings), ("nameServer", NamesrvSettings)])
@pytest.mark.parametrize(
    "value",
    [
        "0",
        "1",
        "100",
        "101",
        "-1",
        "1.5",
        "9" * 18,
        "9" * 19,
        "true",
        "TRUE",
        "yes",
        "04",
        "24",
        "4;16",
        "1s 2h",
        "a b",
    ],
)
def test_what_a_manifest_may_say_of_a_key_its_program_accepts(block: str, settings: type[Settings], value: str) -> None:
    for key, field in config_fields(block).items():
        if not [*schema.type_and_limit_problems(field, value), *schema.rule_problems(field, value)]:
            load(settings, [Entry(key, value)])


def test_a_manifest_refuses_what_a_broker_could_not_start_with() -> None:
    fields = config_fields("broker")
    for key, value in (
        ("fileReservedTime", "0"),
        ("diskMaxUsedSpaceRatio", "101"),
        ("deleteWhen", "24"),
        ("traceOn", "on"),
        ("mappedFileSizeConsumeQueue", "19"),
        ("mapperFileSizeBatchConsumeQueue", "45"),
        ("mappedFileSizeCommitLog", "999"),
        ("maxIndexNum", "99"),
    ):
        assert list(schema.type_and_limit_problems(fields[key], value))
        with pytest.raises(SettingsError):
            load(BrokerSettings, [Entry(key, value)])


def test_brokers_take_over_as_they_run_what_they_are_told_then() -> None:
    assert LIVE_KEYS <= BROKERS_LIVE_KEYS
    assert keys(BrokerSettings) >= LIVE_KEYS


def test_an_alert_counts_with_files_as_large_as_a_broker_makes_them() -> None:
    assert BrokerSettings().mapped_file_size_commit_log == SEGMENT_BYTES


def test_every_example_can_be_run() -> None:
    names = [file.parent.name for file in EXAMPLES.glob("*/cluster.yaml")]
    assert "quickstart" in names
    assert all(example(name).processes for name in names)


def test_the_quickstart_has_the_ports_of_the_tutorials() -> None:
    ports = [process.ports["clients"] for process in example("quickstart").processes]
    assert ports == [9876, 9877, 10911, 10921]


def test_the_page_of_settings_is_what_the_programs_say() -> None:
    written = (EXAMPLES.parent / "docs" / "settings.md").read_text("utf-8")
    assert written == settings_page.page(), "python -m rocket_testing.settings_page > docs/settings.md"
