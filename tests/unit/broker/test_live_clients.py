"""Who is connected: what heartbeats change, who must be told of it, and who is forgotten when."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rocket_broker.clients import Clients, Member
from rocket_wire.bodies.heartbeat import ConsumerData, ConsumeType, MessageModel, SubscriptionData


@dataclass(frozen=True)
class Wire:
    """A connection, as far as the table cares."""

    peer: str


ONE, TWO = Wire("10.0.0.1:1"), Wire("10.0.0.2:2")


def subscription(topic: str, version: int = 1, expression: str = "*") -> SubscriptionData:
    return SubscriptionData(topic, sub_string=expression, sub_version=version)


class Table(Clients[Wire]):
    """The table under test, with heartbeats in one line."""

    def beat(
        self, wire: Wire, *subscriptions: SubscriptionData, group: str = "G", keep: bool = False, seen: float = 0.0
    ) -> bool:
        data = ConsumerData(group, ConsumeType.CONSUME_PASSIVELY, subscription_data_set=subscriptions)
        member = Member(f"{wire.peer}@1", "JAVA", 401, seen)
        return self.register_consumer(data, wire, member, keep_subscriptions=keep)

    def topics(self, group: str = "G") -> list[str]:
        return sorted(self.consumers[group].subscriptions)


@pytest.fixture
def clients() -> Table:
    return Table()


def test_a_first_heartbeat_is_a_change_and_its_repetition_is_none(clients: Table) -> None:
    assert clients.beat(ONE, subscription("T"))
    assert not clients.beat(ONE, subscription("T"))
    assert clients.beat(TWO, subscription("T"))
    assert clients.consumers["G"].client_ids() == ["10.0.0.1:1@1", "10.0.0.2:2@1"]


def test_a_topic_that_comes_or_goes_is_a_change(clients: Table) -> None:
    clients.beat(ONE, subscription("T"))
    assert clients.beat(ONE, subscription("T"), subscription("U"))
    assert clients.topics() == ["T", "U"]
    assert clients.beat(ONE, subscription("U"))
    assert clients.topics() == ["U"]


def test_a_newer_subscription_wins_and_an_older_one_is_ignored(clients: Table) -> None:
    clients.beat(ONE, subscription("T", 5, "TagA"))
    clients.beat(TWO, subscription("T", 4, "TagB"))
    assert clients.consumers["G"].subscriptions["T"].sub_string == "TagA"
    clients.beat(TWO, subscription("T", 6, "TagC"))
    assert clients.consumers["G"].subscriptions["T"].sub_string == "TagC"


def test_a_heartbeat_without_subscriptions_keeps_the_known_ones(clients: Table) -> None:
    clients.beat(ONE, subscription("T"))
    assert not clients.beat(ONE, keep=True)
    assert clients.topics() == ["T"]


def test_a_member_that_leaves_is_missed_by_those_who_stay(clients: Table) -> None:
    clients.beat(ONE, subscription("T"))
    clients.beat(TWO, subscription("T"))
    assert clients.unregister_consumer("G", ONE)
    assert clients.consumers["G"].client_ids() == ["10.0.0.2:2@1"]
    assert not clients.unregister_consumer("G", ONE)


def test_the_last_member_takes_the_group_along(clients: Table) -> None:
    clients.beat(ONE, subscription("T"))
    assert not clients.unregister_consumer("G", ONE)
    assert clients.consumers == {}
    assert not clients.unregister_consumer("Absent", ONE)


def test_one_client_id_on_two_connections_is_listed_once(clients: Table) -> None:
    data = ConsumerData("G")
    for wire in (ONE, TWO):
        clients.register_consumer(data, wire, Member("same", "JAVA", 401, 0), keep_subscriptions=False)
    assert clients.consumers["G"].client_ids() == ["same"]


def test_how_a_group_consumes_is_what_its_last_heartbeat_said(clients: Table) -> None:
    clients.beat(ONE, subscription("T"))
    assert clients.consumers["G"].message_model is MessageModel.CLUSTERING
    data = ConsumerData("G", message_model=MessageModel.BROADCASTING)
    clients.register_consumer(data, ONE, Member("a", "GO", 317, 0), keep_subscriptions=True)
    group = clients.consumers["G"]
    assert (group.message_model, group.consume_type) == (MessageModel.BROADCASTING, ConsumeType.CONSUME_PASSIVELY)


def test_a_closed_connection_leaves_every_group(clients: Table) -> None:
    for group in ("G", "H"):
        clients.beat(ONE, subscription("T"), group=group)
    clients.beat(TWO, subscription("T"), group="G")
    clients.register_producer("P", ONE, Member("one", "JAVA", 401, 0))
    clients.register_producer("P", TWO, Member("two", "JAVA", 401, 0))
    clients.register_producer("Q", ONE, Member("one", "JAVA", 401, 0))
    assert clients.forget(ONE) == ["G"]
    assert set(clients.consumers) == {"G"}
    assert {name: list(members) for name, members in clients.producers.items()} == {"P": [TWO]}
    assert clients.forget(ONE) == []


def test_a_producer_leaves_alone(clients: Table) -> None:
    clients.register_producer("P", ONE, Member("one", "JAVA", 401, 0))
    clients.unregister_producer("P", TWO)
    clients.unregister_producer("Absent", ONE)
    assert list(clients.producers) == ["P"]
    clients.unregister_producer("P", ONE)
    assert clients.producers == {}


def test_who_was_silent_too_long_is_named_once(clients: Table) -> None:
    clients.beat(ONE, subscription("T"), seen=10, group="G")
    clients.beat(ONE, subscription("T"), seen=10, group="H")
    clients.beat(TWO, subscription("T"), seen=20)
    clients.register_producer("P", ONE, Member("one", "JAVA", 401, 10))
    assert clients.expire(10) == []
    assert clients.expire(10.5) == [ONE]
    assert clients.expire(30) == [ONE, TWO]


def test_a_heartbeat_keeps_a_member_alive(clients: Table) -> None:
    clients.beat(ONE, subscription("T"), seen=10)
    clients.beat(ONE, subscription("T"), seen=50)
    assert clients.expire(50) == []
