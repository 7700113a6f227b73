"""Headers about connected clients: who is there, who left, what one of them is doing (protocol sections 3.3, 3.5)."""

from __future__ import annotations

import msgspec

from rocket_wire.headers.header import Header
from rocket_wire.headers.numbers import Int


class HeartBeatAnswer(Header, frozen=True):
    """Whether the client may leave out unchanged subscriptions, and whether the broker saw a change (3.8)."""

    is_support_heart_beat_v2: bool = msgspec.field(default=True, name="IS_SUPPORT_HEART_BEAT_V2")
    is_sub_change: bool = msgspec.field(default=True, name="IS_SUB_CHANGE")


class UnregisterClient(Header, frozen=True):
    """A client leaves the groups it names; one of them is usually absent."""

    client_id: str = msgspec.field(name="clientID")
    producer_group: str | None = None
    consumer_group: str | None = None


class GetConsumerListByGroup(Header, frozen=True):
    """The client ids of the group's members. Answered with a ConsumerList."""

    consumer_group: str


class NotifyConsumerIdsChanged(Header, frozen=True):
    """Broker to consumer, one-way: your group's members changed, rebalance."""

    consumer_group: str


class GetConsumerConnectionList(Header, frozen=True):
    """The group's members with their addresses and subscriptions. Answered with a ConsumerConnection."""

    consumer_group: str


class GetProducerConnectionList(Header, frozen=True):
    """The producer group's members. Answered with a ProducerConnection."""

    producer_group: str


class GetConsumerRunningInfo(Header, frozen=True):
    """Asked of the broker, relayed to the client: what it consumes and how fast; `jstack_enable` adds its stacks."""

    consumer_group: str
    client_id: str
    jstack_enable: bool = False


class ConsumeMessageDirectly(Header, frozen=True):
    """Have this client consume one message now. Asked of the broker, relayed with the message's record as body."""

    consumer_group: str
    client_id: str | None = None
    msg_id: str | None = None
    broker_name: str | None = None
    topic: str | None = None
    topic_sys_flag: Int | None = None
    group_sys_flag: Int | None = None


class QueryTopicConsumeByWho(Header, frozen=True):
    """The consumer groups of a topic. Answered with a GroupList."""

    topic: str
