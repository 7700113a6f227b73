"""Whatever brokers send in whatever order: nothing registered is lost, and the table never contradicts itself."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from rocket_namesrv.routes import Registration, RouteTable
from rocket_wire.bodies.registration import RegisterBrokerBody
from rocket_wire.bodies.topics import TopicConfig, TopicConfigAndMappingSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.errors import RequestError
from rocket_wire.headers.routes import RegisterBroker, UnregisterBroker

TOPICS = ("T1", "T2", "T3", "T4")
NAMES = ("broker-a", "broker-b")
ADDRESSES = ("h:1", "h:2", "h:3")
IDS = (0, 1, 2)
CONNECTIONS = ("x", "y")
TIMEOUT = 100


def registration(header: RegisterBroker, topics: dict[str, int], counter: int, state: int = 0) -> RegisterBrokerBody:
    configs = {name: TopicConfig(name, count, count) for name, count in topics.items()}
    return RegisterBrokerBody(TopicConfigAndMappingSerializeWrapper(configs, DataVersion(state, 0, counter)))


@given(st.lists(st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 9), min_size=1)))
def test_increments_in_any_order_add_up_to_the_last_of_each_topic(changes: list[dict[str, int]]) -> None:
    table = RouteTable()
    header = RegisterBroker("broker-a", "h:1", "C", "h:9", 0)
    expected: dict[str, int] = {}
    for counter, topics in enumerate([{}, *changes]):
        table.register(Registration(header, registration(header, topics, counter), "x"), now=counter)
        expected |= topics
    found = {}
    for topic in table.topics():
        route = table.lookup(topic)
        assert route is not None
        found[topic] = route.queue_datas[0].write_queue_nums
    assert found == expected


registrations = st.tuples(
    st.builds(
        RegisterBroker,
        st.sampled_from(NAMES), st.sampled_from(ADDRESSES), st.sampled_from(("C", "D")), st.just("h:9"),
        st.sampled_from(IDS), heartbeat_timeout_millis=st.just(TIMEOUT),
        enable_acting_master=st.sampled_from((None, False, True)),
    ),
    st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 3)),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from(CONNECTIONS),
    st.booleans(),
)  # fmt: skip
departures = st.builds(
    UnregisterBroker, st.sampled_from(NAMES), st.sampled_from(ADDRESSES), st.just("C"), st.sampled_from(IDS)
)
steps = st.lists(
    registrations
    | departures
    | st.tuples(st.just("disconnect"), st.sampled_from(CONNECTIONS))
    | st.tuples(st.just("heartbeat"), st.sampled_from(ADDRESSES))
    | st.tuples(st.just("delete"), st.sampled_from(TOPICS))
    | st.tuples(st.just("wait"), st.just("")),
    max_size=30,
)


@given(steps)
def test_the_table_never_contradicts_itself(taken: list[object]) -> None:
    table, now = RouteTable(), 0
    for step in taken:
        now += TIMEOUT // 4
        take(table, step, now)
        assert_whole(table)
    table.expire(now + TIMEOUT + 1)
    assert (list(table.topics()), table.system_names(), table.broker_counts()) == ([], set(), {})


def take(table: RouteTable, step: object, now: int) -> None:
    match step:
        case UnregisterBroker():
            table.unregister(step)
        case "disconnect", connection:
            table.disconnect(connection)
        case "heartbeat", str(address):
            table.heartbeat(address, now)
        case "delete", str(topic):
            table.delete_topic(topic)
        case "wait", _:
            table.expire(now)
        case (RegisterBroker() as header, dict(topics), int(counter), int(state), connection, bool(delete)):
            body = registration(header, topics, counter, state)
            with contextlib.suppress(RequestError):
                table.register(Registration(header, body, connection), now, delete_unlisted=delete)
        case _:
            raise AssertionError(f"unknown step {step}")


def assert_whole(table: RouteTable) -> None:
    """An address stands in one group under one id and is live; no group is empty; topics stand on groups that exist."""
    groups = table.cluster_info().broker_addr_table
    addresses = [address for group in groups.values() for address in group.broker_addrs.values()]
    assert len(addresses) == len(set(addresses)) == sum(table.broker_counts().values())
    assert all(table.version(address) is not None for address in addresses)
    assert all(group.broker_addrs for group in groups.values())
    for topic in table.topics():
        route = table.lookup(topic)
        assert route is not None
        assert {data.broker_name for data in route.queue_datas} == {broker.broker_name for broker in route.broker_datas}
    clusters = table.cluster_info().cluster_addr_table
    assert sorted(name for names in clusters.values() for name in names) == sorted(groups)
