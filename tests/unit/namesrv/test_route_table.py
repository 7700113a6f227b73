"""The route table, situation by situation. Apache's answers to most of them are in tests/golden/namesrv."""

from __future__ import annotations

from typing import Any

import pytest

from rocket_namesrv.routes import DEFAULT_TIMEOUT_MILLIS, Registration, RouteTable
from rocket_wire.bodies.registration import RegisterBrokerBody
from rocket_wire.bodies.route import QueueData, TopicQueueMappingInfo
from rocket_wire.bodies.topics import TopicConfig, TopicConfigAndMappingSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.errors import RequestError
from rocket_wire.headers.routes import RegisterBroker, RegisterBrokerAnswer, UnregisterBroker


def registration(
    topics: dict[str, int] | None = None, counter: int = 1, connection: object = None, state: int = 0, **fields: Any
) -> Registration:
    """Of broker-a's master at a:1, unless `fields` say otherwise. `topics` maps names to numbers of queues."""
    chosen = {"T": 4, "U": 4} if topics is None else topics
    configs = {name: TopicConfig(name, count, count) for name, count in chosen.items()}
    wrapper = TopicConfigAndMappingSerializeWrapper(configs, DataVersion(state, 0, counter))
    header = {"broker_name": "broker-a", "broker_addr": "a:1", "cluster_name": "C", "broker_id": 0, **fields}
    return Registration(RegisterBroker(ha_server_addr="ha", **header), RegisterBrokerBody(wrapper), connection)


def unregistration(address: str = "a:1", name: str = "broker-a", broker_id: int = 0) -> UnregisterBroker:
    return UnregisterBroker(name, address, "C", broker_id)


def table_with(*registrations: Registration) -> RouteTable:
    table = RouteTable()
    for each in registrations:
        table.register(each, now=0)
    return table


def queues(table: RouteTable, topic: str) -> dict[str, int]:
    """Write queues by group; empty if there is no route."""
    route = table.lookup(topic)
    return {data.broker_name: data.write_queue_nums for data in route.queue_datas} if route is not None else {}


def permissions(table: RouteTable, topic: str) -> dict[str, int]:
    route = table.lookup(topic)
    return {data.broker_name: data.perm for data in route.queue_datas} if route is not None else {}


def members(table: RouteTable, name: str = "broker-a") -> dict[int, str]:
    return table.member_group("C", name).broker_addrs


SLAVE: dict[str, Any] = {"broker_addr": "a:9", "broker_id": 1}


def test_an_empty_table_knows_nothing() -> None:
    table = RouteTable()
    assert table.lookup("T") is None
    assert table.cluster_info().broker_addr_table == {}
    assert table.any_address() is None
    assert members(table) == {}


def test_a_master_brings_its_topics() -> None:
    table = RouteTable()
    done = table.register(registration(), now=0)
    assert (done.is_accepted, done.is_new, done.changed_topics) == (True, True, 2)
    assert queues(table, "T") == {"broker-a": 4}
    assert members(table) == {0: "a:1"}


def test_a_renewal_changes_nothing_and_is_not_new() -> None:
    table = table_with(registration())
    done = table.register(registration(), now=1)
    assert (done.is_new, done.changed_topics) == (False, 0)


def test_one_topic_alone_makes_no_broker_known() -> None:
    table = RouteTable()
    with pytest.raises(RequestError, match="all its topics") as caught:
        table.register(registration({"T": 4}), now=0)
    assert caught.value.code == 1
    assert table.cluster_info() == RouteTable().cluster_info()
    assert table.broker_counts() == {}


def test_a_broker_without_topics_is_known() -> None:
    assert members(table_with(registration({}))) == {0: "a:1"}


def test_an_increment_of_one_topic_is_merged() -> None:
    table = table_with(registration(), registration({"V": 2}, counter=2))
    assert [queues(table, topic) for topic in "TUV"] == [{"broker-a": 4}, {"broker-a": 4}, {"broker-a": 2}]


def test_an_unchanged_version_skips_known_topics_and_adds_absent_ones() -> None:
    table = table_with(registration(), registration({"T": 9, "V": 9}))
    assert queues(table, "T") == {"broker-a": 4}
    assert queues(table, "V") == {"broker-a": 9}


def test_a_lower_version_counts_as_changed() -> None:
    table = table_with(registration(counter=7), registration({"T": 9, "U": 4}, counter=3))
    assert queues(table, "T") == {"broker-a": 9}


def test_a_topic_that_is_no_longer_listed_stays() -> None:
    table = table_with(registration(), registration({"T": 4, "V": 4}, counter=2))
    assert queues(table, "U") == {"broker-a": 4}


def test_a_topic_that_is_no_longer_listed_goes_when_asked_for() -> None:
    table = table_with(registration(), registration(broker_name="broker-b", broker_addr="b:1"))
    table.register(registration({"T": 4, "V": 4}, counter=2), now=0, delete_unlisted=True)
    assert queues(table, "U") == {"broker-b": 4}
    assert queues(table, "T") == {"broker-a": 4, "broker-b": 4}


