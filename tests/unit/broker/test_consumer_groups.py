"""Consumer groups as a broker is configured for them: made on demand, within RocketMQ's names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rocket_broker.groups import BUILT_IN, ConsumerGroups
from rocket_broker.settings import BrokerSettings
from rocket_testing.clock import Clock
from rocket_wire.bodies.groups import SubscriptionGroupConfig, SubscriptionGroupWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError

GOLDEN = Path(__file__).parents[2] / "golden" / "broker-config" / "subscriptionGroup.json"
ILLEGAL = ["", " ", "a b", "a.b", "../../etc", "a/b", "a@b", "组", "a\n", "g" * 249]


@pytest.fixture
def groups(clock: Clock) -> ConsumerGroups:
    return ConsumerGroups(BrokerSettings, clock)


def test_a_broker_has_rocketmqs_groups_from_its_start(groups: ConsumerGroups) -> None:
    assert set(groups.table) == set(BUILT_IN)
    assert groups.version.counter == 0


def test_a_group_is_made_when_it_is_first_asked_for(groups: ConsumerGroups, clock: Clock) -> None:
    told = []
    groups.on_change = lambda: told.append(len(groups.table))
    clock.advance(1)
    config = groups.require("New")
    assert config == SubscriptionGroupConfig("New")
    assert (config.retry_queue_nums, config.retry_max_times, config.consume_enable) == (1, 16, True)
    assert groups.version == DataVersion(0, clock(), 1)
    assert groups.get("New") is config
    assert told == [len(BUILT_IN) + 1]


def test_no_group_is_made_where_that_is_switched_off(clock: Clock) -> None:
    settings = [BrokerSettings()]
    groups = ConsumerGroups(lambda: settings[-1], clock)
    assert groups.get("Before") is not None
    settings.append(BrokerSettings(auto_create_subscription_group=False))
    assert groups.get("New") is None
    assert groups.get(BUILT_IN[0]) is not None
    with pytest.raises(RequestError) as caught:
        groups.require("New")
    assert caught.value.code == ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST


@pytest.mark.parametrize("name", ILLEGAL)
def test_no_group_is_made_under_a_name_that_rocketmq_forbids(groups: ConsumerGroups, name: str) -> None:
    """A group's name becomes part of a topic's, and that the name of a folder."""
    assert groups.get(name) is None
    assert set(groups.table) == set(BUILT_IN)


def test_only_a_change_makes_a_new_version(groups: ConsumerGroups) -> None:
    groups.put(SubscriptionGroupConfig("G", retry_max_times=3))
    version = groups.version
    groups.put(SubscriptionGroupConfig("G", retry_max_times=3))
    assert groups.version == version
    groups.put(SubscriptionGroupConfig("G", retry_max_times=4))
    assert groups.version.counter == version.counter + 1


def test_a_deleted_group_is_gone(groups: ConsumerGroups) -> None:
    groups.put(SubscriptionGroupConfig("G"))
    version = groups.version
    assert groups.delete("G")
    assert "G" not in groups.table
    assert groups.version.counter == version.counter + 1
    assert not groups.delete("G")


def test_the_file_that_apache_wrote_is_read_whole(groups: ConsumerGroups) -> None:
    golden = json.loads(GOLDEN.read_bytes())
    groups.restore(SubscriptionGroupWrapper.decode(GOLDEN.read_bytes()))
    written = json.loads(groups.encode())
    assert written["dataVersion"] == golden["dataVersion"]
    assert written["forbiddenTable"] == golden["forbiddenTable"]
    for name, config in golden["subscriptionGroupTable"].items():
        assert written["subscriptionGroupTable"][name] == config
    assert set(written) == set(golden)


def test_what_is_forbidden_to_a_group_outlives_a_restart(groups: ConsumerGroups) -> None:
    """Nobody here sets it, but a copied store directory may have it."""
    groups.restore(SubscriptionGroupWrapper(forbidden_table={"G": {"T": 1}}))
    assert json.loads(groups.encode())["forbiddenTable"] == {"G": {"T": 1}}


def test_a_fetched_table_takes_away_what_the_master_deleted(groups: ConsumerGroups) -> None:
    groups.put(SubscriptionGroupConfig("Gone"))
    groups.restore(SubscriptionGroupWrapper({"New": SubscriptionGroupConfig("New")}, data_version=DataVersion(0, 5, 9)))
    assert set(groups.table) == {*BUILT_IN, "New"}
    assert groups.version == DataVersion(0, 5, 9)
