"""Groups that are added learn what the others know; groups that leave are drained first, and can be taken back."""

from __future__ import annotations

import pytest

from rocket_operator.rollout.view import Blocker
from rocket_testing.operator_bench import Bench
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.topics import TopicConfig


async def test_a_new_group_knows_what_the_others_know_before_it_is_opened(b: Bench) -> None:
    b.make()
    await b.until_stable()
    b.brokers.groups[0].topics = {"pay": TopicConfig("pay"), "TBW102": TopicConfig("TBW102")}
    b.brokers.groups[0].consumer_groups = {"settle": SubscriptionGroupConfig("settle")}
    b.edit(broker={"groups": 2})
    told = await b.until_stable()
    assert list(b.brokers.groups[1].topics) == ["pay"]
    assert list(b.brokers.groups[1].consumer_groups) == ["settle"]
    copied, opened = (next(i for i, line in enumerate(told) if line.startswith(word)) for word in ("giving", "opening"))
    assert copied < opened
    assert b.status()["scale"]["replicas"] == 2


async def test_a_new_group_is_closed_until_then(b: Bench) -> None:
    b.make()
    await b.until_stable()
    b.brokers.silent = {"orders-broker-1-0"}
    b.edit(broker={"groups": 2})
    await b.until("Scaling", reason="Creating")
    config = b.store.get("ConfigMap", "default", "orders-broker-1")
    assert config is not None
    assert "brokerPermission=4" in config["data"]["broker.properties"]
    assert b.condition("Ready")["reason"] == "GroupNotOpen"


async def test_a_group_with_nothing_to_consume_leaves(b: Bench) -> None:
    b.make(broker={"groups": 2})
    await b.until_stable()
    b.edit(broker={"groups": 1})
    await b.until("Scaling", reason="Verifying")
    b.now += 31
    await b.until_stable()
    assert b.names("StatefulSet") == ["orders-broker-0"]
    assert "orders-broker-1" not in b.names("ConfigMap")
    claims = [claim for claim in b.store.list("PersistentVolumeClaim") if "-broker-1-" in claim["metadata"]["name"]]
    assert all("rocketcluster.dev/released" in claim["metadata"]["annotations"] for claim in claims)
    assert len(claims) == 2


async def test_the_end_of_the_quiet_time_is_looked_at_when_it_comes(b: Bench) -> None:
    b.make(broker={"groups": 2})
    await b.until_stable()
    b.edit(broker={"groups": 1})
    await b.until("Scaling", reason="Verifying")
    b.now += 10
    assert (await b.look()).again == 20


async def test_a_group_with_messages_stays_and_says_what_for(b: Bench) -> None:
    b.make(broker={"groups": 2})
    await b.until_stable()
    b.brokers.groups[1].backlog = (Blocker("pay", "settle", 7), Blocker("log", "", 3))
    b.edit(broker={"groups": 1})
    await b.until("Scaling", reason="Draining")
    b.now += 1000
    await b.look()
    assert b.state(1) == "Draining"
    drain = next(each["drain"] for each in b.status()["groups"] if each["index"] == 1)
    assert drain["remainingMessages"] == 10
    assert drain["blockers"][0] == {"topic": "pay", "group": "settle", "remaining": 7}
    assert "10 messages to consume" in b.status()["summary"]


async def test_a_group_whose_slave_may_hold_what_its_master_lost_stays(b: Bench) -> None:
    b.make(broker={"groups": 2}, scaling={"down": {"stableSeconds": 0}})
    await b.until_stable()
    b.brokers.behind = None
    b.edit(broker={"groups": 1})
    await b.until("Scaling", reason="DrainInDoubt")
    for _ in range(5):
        await b.look()
    assert b.state(1) == "Draining"
    assert "orders-broker-1-1 does not follow its master, and may hold what that one lacks" in b.status()["summary"]
    b.brokers.behind = 0
    await b.until_stable()
    assert b.names("StatefulSet") == ["orders-broker-0"]


@pytest.mark.parametrize("groups", [1, 2])
async def test_a_group_whose_config_map_somebody_deleted_keeps_its_brokers_and_messages(b: Bench, groups: int) -> None:
    b.make(broker={"groups": 2})
    await b.until_stable()
    b.brokers.groups[1].backlog = (Blocker("pay", "settle", 7),)
    if groups == 1:
        b.edit(broker={"groups": 1})
        await b.until("Scaling", reason="Draining")
    pods = [name for name in b.names("Pod") if "-broker-1-" in name]
    b.store.delete(("ConfigMap", "default", "orders-broker-1"))
    for _ in range(5):
        await b.look()
    assert [name for name in b.names("Pod") if "-broker-1-" in name] == pods
    assert b.state(1) == ("Draining" if groups == 1 else "Active")


