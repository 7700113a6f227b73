"""Who is connected: producers and consumers by group, as their heartbeats tell (protocol sections 3.3, 3.8).

A member lives as long as its connection and its heartbeats; when a consumer group's members or subscriptions change,
all its members are told (NOTIFY_CONSUMER_IDS_CHANGED), or they would notice only at their next rebalance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from rocket_wire.bodies.heartbeat import ConsumeFromWhere, ConsumerData, ConsumeType, MessageModel, SubscriptionData


class Channel(Protocol):
    """A connection, as far as this table cares."""

    @property
    def peer(self) -> str: ...


C = TypeVar("C", bound=Channel)


@dataclass(slots=True)
class Member:
    """One client of a group."""

    client_id: str
    language: str
    version: int
    seen: float


@dataclass(slots=True)
class ConsumerGroup(Generic[C]):
    """A consumer group's live members and what they subscribe to."""

    name: str
    consume_type: ConsumeType = ConsumeType.CONSUME_PASSIVELY
    message_model: MessageModel = MessageModel.CLUSTERING
    consume_from_where: ConsumeFromWhere = ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET
    members: dict[C, Member] = field(default_factory=dict)
    subscriptions: dict[str, SubscriptionData] = field(default_factory=dict)

    def client_ids(self) -> list[str]:
        """Client ids, each once, in the order they came."""
        return list(dict.fromkeys(member.client_id for member in self.members.values()))

    def subscribe(self, subscriptions: Iterable[SubscriptionData]) -> bool:
        """Takes a member's whole subscription; True where a topic came or went. The newest version of each wins."""
        wanted = {subscription.topic: subscription for subscription in subscriptions}
        changed = False
        for topic, subscription in wanted.items():
            old = self.subscriptions.get(topic)
            changed |= old is None
            if old is None or subscription.sub_version > old.sub_version:
                self.subscriptions[topic] = subscription
        for topic in self.subscriptions.keys() - wanted.keys():
            del self.subscriptions[topic]
            changed = True
        return changed


class Clients(Generic[C]):
    """All groups with live members. `now` is a monotonic clock's seconds."""

    def __init__(self) -> None:
        self.consumers: dict[str, ConsumerGroup[C]] = {}
        self.producers: dict[str, dict[C, Member]] = {}

    def register_producer(self, group: str, channel: C, member: Member) -> None:
        """A producer's heartbeat."""
        self.producers.setdefault(group, {})[channel] = member

    def register_consumer(self, data: ConsumerData, channel: C, member: Member, *, keep_subscriptions: bool) -> bool:
        """A consumer's heartbeat; True where the group's members must be told of a change."""
        group = self.consumers.setdefault(data.group_name, ConsumerGroup(data.group_name))
        changed = channel not in group.members
        group.members[channel] = member
        group.consume_type = data.consume_type or group.consume_type
        group.message_model = data.message_model or group.message_model
        group.consume_from_where = data.consume_from_where or group.consume_from_where
        if not keep_subscriptions:
            changed |= group.subscribe(data.subscription_data_set)
        return changed

    def unregister_producer(self, group: str, channel: C) -> None:
        """A producer leaves."""
        members = self.producers.get(group, {})
        members.pop(channel, None)
        if not members:
            self.producers.pop(group, None)

    def unregister_consumer(self, group: str, channel: C) -> bool:
        """A consumer leaves; True where others of its group must be told."""
        found = self.consumers.get(group)
        if found is None or found.members.pop(channel, None) is None:
            return False
        if not found.members:
            del self.consumers[group]
            return False
        return True

    def forget(self, channel: C) -> list[str]:
        """A connection closed: its client leaves every group. Returns the consumer groups to tell."""
        for group in [name for name, members in self.producers.items() if channel in members]:
            self.unregister_producer(group, channel)
        joined = [name for name, group in self.consumers.items() if channel in group.members]
        return [name for name in joined if self.unregister_consumer(name, channel)]

    def expire(self, silent_since: float) -> list[C]:
        """Connections whose clients sent no heartbeat since then: the caller closes them and calls `forget`."""
        tables = [*(group.members for group in self.consumers.values()), *self.producers.values()]
        silent = (channel for table in tables for channel, member in table.items() if member.seen < silent_since)
        return list(dict.fromkeys(silent))
