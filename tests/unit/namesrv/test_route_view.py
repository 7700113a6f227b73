"""Routes cut to a zone."""

from __future__ import annotations

from rocket_namesrv import route_view
from rocket_wire.bodies.route import BrokerData, QueueData, TopicRouteData

NEAR = BrokerData("C", "near", {0: "n:0", 1: "n:1"}, "z1")
FAR = BrokerData("C", "far", {0: "f:0", 1: "f:1"}, "z2")
FAR_ORPHAN = BrokerData("C", "orphan", {1: "o:1"}, "z2")
NOWHERE = BrokerData("C", "nowhere", {0: "w:0"})


def route(*brokers: BrokerData) -> TopicRouteData:
    queues = tuple([QueueData(broker.broker_name, 4, 4, 6) for broker in brokers])
    filters: dict[str, tuple[str, ...]] = {
        address: ("s:1",) for broker in brokers for address in broker.broker_addrs.values()
    }
    return TopicRouteData(queues, brokers, filters)


def test_groups_of_other_zones_are_left_out_with_their_queues_and_filter_servers() -> None:
    assert route_view.in_zone(route(NEAR, FAR, NOWHERE), "Z1") == route(NEAR)


def test_a_group_without_a_master_is_kept_wherever_it_is() -> None:
    assert route_view.in_zone(route(FAR_ORPHAN, FAR), "z1") == route(FAR_ORPHAN)


def test_the_topics_by_which_members_find_each_other_show_no_acting_master() -> None:
    group = BrokerData("C", "a", {1: "a:1"}, enable_acting_master=True)
    plain = TopicRouteData((QueueData("a", 4, 4, 4),), (group,))
    assert route_view.with_acting_masters(plain, "T").broker_datas[0].broker_addrs == {0: "a:1"}
    assert route_view.with_acting_masters(plain, "rmq_sys_SYNC_BROKER_MEMBER_a") == plain


def test_a_group_whose_queues_can_be_written_has_no_acting_master() -> None:
    group = BrokerData("C", "a", {1: "a:1"}, enable_acting_master=True)
    writable = TopicRouteData((QueueData("a", 4, 4, 6),), (group,))
    assert route_view.with_acting_masters(writable, "T") == writable