def test_a_single_topic_is_an_increment_and_drops_no_other() -> None:
    table = table_with(registration())
    table.register(registration({"V": 4}, counter=2), now=0, delete_unlisted=True)
    assert [queues(table, topic) for topic in "TUV"] == [{"broker-a": 4}] * 3


def test_two_groups_share_a_topic() -> None:
    table = table_with(registration(), registration({"T": 8, "W": 1}, broker_name="broker-b", broker_addr="b:1"))
    assert queues(table, "T") == {"broker-a": 4, "broker-b": 8}
    route = table.lookup("T")
    assert route is not None
    assert [broker.broker_name for broker in route.broker_datas] == ["broker-a", "broker-b"]


def test_a_slave_learns_its_master_and_brings_no_topics() -> None:
    table = table_with(registration())
    done = table.register(registration({"T": 9, "V": 9}, **SLAVE), now=0)
    assert done.answer == RegisterBrokerAnswer("ha", "a:1")
    assert queues(table, "T") == {"broker-a": 4}
    assert queues(table, "V") == {}
    assert members(table) == {0: "a:1", 1: "a:9"}


def test_a_slave_without_a_master_learns_nothing() -> None:
    done = RouteTable().register(registration(**SLAVE), now=0)
    assert done.answer == RegisterBrokerAnswer()


def test_a_slave_of_5x_without_a_master_brings_topics() -> None:
    table = table_with(registration(enable_acting_master=False, **SLAVE))
    assert permissions(table, "T") == {"broker-a": 6}


def test_a_slave_that_becomes_master_has_one_id() -> None:
    table = table_with(registration(**SLAVE), registration(broker_addr="a:9"))
    assert members(table) == {0: "a:9"}
    assert table.broker_counts() == {"C": 1}


def test_a_restarted_master_at_a_new_address_takes_the_id() -> None:
    table = table_with(registration(connection="old"), registration(broker_addr="a:2", connection="new"))
    assert members(table) == {0: "a:2"}
    assert table.disconnect("old") == []
    assert members(table) == {0: "a:2"}
    assert queues(table, "T") == {"broker-a": 4}


def test_an_address_with_an_older_state_loses() -> None:
    table = table_with(registration(state=5))
    done = table.register(registration({"T": 9, "U": 9}, counter=9, state=4, broker_addr="a:2"), now=0)
    assert not done.is_accepted
    assert members(table) == {0: "a:1"}
    assert queues(table, "T") == {"broker-a": 4}


def test_a_slave_that_loses_the_id_is_no_member_any_more() -> None:
    table = table_with(registration(state=5), registration(**SLAVE))
    table.register(registration(state=4, broker_addr="a:9"), now=0)
    assert members(table) == {0: "a:1"}
    assert table.broker_counts() == {"C": 1}


def test_a_broker_of_another_name_takes_over_the_address_of_a_dead_one() -> None:
    table = table_with(registration(), registration({"T": 1, "W": 1}, broker_name="broker-b"))
    assert members(table) == {}
    assert members(table, "broker-b") == {0: "a:1"}
    assert queues(table, "T") == {"broker-b": 1}
    assert queues(table, "U") == {}


def test_a_closed_connection_drops_its_brokers_at_once() -> None:
    table = table_with(registration(connection="x"), registration(connection="y", **SLAVE))
    assert [gone.address for gone in table.disconnect("x")] == ["a:1"]
    assert members(table) == {1: "a:9"}
    assert queues(table, "T") == {"broker-a": 4}
    table.disconnect("y")
    assert table.lookup("T") is None
    assert table.topics() == set()
    assert table.cluster_info().cluster_addr_table == {}


def test_a_connection_of_a_broker_that_came_back_over_another_drops_nothing() -> None:
    table = table_with(registration(connection="x"), registration(connection="y"))
    assert table.disconnect("x") == []
    assert members(table) == {0: "a:1"}


def test_a_silent_broker_expires_after_its_own_time_and_a_heartbeat_delays_it() -> None:
    table = RouteTable()
    table.register(registration(connection="x", heartbeat_timeout_millis=1000), now=0)
    assert table.expire(now=1000) == []
    assert table.heartbeat("a:1", now=900)
    assert table.expire(now=1001) == []
    assert [(gone.cluster, gone.address, gone.connection) for gone in table.expire(now=1901)] == [("C", "a:1", "x")]
    assert table.lookup("T") is None


def test_a_broker_that_names_no_time_has_two_minutes() -> None:
    table = table_with(registration())
    assert table.expire(now=DEFAULT_TIMEOUT_MILLIS) == []
    assert len(table.expire(now=DEFAULT_TIMEOUT_MILLIS + 1)) == 1


def test_a_heartbeat_of_a_stranger_is_no_registration() -> None:
    table = RouteTable()
    assert not table.heartbeat("a:1", now=0)
    assert table.broker_counts() == {}


