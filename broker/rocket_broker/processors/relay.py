"""Questions about a consumer that only it can answer: passed on over its own connection (protocol section 3.5)."""

from __future__ import annotations

from typing import Final

from rocket_broker.state import Broker
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer, Reply
from rocket_net.errors import TransportError
from rocket_wire import command
from rocket_wire.bodies.groups import GroupList
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command
from rocket_wire.errors import RequestError
from rocket_wire.headers.clients import GetConsumerRunningInfo, QueryTopicConsumeByWho

_CALL_SECONDS: Final = 10.0


def get_consumer_running_info(
    broker: Broker, header: GetConsumerRunningInfo, request: Command, _: Connection
) -> Answer:
    """What a consumer does at this moment, in its own words."""
    return _ask(_member(broker, header.consumer_group, header.client_id), header, request)


def query_topic_consume_by_who(
    broker: Broker, header: QueryTopicConsumeByWho, request: Command, _: Connection
) -> Answer:
    """The groups that subscribe to the topic now, or have an offset in it."""
    live = {name for name, group in broker.clients.consumers.items() if header.topic in group.subscriptions}
    groups = live | set(broker.offsets.groups_of(header.topic))
    return request.reply(body=GroupList(frozenset(groups)).encode())


def _member(broker: Broker, group: str, client_id: str) -> Connection:
    found = broker.clients.consumers.get(group)
    for connection, member in found.members.items() if found is not None else ():
        if member.client_id == client_id:
            return connection
    remark = f"The Consumer <{group}> <{client_id}> not online"
    raise RequestError(ResponseCode.CONSUMER_NOT_ONLINE, remark)


async def _ask(consumer: Connection, header: GetConsumerRunningInfo, request: Command) -> Reply:
    question = command.request(RequestCode.GET_CONSUMER_RUNNING_INFO, header)
    try:
        answer = await consumer.call(question, _CALL_SECONDS)
    except TransportError as error:
        remark = f"consumer {header.client_id} of {header.consumer_group} did not answer: {error}"
        raise RequestError(ResponseCode.CONSUME_MSG_TIMEOUT, remark) from None
    reply = request.reply(body=answer.body)
    reply.code, reply.remark = answer.code, answer.remark
    return reply
