"""Everything the broker understands: one line per request code, from the number on the wire to the function."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rocket_broker.processors import admin, clients, groups, locks, offsets, pull, query, relay, send, send_back, topics
from rocket_broker.state import Broker
from rocket_net.dispatch import Handler, Table, on
from rocket_net.gathering import Together, together
from rocket_net.turns import InTurn
from rocket_wire.codes import RequestCode as Code
from rocket_wire.headers import clients as client_headers
from rocket_wire.headers import offsets as offset_headers
from rocket_wire.headers import pull as pull_headers
from rocket_wire.headers import send as send_headers
from rocket_wire.headers import topics as topic_headers
from rocket_wire.headers.header import Header

#: Request code, the header it carries (None: its content is the body, or nothing), the function that answers.
ROWS: tuple[tuple[Code, type[Header] | None, Callable[..., Any]], ...] = (
    (Code.SEND_BATCH_MESSAGE, send_headers.SendMessageV2, send.send_batch_message),
    (Code.CONSUMER_SEND_MSG_BACK, send_headers.ConsumerSendMsgBack, send_back.consumer_send_msg_back),
    (Code.QUERY_MESSAGE, pull_headers.QueryMessage, query.query_message),
    (Code.VIEW_MESSAGE_BY_ID, pull_headers.ViewMessageById, query.view_message_by_id),
    (Code.QUERY_CONSUMER_OFFSET, offset_headers.QueryConsumerOffset, offsets.query_consumer_offset),
    (Code.UPDATE_CONSUMER_OFFSET, offset_headers.UpdateConsumerOffset, offsets.update_consumer_offset),
    (Code.SEARCH_OFFSET_BY_TIMESTAMP, offset_headers.SearchOffsetByTimestamp, offsets.search_offset_by_timestamp),
    (
        Code.INVOKE_BROKER_TO_RESET_OFFSET,
        offset_headers.InvokeBrokerToResetOffset,
        offsets.invoke_broker_to_reset_offset,
    ),
    (Code.GET_MAX_OFFSET, offset_headers.GetMaxOffset, offsets.get_max_offset),
    (Code.GET_MIN_OFFSET, offset_headers.GetMinOffset, offsets.get_min_offset),
    (Code.GET_EARLIEST_MSG_STORETIME, offset_headers.GetEarliestMsgStoretime, offsets.get_earliest_msg_storetime),
    (Code.HEART_BEAT, None, clients.heart_beat),
    (Code.UNREGISTER_CLIENT, client_headers.UnregisterClient, clients.unregister_client),
    (Code.GET_CONSUMER_LIST_BY_GROUP, client_headers.GetConsumerListByGroup, clients.get_consumer_list_by_group),
    (Code.GET_CONSUMER_CONNECTION_LIST, client_headers.GetConsumerConnectionList, clients.get_consumer_connection_list),
    (Code.GET_PRODUCER_CONNECTION_LIST, client_headers.GetProducerConnectionList, clients.get_producer_connection_list),
    (Code.GET_CONSUMER_RUNNING_INFO, client_headers.GetConsumerRunningInfo, relay.get_consumer_running_info),
    (Code.QUERY_TOPIC_CONSUME_BY_WHO, client_headers.QueryTopicConsumeByWho, relay.query_topic_consume_by_who),
    (Code.GET_ALL_PRODUCER_INFO, None, clients.get_all_producer_info),
    (Code.LOCK_BATCH_MQ, None, locks.lock_batch_mq),
    (Code.UNLOCK_BATCH_MQ, None, locks.unlock_batch_mq),
    (Code.UPDATE_AND_CREATE_TOPIC, topic_headers.UpdateAndCreateTopic, topics.update_and_create_topic),
    (Code.UPDATE_AND_CREATE_TOPIC_LIST, None, topics.update_and_create_topic_list),
    (Code.DELETE_TOPIC_IN_BROKER, topic_headers.DeleteTopicInBroker, topics.delete_topic_in_broker),
    (Code.GET_ALL_TOPIC_CONFIG, topic_headers.GetAllTopicConfig, topics.get_all_topic_config),
    (Code.GET_TOPIC_CONFIG, topic_headers.GetTopicConfig, topics.get_topic_config),
    (Code.GET_TOPIC_STATS_INFO, topic_headers.GetTopicStatsInfo, topics.get_topic_stats_info),
    (Code.GET_SYSTEM_TOPIC_LIST_FROM_BROKER, None, topics.get_system_topic_list_from_broker),
    (Code.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, None, groups.update_and_create_subscriptiongroup),
    (Code.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, None, groups.update_and_create_subscriptiongroup_list),
    (
        Code.GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
        topic_headers.GetAllSubscriptiongroupConfig,
        groups.get_all_subscriptiongroup_config,
    ),
    (Code.GET_SUBSCRIPTIONGROUP_CONFIG, topic_headers.GetSubscriptiongroupConfig, groups.get_subscriptiongroup_config),
    (Code.DELETE_SUBSCRIPTIONGROUP, topic_headers.DeleteSubscriptiongroup, groups.delete_subscriptiongroup),
    (Code.GET_CONSUME_STATS, topic_headers.GetConsumeStats, groups.get_consume_stats),
    (Code.GET_BROKER_CONSUME_STATS, topic_headers.GetBrokerConsumeStats, groups.get_broker_consume_stats),
    (Code.UPDATE_BROKER_CONFIG, None, admin.update_broker_config),
    (Code.GET_BROKER_CONFIG, None, admin.get_broker_config),
    (Code.GET_BROKER_RUNTIME_INFO, None, admin.get_broker_runtime_info),
    (Code.GET_BROKER_HA_STATUS, None, admin.get_broker_ha_status),
    (Code.HAND_OVER_GROUP, topic_headers.HandOverGroup, admin.hand_over_group),
    (Code.DELETE_EXPIRED_COMMITLOG, None, admin.delete_expired_commitlog),
    (Code.CLEAN_EXPIRED_CONSUMEQUEUE, None, admin.clean_expired_consumequeue),
    (Code.CLEAN_UNUSED_TOPIC, None, admin.clean_unused_topic),
    (Code.GET_ALL_CONSUMER_OFFSET, None, admin.get_all_consumer_offset),
    (Code.GET_ALL_DELAY_OFFSET, None, admin.get_all_delay_offset),
)

#: Sends, which are answered together where they came in one turn of the loop: each code's header.
SENDS: dict[int, type[Header]] = {
    Code.SEND_MESSAGE: send_headers.SendMessage,
    Code.SEND_MESSAGE_V2: send_headers.SendMessageV2,
}

#: Pulls, which have a share of each turn of the loop beside sends.
PULLS = (Code.PULL_MESSAGE, Code.LITE_PULL_MESSAGE)

#: What the fast listener (listenPort - 2) leaves to the normal one (protocol section 2.4).
NOT_ON_FAST_PORT = frozenset(PULLS)


def table(broker: Broker) -> Table:
    """The handlers of one broker by request code."""
    handlers: dict[int, Handler | Together | InTurn] = {
        int(code): partial(function, broker) if header is None else on(header, partial(function, broker))
        for code, header, function in ROWS
    }
    sends = together(SENDS, partial(send.send_message, broker))
    pulls = InTurn(on(pull_headers.PullMessage, partial(pull.pull_message, broker)), sends)
    return handlers | dict.fromkeys(SENDS, sends) | dict.fromkeys(map(int, PULLS), pulls)