def test_the_last_of_a_group_takes_its_topics_along() -> None:
    table = table_with(registration(), registration({"T": 1, "W": 1}, broker_name="broker-b", broker_addr="b:1"))
    assert table.unregister(unregistration())
    assert queues(table, "T") == {"broker-b": 1}
    assert queues(table, "U") == {}
    assert not table.unregister(unregistration())


def test_leaving_under_another_name_drops_nobody() -> None:
    table = table_with(registration())
    assert not table.unregister(unregistration(name="broker-b"))
    assert members(table) == {0: "a:1"}


def test_write_permission_is_wiped_and_added() -> None:
    table = table_with(registration())
    assert table.wipe_write_permission("broker-a") == 2
    assert permissions(table, "T") == {"broker-a": 4}
    table.register(registration(), now=1)
    assert permissions(table, "T") == {"broker-a": 4}, "a renewal must not undo it"
    assert table.add_write_permission("broker-a") == 2
    assert permissions(table, "T") == {"broker-a": 6}
    assert table.wipe_write_permission("broker-x") == 0


def test_a_topic_is_deleted_everywhere_or_in_one_cluster() -> None:
    other = registration(broker_name="broker-b", broker_addr="b:1", cluster_name="D")
    table = table_with(registration(), other)
    table.delete_topic("T", "D")
    assert queues(table, "T") == {"broker-a": 4}
    table.delete_topic("T", "nowhere")
    table.delete_topic("T")
    assert table.lookup("T") is None
    assert table.topics_of_cluster("D") == {"U"}


def test_a_single_topic_is_entered_on_known_groups_only() -> None:
    table = table_with(registration())
    assert table.register_topic("V", [QueueData("broker-a", 2, 2, 6)])
    assert not table.register_topic("W", [QueueData("broker-a", 2, 2, 6), QueueData("broker-x", 2, 2, 6)])
    assert table.register_topic("X", [])
    assert (queues(table, "V"), queues(table, "W"), "X" in table.topics()) == ({"broker-a": 2}, {}, False)


def test_topics_by_unit_bits() -> None:
    flags = {"none": 0, "unit": 1, "subscribed": 2, "both": 3}
    configs = {name: TopicConfig(name, topic_sys_flag=flag) for name, flag in flags.items()}
    plain = registration()
    table = table_with(plain._replace(body=RegisterBrokerBody(TopicConfigAndMappingSerializeWrapper(configs))))
    assert table.topics_of_unit(1) == {"unit", "both"}
    assert table.topics_of_unit(2) == {"subscribed", "both"}
    assert table.topics_of_unit(2, lacks=1) == {"subscribed"}


def test_filter_servers_stand_in_the_route_until_they_are_gone() -> None:
    plain = registration()
    wrapper = plain.body.topic_config_serialize_wrapper
    table = table_with(plain._replace(body=RegisterBrokerBody(wrapper, ("f:1",))))
    route = table.lookup("T")
    assert route is not None
    assert route.filter_server_table == {"a:1": ("f:1",)}
    table.register(plain, now=1)
    route = table.lookup("T")
    assert route is not None
    assert route.filter_server_table == {}


def test_the_mapping_of_a_static_topic_comes_and_goes_with_its_group() -> None:
    mapping = TopicQueueMappingInfo("T", total_queues=2, bname="broker-a", curr_id_map={0: 0, 1: 1})
    plain = registration()
    configs = plain.body.topic_config_serialize_wrapper.topic_config_table
    wrapper = TopicConfigAndMappingSerializeWrapper(configs, DataVersion(), {"T": mapping})
    table = table_with(plain._replace(body=RegisterBrokerBody(wrapper)))
    route = table.lookup("T")
    assert route is not None
    assert route.topic_queue_mapping_by_broker == {"broker-a": mapping}
    table.unregister(unregistration())
    table.register(plain, now=1)
    route = table.lookup("T")
    assert route is not None
    assert route.topic_queue_mapping_by_broker is None


ACTING: dict[str, Any] = {"enable_acting_master": True}


def test_a_group_that_lost_its_master_is_read_only_and_shows_an_acting_one() -> None:
    table = table_with(registration(**ACTING), registration(broker_addr="a:9", broker_id=2, **ACTING))
    table.register(registration(broker_addr="a:8", broker_id=1, **ACTING), now=0)
    table.unregister(unregistration())
    assert permissions(table, "T") == {"broker-a": 4}
    plain, acting = table.lookup("T"), table.lookup("T", acting_master=True)
    assert plain is not None
    assert acting is not None
    assert plain.broker_datas[0].broker_addrs == {1: "a:8", 2: "a:9"}
    assert acting.broker_datas[0].broker_addrs == {0: "a:8", 2: "a:9"}


def test_no_master_is_acted_where_the_group_does_not_allow_it() -> None:
    table = table_with(registration(), registration(**SLAVE))
    table.unregister(unregistration())
    table.wipe_write_permission("broker-a")
    route = table.lookup("T", acting_master=True)
    assert route is not None
    assert route.broker_datas[0].broker_addrs == {1: "a:9"}