async def test_messages_that_nobody_ever_read_do_not_count_where_they_may_be_discarded(b: Bench) -> None:
    b.make(broker={"groups": 2}, scaling={"down": {"unconsumed": "Discard", "stableSeconds": 0}})
    await b.until_stable()
    b.brokers.groups[1].backlog = (Blocker("log", "", 3),)
    b.edit(broker={"groups": 1})
    await b.until_stable()
    assert b.names("StatefulSet") == ["orders-broker-0"]


async def test_a_late_message_sends_a_group_back_to_draining(b: Bench) -> None:
    b.make(broker={"groups": 2})
    await b.until_stable()
    b.edit(broker={"groups": 1})
    await b.until("Scaling", reason="Verifying")
    b.brokers.groups[1].backlog = (Blocker("pay", "settle", 1),)
    await b.until("Scaling", reason="Draining")
    b.brokers.groups[1].backlog = ()
    await b.until("Scaling", reason="Verifying")
    b.now += 29
    await b.look()
    assert b.state(1) == "Verifying", "the time begins anew"


async def test_a_group_that_drains_is_taken_back(b: Bench) -> None:
    b.make(broker={"groups": 2})
    await b.until_stable()
    b.brokers.groups[1].backlog = (Blocker("pay", "settle", 7),)
    b.edit(broker={"groups": 1})
    await b.until("Scaling", reason="Draining")
    b.edit(broker={"groups": 2})
    told = await b.until_stable()
    assert told[0] == "opening group 1 again: it is wanted"


async def test_a_group_that_unregisters_goes_even_when_it_is_wanted_again_meanwhile(b: Bench) -> None:
    b.make(broker={"groups": 2}, scaling={"down": {"stableSeconds": 0}})
    await b.until_stable()
    b.brokers.stale_routes = {"orders-broker-1"}
    b.edit(broker={"groups": 1})
    b.kubernetes.node.is_ready = lambda pod: True
    while b.state(1) not in ("Unregistering", "Removing", None):
        await b.look()
    b.edit(broker={"groups": 2})
    await b.until("Scaling", reason="OldVolumesFound")
    assert b.brokers.stale_routes == set(), "no name server sends clients there"


async def test_a_topic_that_only_the_leaving_group_has_is_given_to_the_rest_first(b: Bench) -> None:
    b.make(broker={"groups": 2})
    await b.until_stable()
    b.brokers.groups[1].topics = {"only-here": TopicConfig("only-here")}
    b.edit(broker={"groups": 1})
    await b.until("Scaling", reason="Verifying")
    assert "only-here" in b.brokers.groups[0].topics


@pytest.mark.parametrize(("policy", "leaves"), [("Force", True), ("Block", False)])
async def test_a_person_may_force_or_block_the_removal_of_a_full_group(b: Bench, policy: str, leaves: bool) -> None:
    b.make(broker={"groups": 2}, scaling={"down": {"policy": policy}})
    await b.until_stable()
    b.brokers.groups[1].backlog = (Blocker("pay", "settle", 7),)
    b.edit(broker={"groups": 1})
    if leaves:
        await b.until_stable()
        assert b.names("StatefulSet") == ["orders-broker-0"]
    else:
        await b.until("Scaling", reason="DrainBlocked")
        assert b.state(1) == "Active"


async def test_a_drain_that_takes_too_long_is_told_or_forced(b: Bench) -> None:
    b.make(broker={"groups": 2}, scaling={"down": {"drainTimeoutSeconds": 100}})
    await b.until_stable()
    b.brokers.groups[1].backlog = (Blocker("pay", "settle", 7),)
    b.edit(broker={"groups": 1})
    await b.until("Scaling", reason="Draining")
    b.now += 101
    await b.until("Scaling", reason="DrainTimedOut")
    b.edit(scaling={"down": {"onTimeout": "Force"}})
    await b.until_stable()
    assert b.names("StatefulSet") == ["orders-broker-0"]


async def test_volumes_of_a_removed_group_are_deleted_where_the_resource_says_so(b: Bench) -> None:
    b.make(broker={"groups": 2, "storage": {"whenScaled": "Delete"}}, scaling={"down": {"stableSeconds": 0}})
    await b.until_stable()
    b.edit(broker={"groups": 1, "slavesPerGroup": 0})
    await b.until_stable()
    await b.look()
    assert b.names("PersistentVolumeClaim") == ["store-orders-broker-0-0"]
