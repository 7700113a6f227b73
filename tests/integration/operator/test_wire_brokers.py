"""What the operator hears from real brokers and name servers, and what it makes of no answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rocket_client import (
    Admin,
    Backlog,
    FromWhere,
    Message,
    MessageQueue,
    NoAnswer,
    Producer,
    PullConsumer,
    ServerAdmin,
)
from rocket_client.servers import Readers
from rocket_operator.cluster.brokers import Refused, WireBrokers
from rocket_operator.cluster.needs import Needs
from rocket_operator.objects.broker import config_map
from rocket_operator.objects.groups import Group, State
from rocket_operator.objects.metadata import Cluster as Described
from rocket_operator.objects.metadata import Images
from rocket_operator.rollout.steps import Configure, CopyMetadata, Unregister
from rocket_operator.rollout.view import Blocker, Observed, Pod, View
from rocket_operator.spec import ClusterSpec
from rocket_testing.cluster import Cluster
from rocket_testing.waiting import eventually
from rocket_wire.bodies.topics import TopicConfig

KIND = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster", "metadata": {"name": "orders"}}
DESCRIBED = Described(ClusterSpec.parse({**KIND, "spec": {}}), "messaging", "u-1")
NEEDS = Needs(metadata=True, backlog=1)


def view(*pods: Pod) -> View:
    return View(DESCRIBED, Images("broker", "namesrv", "1.0"), Observed(pods=pods), 0.0)


def with_groups(seen: View, states: dict[int, str]) -> View:
    """The same with ConfigMaps that say where groups stand."""
    groups = [config_map(DESCRIBED, Group(index, State(state))) for index, state in states.items()]
    objects = {("ConfigMap", each["metadata"]["name"]): each for each in groups}
    return replace(seen, observed=replace(seen.observed, objects=objects))


def pod(group: int | None, ordinal: int, address: str) -> Pod:
    host, _, port = address.rpartition(":")
    name = f"orders-{group}-{ordinal}"
    return Pod(name, name, group, ordinal, host, int(port), True, False, "", "", "", "", "", is_master=not ordinal)


async def read(cluster: Cluster, group: str, queue: MessageQueue) -> None:
    """A consumer group reads the only message of a queue."""
    async with PullConsumer(cluster.namesrv, group, auto_commit=False, from_where=FromWhere.FIRST) as consumer:
        await consumer.assign([queue])
        assert len(await consumer.poll(10.0)) == 1
        await consumer.commit()


@pytest.fixture
async def brokers() -> AsyncIterator[WireBrokers]:
    async with WireBrokers() as found:
        yield found


@pytest.fixture
def cluster(tmp_path: Path) -> object:
    with Cluster(tmp_path) as found:
        found.add_namesrv()
        yield found


async def test_a_master_tells_how_far_its_own_groups_slave_is_behind(brokers: WireBrokers, cluster: Cluster) -> None:
    master = cluster.add_broker(brokerName="orders-broker-1")
    slave = cluster.add_broker(brokerName="orders-broker-1", brokerId="1", brokerRole="SLAVE")
    seen = view(pod(1, 0, master.address), pod(1, 1, slave.address))

    async def is_known() -> bool:
        found = await brokers.observe(seen, NEEDS)
        return (found["orders-1-0"].behind, found["orders-1-1"].behind) == (None, 0)

    await eventually(is_known)


async def test_messages_are_counted_only_on_a_broker_that_takes_no_more(brokers: WireBrokers, cluster: Cluster) -> None:
    master = cluster.add_broker()
    seen = view(pod(1, 0, master.address))
    async with Producer(cluster.namesrv) as producer:
        await producer.send(Message("pay", "x"))
    assert (await brokers.observe(seen, NEEDS))["orders-1-0"].backlog is None
    await brokers.act(Configure("closing", "orders-1-0", master.address, {"brokerPermission": "4"}))
    assert (await brokers.observe(seen, NEEDS))["orders-1-0"].backlog == (Blocker("pay", "", 1),)


async def test_consumers_that_never_came_to_a_group_are_waited_for_where_they_read_the_topic_elsewhere(
    brokers: WireBrokers, cluster: Cluster
) -> None:
    stays = cluster.add_broker(brokerName="orders-broker-0")
    seen = [pod(0, 0, stays.address)]
    async with Admin(cluster.namesrv) as admin, Producer(cluster.namesrv) as producer:
        await admin.create_topic("pay", queues=1)
        await producer.send(Message("pay", "x"))
        await read(cluster, "audit", MessageQueue("pay", "orders-broker-0", 0))
        leaves = cluster.add_broker(brokerName="orders-broker-1")
        seen.append(pod(1, 0, leaves.address))
        await brokers.act(CopyMetadata("", "orders-1-0", leaves.address, (TopicConfig("pay", 1, 1),)))
        await producer.send(Message("pay", "y"), queue=MessageQueue("pay", "orders-broker-1", 0))
    await read(cluster, "settle", MessageQueue("pay", "orders-broker-1", 0))
    await brokers.act(Configure("closing", "orders-1-0", leaves.address, {"brokerPermission": "4"}))
    states = with_groups(view(*seen), {0: "Active", 1: "Draining"})
    assert (await brokers.observe(states, NEEDS))["orders-1-0"].backlog == (Blocker("pay", "audit", 1),)
    stays.kill()
    assert (await brokers.observe(states, NEEDS))["orders-1-0"].backlog is None


async def test_every_topic_counts_and_retries_and_no_dead_letters(brokers: WireBrokers, cluster: Cluster) -> None:
    master = cluster.add_broker()
    names = [f"pay-{number:02}" for number in range(20)]
    wanted = tuple(TopicConfig(name, 1, 1) for name in (*names, "%RETRY%settle", "%DLQ%settle"))
    await brokers.act(CopyMetadata("making topics", "orders-1-0", master.address, wanted))
    async with Producer(cluster.namesrv) as producer:
        for each in wanted:
            await producer.send(Message(each.topic_name, "x"))
    await brokers.act(Configure("closing", "orders-1-0", master.address, {"brokerPermission": "4"}))
    backlog = (await brokers.observe(view(pod(1, 0, master.address)), NEEDS))["orders-1-0"].backlog
    assert sorted(each.topic for each in backlog or ()) == ["%RETRY%settle", *names]


async def test_messages_that_could_not_be_counted_are_not_none(
    brokers: WireBrokers, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(servers: ServerAdmin, address: str, readers: Readers) -> list[Backlog]:
        raise NoAnswer("too many topics to count in time", maybe_done=False)

    master = cluster.add_broker(brokerPermission="4")
    monkeypatch.setattr(ServerAdmin, "backlog", fail)
    assert (await brokers.observe(view(pod(1, 0, master.address)), NEEDS))["orders-1-0"].backlog is None


async def test_a_name_server_forgets_all_members_of_a_group(brokers: WireBrokers, cluster: Cluster) -> None:
    cluster.add_broker(brokerName="orders-broker-1")
    cluster.add_broker(brokerName="orders-broker-1", brokerId="1", brokerRole="SLAVE")
    seen = view(pod(None, 0, cluster.namesrv))
    assert await brokers.routes(seen) == {cluster.namesrv: {"orders-broker-1"}}
    await brokers.act(Unregister("gone", cluster.namesrv, "orders-broker-1"))
    assert await brokers.routes(seen) == {cluster.namesrv: frozenset()}


async def test_who_does_not_answer_is_not_seen_and_a_word_to_him_is_refused(brokers: WireBrokers) -> None:
    nobody = "127.0.0.1:1"
    assert await brokers.observe(view(pod(1, 0, nobody)), NEEDS) == {}
    assert await brokers.routes(view(pod(None, 0, nobody))) == {}
    with pytest.raises(Refused, match="Pod orders-1-0 did not do what it was told"):
        await brokers.act(Configure("closing", "orders-1-0", nobody, {}))
