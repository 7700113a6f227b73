"""What the operator writes is what the programs read. They never import each other: this is where they are compared."""

from __future__ import annotations

from pathlib import Path, PurePath

import msgspec

from rocket_broker.settings import LIVE_KEYS as BROKERS_LIVE_KEYS
from rocket_broker.settings import BrokerSettings
from rocket_namesrv.settings import NamesrvSettings
from rocket_operator import manifest
from rocket_operator.objects.processes import Desired, desired
from rocket_operator.objects.settings import LIVE_KEYS
from rocket_operator.spec import ClusterSpec

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


def test_brokers_take_over_as_they_run_what_they_are_told_then() -> None:
    assert LIVE_KEYS <= BROKERS_LIVE_KEYS
    assert keys(BrokerSettings) >= LIVE_KEYS


def test_every_example_can_be_run() -> None:
    names = [file.parent.name for file in EXAMPLES.glob("*/cluster.yaml")]
    assert "quickstart" in names
    assert all(example(name).processes for name in names)


def test_the_quickstart_has_the_ports_of_the_tutorials() -> None:
    ports = [process.ports["clients"] for process in example("quickstart").processes]
    assert ports == [9876, 9877, 10911, 10921]
