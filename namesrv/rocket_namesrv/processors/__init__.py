"""From request code to function: everything that a name server answers, in one table (protocol section 3.1).

A function has its request code's name in lower case. It gets the parts, its typed header where it has one, the
request and the connection, and returns the answer at once: nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rocket_namesrv.parts import Parts
from rocket_namesrv.processors import brokers, configuration, kv, route, topics
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, H, Handler, Table, on
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command
from rocket_wire.headers import routes as headers


def table(parts: Parts) -> Table:
    """The functions, bound to the parts of one name server."""

    def with_header(header_type: type[H], function: Callable[[Parts, H, Command, Connection], Answer]) -> Handler:
        return on(header_type, partial(function, parts))

    def bare(function: Callable[[Parts, Command, Connection], Answer]) -> Handler:
        return partial(function, parts)

    code = RequestCode
    return {
        code.REGISTER_BROKER: with_header(brokers.RegisterBrokerInZone, brokers.register_broker),
        code.UNREGISTER_BROKER: with_header(headers.UnregisterBroker, brokers.unregister_broker),
        code.BROKER_HEARTBEAT: with_header(headers.BrokerHeartbeat, brokers.broker_heartbeat),
        code.QUERY_DATA_VERSION: with_header(headers.QueryDataVersion, brokers.query_data_version),
        code.GET_BROKER_MEMBER_GROUP: with_header(headers.GetBrokerMemberGroup, brokers.get_broker_member_group),
        code.GET_BROKER_CLUSTER_INFO: bare(brokers.get_broker_cluster_info),
        code.WIPE_WRITE_PERM_OF_BROKER: with_header(headers.WipeWritePermOfBroker, brokers.wipe_write_perm_of_broker),
        code.ADD_WRITE_PERM_OF_BROKER: with_header(headers.AddWritePermOfBroker, brokers.add_write_perm_of_broker),
        code.GET_ROUTEINFO_BY_TOPIC: with_header(route.GetRouteinfoInZone, route.get_routeinfo_by_topic),
        code.REGISTER_TOPIC_IN_NAMESRV: with_header(headers.RegisterTopicInNamesrv, topics.register_topic_in_namesrv),
        code.DELETE_TOPIC_IN_NAMESRV: with_header(headers.DeleteTopicInNamesrv, topics.delete_topic_in_namesrv),
        code.GET_ALL_TOPIC_LIST_FROM_NAMESERVER: bare(topics.get_all_topic_list_from_nameserver),
        code.GET_TOPICS_BY_CLUSTER: with_header(headers.GetTopicsByCluster, topics.get_topics_by_cluster),
        code.GET_SYSTEM_TOPIC_LIST_FROM_NS: bare(topics.get_system_topic_list_from_ns),
        code.GET_UNIT_TOPIC_LIST: bare(topics.get_unit_topic_list),
        code.GET_HAS_UNIT_SUB_TOPIC_LIST: bare(topics.get_has_unit_sub_topic_list),
        code.GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST: bare(topics.get_has_unit_sub_ununit_topic_list),
        code.PUT_KV_CONFIG: with_header(headers.PutKvConfig, kv.put_kv_config),
        code.GET_KV_CONFIG: with_header(headers.GetKvConfig, kv.get_kv_config),
        code.DELETE_KV_CONFIG: with_header(headers.DeleteKvConfig, kv.delete_kv_config),
        code.GET_KVLIST_BY_NAMESPACE: with_header(headers.GetKvlistByNamespace, kv.get_kvlist_by_namespace),
        code.UPDATE_NAMESRV_CONFIG: bare(configuration.update_namesrv_config),
        code.GET_NAMESRV_CONFIG: bare(configuration.get_namesrv_config),
    }
