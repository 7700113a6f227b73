"""What clients are and want: heartbeats and subscriptions (protocol sections 3.3, 3.8)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from rocket_wire.bodies.body import Body, written
from rocket_wire.headers.numbers import Int, Long


class ConsumeType(StrEnum):
    """Who starts a delivery: the application (pull), the client library (push), or the broker's pop queues."""

    CONSUME_ACTIVELY = "CONSUME_ACTIVELY"
    CONSUME_PASSIVELY = "CONSUME_PASSIVELY"
    CONSUME_POP = "CONSUME_POP"


class MessageModel(StrEnum):
    """Whether each member of a group gets every message, or the members share them."""

    BROADCASTING = "BROADCASTING"
    CLUSTERING = "CLUSTERING"


class ConsumeFromWhere(StrEnum):
    """Where a group without an offset begins."""

    CONSUME_FROM_LAST_OFFSET = "CONSUME_FROM_LAST_OFFSET"
    CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST"
    CONSUME_FROM_MIN_OFFSET = "CONSUME_FROM_MIN_OFFSET"
    CONSUME_FROM_MAX_OFFSET = "CONSUME_FROM_MAX_OFFSET"
    CONSUME_FROM_FIRST_OFFSET = "CONSUME_FROM_FIRST_OFFSET"
    CONSUME_FROM_TIMESTAMP = "CONSUME_FROM_TIMESTAMP"


#: Java's enums in a consumer's data. Their members stand here in Java's order: the C++ client writes the ordinals.
_ENUMS: dict[str, type[StrEnum]] = {
    "consumeType": ConsumeType,
    "messageModel": MessageModel,
    "consumeFromWhere": ConsumeFromWhere,
}


class SubscriptionData(Body, frozen=True):
    """What a consumer wants of a topic. `code_set` has the tags' Java hash codes, by which the broker filters.

    The newest `sub_version` (milliseconds) of a group's members wins.
    """

    topic: str
    sub_string: str = written("*")
    tags_set: frozenset[str] = written(frozenset())
    code_set: frozenset[Int] = written(frozenset())
    sub_version: Long = written(0)
    expression_type: str = written("TAG")
    class_filter_mode: bool = written(False)


class ProducerData(Body, frozen=True):
    """A producer group that a client is in."""

    group_name: str


class ConsumerData(Body, frozen=True):
    """A consumer group that a client is in, and how it consumes."""

    group_name: str
    consume_type: ConsumeType | None = None
    message_model: MessageModel | None = None
    consume_from_where: ConsumeFromWhere | None = None
    subscription_data_set: tuple[SubscriptionData, ...] = written(())
    unit_mode: bool = written(False)


class HeartbeatData(Body, frozen=True):
    """HEART_BEAT: the groups a client is in. `without_sub` means that its subscriptions are as last time (3.8)."""

    client_id: str = msgspec.field(name="clientID")
    producer_data_set: tuple[ProducerData, ...] = written(())
    consumer_data_set: tuple[ConsumerData, ...] = written(())
    heartbeat_fingerprint: Int = written(0)
    without_sub: bool = written(False)

    @classmethod
    def regular(cls, members: Any) -> Any:
        """Enums by name, also where they came as ordinals."""
        groups = members.get("consumerDataSet") if isinstance(members, dict) else None
        for group in groups if isinstance(groups, list) else ():
            for name, enum in _ENUMS.items() if isinstance(group, dict) else ():
                ordinal = group.get(name)
                if type(ordinal) is int and 0 <= ordinal < len(enum):
                    group[name] = list(enum)[ordinal].value
        return members


class CheckClientRequestBody(Body, frozen=True):
    """CHECK_CLIENT_CONFIG: can the broker evaluate this subscription's filter?"""

    client_id: str
    group: str
    subscription_data: SubscriptionData
    namespace: str | None = None


class ConsumerList(Body, frozen=True):
    """GET_CONSUMER_LIST_BY_GROUP's answer: client ids."""

    consumer_id_list: tuple[str, ...] = written(())
