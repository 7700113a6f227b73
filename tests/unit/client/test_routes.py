"""What a name server's answer means for writing and reading."""

from __future__ import annotations

from rocket_client.routes import Route, no_queue, route_of
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.route import BrokerData, QueueData, TopicRouteData


def answer(*queues: QueueData, brokers: dict[str, dict[int, str]], order: str | None = None) -> TopicRouteData:
    return TopicRouteData(
        queue_datas=queues,
        broker_datas=tuple(BrokerData("C", name, addresses) for name, addresses in brokers.items()),
        order_topic_conf=order,
    )


def texts(queues: tuple[MessageQueue, ...]) -> list[str]:
    return [f"{queue.broker_name}{queue.queue_id}" for queue in queues]


def test_queues_are_sorted_by_broker_and_id() -> None:
    data = answer(QueueData("b", 1, 1, 6), QueueData("a", 2, 2, 6), brokers={"a": {0: "1:1"}, "b": {0: "2:2"}})
    route = route_of("T", data)
    assert texts(route.queues_to_write) == ["a0", "a1", "b0"] == texts(route.queues_to_read)


def test_a_group_without_a_master_can_only_be_read() -> None:
    route = route_of("T", answer(QueueData("a", 2, 2, 6), brokers={"a": {1: "1:1"}}))
    assert texts(route.queues_to_write) == []
    assert texts(route.queues_to_read) == ["a0", "a1"]
    assert route.address("a") == "1:1"
    assert route.master("a") is None


def test_permission_bits_decide_about_reading_and_writing() -> None:
    brokers = {"a": {0: "1:1"}, "b": {0: "2:2"}}
    route = route_of("T", answer(QueueData("a", 1, 1, 4), QueueData("b", 1, 1, 2), brokers=brokers))
    assert texts(route.queues_to_read) == ["a0"]
    assert texts(route.queues_to_write) == ["b0"]


def test_the_template_gives_as_many_queues_as_asked_for_and_no_more_than_it_has() -> None:
    data = answer(QueueData("a", 8, 8, 7), QueueData("b", 2, 2, 7), brokers={"a": {0: "1:1"}, "b": {0: "2:2"}})
    route = route_of("new", data, template_queues=4)
    assert texts(route.queues_to_write) == ["a0", "a1", "a2", "a3", "b0", "b1"]
    assert route.is_template
    assert {queue.topic for queue in route.queues_to_write} == {"new"}


def test_a_globally_ordered_topic_lists_its_queues_itself() -> None:
    data = answer(QueueData("a", 8, 8, 6), brokers={"a": {0: "1:1"}}, order="b:1;a:2;bad;worse:x")
    assert texts(route_of("T", data).queues_to_write) == ["a0", "a1", "b0"]


def test_addresses_of_masters_and_of_all() -> None:
    route = route_of("T", answer(brokers={"a": {0: "1:1", 1: "1:2"}, "b": {2: "2:2"}}))
    assert route.addresses() == {"1:1", "1:2", "2:2"}
    assert route.addresses(masters_only=True) == {"1:1"}


def test_a_wished_member_is_preferred_then_the_master_then_anyone() -> None:
    route = route_of("T", answer(brokers={"a": {0: "master", 1: "slave"}, "b": {3: "other"}}))
    assert route.address("a", 1) == "slave"
    assert route.address("a", 2) == "master"
    assert route.address("b", 1) == "other"
    assert route.address("c") is None


def test_the_error_about_a_topic_without_queues_names_the_groups() -> None:
    error = no_queue(Route("T", brokers={"a": {1: "1:1"}, "b": {0: "2:2"}}), "write")
    assert "topic 'T' has no queue to write now; broker groups: a (no master), b (up)." in str(error)
